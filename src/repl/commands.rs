//! Commands of the prompt, one table: what `:help` prints, what Tab completes, what runs.

use crate::error::{Error, Result};
use crate::host::{Completion, Outcome, Session};
use std::cell::RefCell;
use std::path::Path;
use std::time::Instant;

/// What the argument of a command is, for completion.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// A name of the manual.
    Name,
    /// A script function or module.
    Source,
    /// An expression.
    Input,
    /// A file or folder.
    Path,
    /// A file, or a script of the program.
    Script,
}

/// A command.
pub struct Command {
    /// How it begins.
    name: &'static str,
    /// What follows, in words.
    argument: &'static str,
    takes: Takes,
    about: &'static str,
    act: fn(&mut Session, &str) -> Result<String>,
}

/// All of them; `??` stands before `?`, for the first that fits is taken.
const COMMANDS: [Command; 13] = [
    Command {
        name: ":help",
        argument: "[name]",
        takes: Takes::Name,
        about: "this list, or what `?name` shows",
        act: |session, name| if name.is_empty() { Ok(help()) } else { session.documentation(Some(name)) },
    },
    Command {
        name: "??",
        argument: "name",
        takes: Takes::Source,
        about: "the source of a function or module in a script",
        act: |session, name| session.source(named("??", name)?),
    },
    Command {
        name: "?",
        argument: "name",
        takes: Takes::Name,
        about: "a page of the manual, or what it says of some words",
        act: |session, name| session.documentation(Some(named("?", name)?)),
    },
    Command {
        name: ":doc",
        argument: "[name]",
        takes: Takes::Name,
        about: "the manual in short, or what `?name` shows",
        act: |session, name| session.documentation(Some(name).filter(|n| !n.is_empty())),
    },
    Command {
        name: ":time",
        argument: "input",
        takes: Takes::Input,
        about: "evaluate, and say how long it took",
        act: time,
    },
    Command {
        name: ":scope",
        argument: "",
        takes: Takes::Nothing,
        about: "variables, with types and shapes; modules; functions",
        act: |session, _| Ok(session.scope_table()),
    },
    Command {
        name: ":run",
        argument: "script",
        takes: Takes::Script,
        about: "run a file, or a script by name: what it made stays",
        act: |session, path| session.run_file(Path::new(named(":run", path)?)).map(|()| String::new()),
    },
    Command {
        name: ":reload",
        argument: "",
        takes: Takes::Nothing,
        about: "load changed modules anew; variables stay",
        act: |session, _| {
            let changed = session.reload()?;
            Ok(if changed.is_empty() {
                "no module has changed".into()
            } else {
                format!("loaded anew: {}", changed.join(", "))
            })
        },
    },
    Command {
        name: ":save",
        argument: "folder [names]",
        takes: Takes::Path,
        about: "save variables (all, or those named)",
        act: save,
    },
    Command {
        name: ":load",
        argument: "folder",
        takes: Takes::Path,
        about: "take saved variables back",
        act: |session, path| Ok(format!("loaded {}", session.load(Path::new(named(":load", path)?))?.join(", "))),
    },
    Command {
        name: ":device",
        argument: "",
        takes: Takes::Nothing,
        about: "where networks live, and on how many threads",
        act: |session, _| Ok(session.device()),
    },
    Command {
        name: ":quit",
        argument: "",
        takes: Takes::Nothing,
        about: "leave (also: exit, quit, Ctrl-D)",
        act: |_, _| Ok(String::new()),
    },
    Command { name: ":exit", argument: "", takes: Takes::Nothing, about: "the same", act: |_, _| Ok(String::new()) },
];

fn help() -> String {
    let begin = |c: &Command| {
        if c.name.starts_with('?') { format!("{}{}", c.name, c.argument) } else { format!("{} {}", c.name, c.argument) }
    };
    let width = COMMANDS.iter().map(|c| begin(c).len()).max().unwrap_or_default();
    let lines: Vec<String> = COMMANDS.iter().map(|c| format!("{:width$}  {}", begin(c), c.about)).collect();
    let keys = "Anything else is Rhai; `_` is the last value, help() lists the functions.\n\
                Tab completes, Ctrl-R searches the history, Alt-Enter begins a line,\n\
                Ctrl-C stops the work at hand or clears the line, Ctrl-D leaves.";
    format!("{}\n\n{keys}", lines.join("\n"))
}

fn named<'a>(command: &str, argument: &'a str) -> Result<&'a str> {
    if argument.is_empty() { Err(Error::invalid(command, "nothing behind it", "a name")) } else { Ok(argument) }
}

fn time(session: &mut Session, input: &str) -> Result<String> {
    let start = Instant::now();
    let outcome = session.eval_line(named(":time", input)?);
    let seconds = start.elapsed().as_secs_f64();
    let taken = if seconds < 1.0 { format!("{:.1} ms", 1e3 * seconds) } else { format!("{seconds:.2} s") };
    match outcome {
        Outcome::Value(text) => Ok(format!("{text}\ntook {taken}")),
        Outcome::Nothing => Ok(format!("took {taken}")),
        Outcome::Incomplete => Err(Error::invalid(":time", "an input that is not finished", "a whole one")),
        Outcome::Error(text) => Err(Error::Script(format!("{text}\ntook {taken}"))),
    }
}

fn save(session: &mut Session, words: &str) -> Result<String> {
    let mut words = words.split_whitespace();
    let folder = named(":save", words.next().unwrap_or_default())?;
    let names: Vec<&str> = words.collect();
    let done = session.save(Path::new(folder), &names)?;
    let also = |names: &[String], what: &str| match names {
        [] => String::new(),
        names => format!("\n{what}: {}", names.join(", ")),
    };
    let (stay, left) = (also(&done.stay, "saved there before, and kept"), also(&done.left, "left out"));
    Ok(format!("saved {} to {folder}{stay}{left}", done.saved.join(", ")))
}

impl Command {
    /// Do it.
    pub fn run(&self, session: &RefCell<Session>, argument: &str) -> Result<Outcome> {
        if self.takes == Takes::Nothing && !argument.is_empty() {
            return Err(Error::invalid(self.name, format!("`{argument}` behind it"), "nothing"));
        }
        let text = (self.act)(&mut session.borrow_mut(), argument)?;
        Ok(if text.is_empty() { Outcome::Nothing } else { Outcome::Value(text.trim_end().to_string()) })
    }
}

/// Whether an input is a command and not script text.
pub fn is_command(input: &str) -> bool {
    let input = input.trim_start();
    input.starts_with([':', '?']) || matches!(input.trim_end(), "exit" | "quit")
}

/// Whether an input ends the session.
pub fn leaves(input: &str) -> bool {
    matches!(input.trim(), ":quit" | ":exit" | ":q" | "exit" | "quit")
}

/// The command that an input is, if it is one, with its argument; an error for one that there is not.
pub fn find(input: &str) -> Option<Result<(&'static Command, &str)>> {
    let input = input.trim();
    if !is_command(input) {
        return None;
    }
    let word = if input.starts_with('?') { input } else { input.split_whitespace().next().unwrap_or_default() };
    let fits = |command: &&Command| match command.name.starts_with('?') {
        true => word.starts_with(command.name),
        false => command.name == word,
    };
    Some(match COMMANDS.iter().find(fits) {
        Some(command) => Ok((command, input[command.name.len()..].trim())),
        None => Err(Error::unknown_name("command", word, COMMANDS.iter().map(|c| c.name))),
    })
}

/// The command that an input was meant as, where it has the words of one without its colon: `doc shrink`.
pub fn meant(input: &str) -> Option<String> {
    let input = input.trim();
    let plain = |c: char| c.is_alphanumeric() || "_-./ ".contains(c);
    let word = input.split_whitespace().next().filter(|_| input.chars().all(plain))?;
    let known = COMMANDS.iter().any(|command| command.name.strip_prefix(':') == Some(word));
    known.then(|| format!(":{input}"))
}

/// What can stand at the cursor: a command, its argument, or script text.
pub fn complete(session: &Session, line: &str, pos: usize) -> (usize, Vec<Completion>) {
    let before = &line[..pos];
    let indent = before.len() - before.trim_start().len();
    let typed = &before[indent..];
    if !is_command(typed) {
        return session.complete(line, pos);
    }
    let plain = |start: usize, names: Vec<String>| {
        let fits = names.into_iter().filter(|name| name.starts_with(&before[start..]));
        (start, fits.map(|name| Completion { text: name.clone(), name }).collect())
    };
    let command = COMMANDS.iter().find(|c| match typed.strip_prefix(c.name) {
        Some(rest) => c.name.starts_with('?') || rest.starts_with(char::is_whitespace),
        None => false,
    });
    let Some(command) = command else {
        let space = |c: &Command| if c.takes == Takes::Nothing { c.name.to_string() } else { format!("{} ", c.name) };
        let fits = COMMANDS.iter().filter(|c| c.name.starts_with(typed));
        return (indent, fits.map(|c| Completion { text: space(c), name: c.name.to_string() }).collect());
    };
    let rest = &typed[command.name.len()..];
    let start = indent + command.name.len() + (rest.len() - rest.trim_start().len());
    match command.takes {
        Takes::Nothing => (pos, Vec::new()),
        Takes::Name => plain(start, session.manual_names(false)),
        Takes::Source => plain(start, session.manual_names(true)),
        Takes::Path => {
            let start = before.rfind(char::is_whitespace).map_or(start, |i| i + 1);
            plain(start, crate::host::complete::paths(&before[start..]))
        }
        Takes::Script => {
            let inside = crate::host::bundled::SCRIPTS.iter().map(|(name, _)| name.to_string());
            plain(start, inside.chain(crate::host::complete::paths(&before[start..])).collect())
        }
        Takes::Input => {
            let (at, found) = session.complete(&line[start..], pos - start);
            (start + at, found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::RunOptions;
    use crate::search::Silent;
    use std::rc::Rc;

    #[test]
    fn every_command_stands_in_the_help_and_is_found() {
        let help = help();
        for command in &COMMANDS {
            assert!(help.contains(command.name) && help.contains(command.about), "{}", command.name);
            let input = format!("  {} x y", command.name);
            let (found, argument) = find(&input).unwrap().unwrap();
            assert_eq!((found.name, argument), (command.name, "x y"));
        }
        assert!(find("let x = 1;").is_none());
        let words = ["doc shrink", " run scripts/is_darts.rhai", "scope", "doc = 3", "run(4)", "docs shrink", ""];
        let expected =
            [Some(":doc shrink"), Some(":run scripts/is_darts.rhai"), Some(":scope"), None, None, None, None];
        assert_eq!(words.map(meant), expected.map(|found| found.map(String::from)));
        let Some(Err(error)) = find(":relaod") else { panic!() };
        assert!(error.to_string().contains("did you mean `:reload`?"), "{error}");
    }

    #[test]
    fn commands_and_their_arguments_complete() {
        let session = Session::new(&RunOptions::default(), Rc::new(Silent)).unwrap();
        for (line, start, texts) in [
            (":re", 0, &[":reload"][..]),
            (":ti", 0, &[":time "]),
            (":help measure", 6, &["measure", "measure_iim"]),
            ("?measure", 1, &["measure", "measure_iim"]),
            ("? measure", 2, &["measure", "measure_iim"]),
            (":doc measure", 5, &["measure", "measure_iim"]),
            ("??nas/is", 2, &["nas/is_darts"]),
            (":time superne", 6, &["supernet("]),
            (":run Cargo.to", 5, &["Cargo.toml"]),
            (":run is_d", 5, &["is_darts"]),
            ("superne", 0, &["supernet("]),
        ] {
            let (at, found) = complete(&session, line, line.len());
            let found: Vec<String> = found.into_iter().map(|c| c.text).collect();
            assert_eq!((at, found.iter().map(String::as_str).collect::<Vec<_>>()), (start, texts.to_vec()), "{line}");
        }
    }
}
