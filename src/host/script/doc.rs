//! Entries of the manual: what a function is for, an example, and its signatures, which are read off its Rust types.

use std::fmt;

/// An entry of the manual. Words are made when they are asked for: each start of the program registers all entries.
#[derive(Clone, Debug)]
pub struct Doc {
    /// The chapter: "supernet", "tensor", ...
    pub chapter: &'static str,
    /// The name in scripts.
    pub name: &'static str,
    /// How it is called, one for each overload.
    pub signatures: Vec<Signature>,
    /// The lines of the doc comment: the text, then the example between ` ```rhai ` and ` ``` `.
    pub comment: &'static [&'static str],
}

impl Doc {
    fn parts(&self) -> (&[&str], &[&str]) {
        let fence = self.comment.iter().position(|line| line.trim_start().starts_with("```"));
        self.comment.split_at(fence.unwrap_or(self.comment.len()))
    }

    /// What it does: shapes, units, errors.
    pub fn text(&self) -> String {
        self.parts().0.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim_end().to_string()
    }

    /// A runnable example (a test runs it as it stands).
    pub fn example(&self) -> String {
        let lines = self.parts().1.iter().map(|line| line.strip_prefix(' ').unwrap_or(line));
        lines.filter(|line| !line.starts_with("```")).collect::<Vec<_>>().join("\n")
    }

    /// The signatures in words, each once.
    pub fn lines(&self) -> Vec<String> {
        self.lines_of(|_| true)
    }

    /// Those of the signatures that are wanted.
    pub fn lines_of(&self, wanted: impl Fn(&Signature) -> bool) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for line in self.signatures.iter().filter(|s| wanted(s)).map(Signature::to_string) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}

/// How a function or property is called.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Its name in scripts.
    pub name: &'static str,
    /// What stands before the dot.
    pub receiver: Option<Parameter>,
    /// What stands in the brackets; none for a property.
    pub parameters: Option<Vec<Parameter>>,
    /// The type of what it gives, in the words of the manual; empty for nothing.
    pub result: fn() -> String,
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// How the manual writes it: mostly its name; `[candidate]` for a list, `#{ resize, limit }` for options.
    pub written: fn(&str) -> String,
    /// Its type, in the words of the manual.
    pub kind: fn() -> String,
}

impl Parameter {
    /// As the manual writes it.
    pub fn written(&self) -> String {
        (self.written)(self.name)
    }
}

impl Signature {
    /// Whether it is a method or property of something.
    pub fn has_receiver(&self) -> bool {
        self.receiver.is_some()
    }

    /// Whether it takes anything in its brackets.
    pub fn takes(&self) -> bool {
        self.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty())
    }

    /// What stands behind the opening bracket.
    pub fn behind_bracket(&self) -> Option<String> {
        self.to_string().split_once('(').map(|(_, rest)| rest.to_string())
    }
}

impl fmt::Display for Signature {
    /// `net.drop([candidate])`, `a + b -> Tensor`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let written = |p: &[Parameter]| p.iter().map(Parameter::written).collect::<Vec<_>>().join(", ");
        match (&self.receiver, &self.parameters) {
            (None, Some(parameters)) if !self.name.starts_with(char::is_alphabetic) => match &parameters[..] {
                [a, b] => write!(f, "{} {} {}", a.written(), self.name, b.written())?,
                all => write!(f, "{}{}", self.name, written(all))?,
            },
            (receiver, parameters) => {
                if let Some(receiver) = receiver {
                    write!(f, "{}.", receiver.written())?;
                }
                f.write_str(self.name)?;
                if let Some(parameters) = parameters {
                    write!(f, "({})", written(parameters))?;
                }
            }
        }
        match (self.result)().as_str() {
            "" => Ok(()),
            result => write!(f, " -> {result}"),
        }
    }
}
