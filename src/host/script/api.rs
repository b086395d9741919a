//! What is registered in an engine: functions and properties with their entries of the manual, types, operators.

use super::doc::{Doc, Signature};
use super::errors::{Fallible, wrong};
use super::value;
use rhai::{Dynamic, Engine, FuncRegistration, RhaiNativeFunc, Variant};
use std::any::TypeId;

/// A comparison with a handle, of which neither is the smaller.
fn no_order(order: &str, with: &Dynamic) -> Fallible<bool> {
    let got = format!("a handle and {}", value::shown(with));
    Err(wrong(format!("a {order} b"), got, "numbers or texts: handles have no order"))
}

/// Registers functions in an engine and collects their entries.
pub struct Api<'e> {
    engine: &'e mut Engine,
    docs: Vec<Doc>,
    /// Overloads without documentation of their own, and how many entries there were before them.
    overloads: Vec<(usize, Signature)>,
    types: Vec<(&'static str, TypeId)>,
    chapter: &'static str,
}

impl<'e> Api<'e> {
    /// Registers into `engine`.
    pub fn new(engine: &'e mut Engine) -> Self {
        Api { engine, docs: Vec::new(), overloads: Vec::new(), types: Vec::new(), chapter: "" }
    }

    /// What was registered: the manual, and the types by their names in it. An overload without documentation belongs to
    /// the entry of its name: of several, to the one that has a receiver as it has (or has none as it has), and that was
    /// registered last before it, or else first.
    pub fn into_parts(mut self) -> (Vec<Doc>, Vec<(&'static str, TypeId)>) {
        for (before, signature) in self.overloads {
            let of_name = || (0..self.docs.len()).filter(|i| self.docs[*i].name == signature.name);
            let alike = |i: &usize| self.docs[*i].signatures[0].has_receiver() == signature.has_receiver();
            let nearest = |found: Vec<usize>| found.iter().copied().rfind(|i| *i < before).or(found.first().copied());
            let entry = nearest(of_name().filter(alike).collect()).or_else(|| nearest(of_name().collect()));
            if let Some(entry) = entry {
                self.docs[entry].signatures.push(signature);
            }
        }
        (self.docs, self.types)
    }

    /// The chapter that the following entries belong to.
    pub fn chapter(&mut self, chapter: &'static str) {
        self.chapter = chapter;
    }

    fn document(&mut self, signature: Signature, comment: &'static [&'static str]) {
        if comment.is_empty() {
            return self.overloads.push((self.docs.len(), signature));
        }
        self.docs.push(Doc { chapter: self.chapter, name: signature.name, signatures: vec![signature], comment });
    }

    /// A function with the lines of its doc comment; without any, another overload.
    pub fn function<A: 'static, const N: usize, const X: bool, R: Variant + Clone, const F: bool>(
        &mut self,
        signature: Signature,
        comment: &'static [&'static str],
        f: impl RhaiNativeFunc<A, N, X, R, F> + 'static,
    ) {
        self.operator(signature.name, f);
        self.document(signature, comment);
    }

    /// A property with the lines of its doc comment; without any, one of another type.
    pub fn property<T: Variant + Clone, V: Variant + Clone>(
        &mut self,
        signature: Signature,
        comment: &'static [&'static str],
        f: impl Fn(&mut T) -> Fallible<V> + 'static,
    ) {
        self.engine.register_get(signature.name, f);
        self.document(signature, comment);
    }

    /// A function that the manual has no signature of. Values are shared handles, so that calls on constants are fine.
    pub fn operator<A: 'static, const N: usize, const X: bool, R: Variant + Clone, const F: bool>(
        &mut self,
        name: &str,
        f: impl RhaiNativeFunc<A, N, X, R, F> + 'static,
    ) {
        FuncRegistration::new(name).with_purity(true).with_volatility(true).register_into_engine(self.engine, f);
    }

    /// A type, and its text for `print` and `to_string`.
    pub fn value<T: Variant + Clone>(&mut self, text: fn(&T) -> String) {
        let name = value::name_of(std::any::type_name::<T>());
        self.engine.register_type_with_name::<T>(name);
        self.types.push((name, TypeId::of::<T>()));
        self.operator("to_string", move |value: &mut T| text(value));
        self.operator("to_debug", move |value: &mut T| text(value));
        for order in ["<", "<=", ">", ">="] {
            // Where it knows no order of two values the language says false, without a word.
            self.operator(order, move |_: &mut T, b: Dynamic| no_order(order, &b));
            self.operator(order, move |a: Dynamic, _: T| no_order(order, &a));
        }
    }

    /// `==` and `!=`.
    pub fn equality<T: Variant + Clone + PartialEq>(&mut self) {
        self.operator("==", |a: &mut T, b: T| *a == b);
        self.operator("!=", |a: &mut T, b: T| *a != b);
    }

    /// A type that `for` runs over.
    pub fn iterable<T, V>(&mut self)
    where
        T: Variant + Clone + IntoIterator<Item = Fallible<V>>,
        V: Variant + Clone,
    {
        self.engine.register_iterator_result::<T, V>();
    }

    /// Properties that are not known by name when registering: `state.best`, `state["best"]`.
    pub fn indexed<T: Variant + Clone>(
        &mut self,
        get: impl Fn(&mut T, &str) -> Fallible<Dynamic> + 'static,
        set: impl Fn(&mut T, &str, Dynamic) -> Fallible<()> + 'static,
    ) {
        self.engine.register_indexer_get(get).register_indexer_set(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::script::functions::functions;
    use crate::host::script::types::Number;

    #[test]
    fn functions_are_called_and_documented_as_they_are_written() {
        let mut engine = Engine::new();
        let mut api = Api::new(&mut engine);
        let shared = std::rc::Rc::new(10usize);
        api.chapter("numbers");
        functions! { api, [shared];
            fn both(&x: f64, y: Number) -> f64 { *x + y.0 }

            /// A number beside the shared one.
            /// It goes on.
            ///
            /// ```rhai
            /// both(1);
            /// ```
            fn both(n: usize) -> usize { n + *shared }
            fn both(numbers: Vec<f64>, n: usize) -> crate::Result<f64> {
                numbers.get(n).copied().ok_or_else(|| crate::Error::invalid("both, n", n, "a place in the list"))
            }

            /// Of a number.
            get half(&x: f64) -> f64 { *x / 2.0 }

            /// Another of the same name, of a number.
            fn both(&x: f64) -> f64 { *x * 2.0 }
        }
        let (docs, _) = api.into_parts();
        let lines: Vec<Vec<String>> = docs.iter().map(Doc::lines).collect();
        assert_eq!(lines[0], ["both(n) -> integer", "both([number], n) -> float"]);
        assert_eq!(lines[1], ["x.half -> float"]);
        assert_eq!(lines[2], ["x.both() -> float", "x.both(y) -> float"]);
        assert_eq!(docs[0].text(), "A number beside the shared one. It goes on.");
        assert_eq!((docs[0].example().as_str(), docs[0].chapter), ("both(1);", "numbers"));
        for (script, result) in [
            ("both(5)", "15"),
            ("both([1, 2.5], 1)", "2.5"),
            ("let x = 1.5; x.both(2)", "3.5"),
            ("let x = 3.0; x.half", "1.5"),
            ("let x = 3.0; x.both()", "6.0"),
            ("both(-1)", "both, n: got -1, expected an integer of at least 0"),
            ("both([1], 3)", "both, n: got 3, expected a place in the list"),
            ("both([\"x\"], 0)", "both: got string \"x\", expected a number"),
        ] {
            let value = engine.eval::<Dynamic>(script).map_or_else(|e| e.to_string(), |value| value.to_string());
            assert!(value.contains(result), "{script}: {value}");
        }
    }
}
