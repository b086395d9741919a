//! The one way in which host functions are registered: together with their documentation.

use super::errors::Fallible;
use rhai::{Dynamic, Engine, FuncRegistration, RhaiNativeFunc, Variant};
use std::any::TypeId;
use std::rc::Rc;

/// An entry of the manual. `example` runs as it stands (a test holds this).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doc {
    /// The chapter: "supernet", "tensor", ...
    pub chapter: &'static str,
    /// The name in scripts.
    pub name: &'static str,
    /// How it is called, one line an overload: `net.drop(candidate)`.
    pub signature: &'static str,
    /// What it does: shapes, units, errors.
    pub text: &'static str,
    /// A runnable example.
    pub example: &'static str,
}

/// Registers functions in an engine and collects their entries.
pub struct Api<'e> {
    engine: &'e mut Engine,
    docs: Vec<Doc>,
    types: Vec<(String, TypeId)>,
    chapter: &'static str,
}

impl<'e> Api<'e> {
    /// Into `engine`.
    pub fn new(engine: &'e mut Engine) -> Self {
        Api { engine, docs: Vec::new(), types: Vec::new(), chapter: "" }
    }

    /// What was registered so far.
    pub fn docs(&self) -> Vec<Doc> {
        self.docs.clone()
    }

    /// What was registered: the manual, and the types by their names in it.
    pub fn into_parts(self) -> (Vec<Doc>, Vec<(String, TypeId)>) {
        (self.docs, self.types)
    }

    /// The chapter that the following entries belong to.
    pub fn chapter(&mut self, chapter: &'static str) {
        self.chapter = chapter;
    }

    /// A documented function: `[name, signature, text, example]`. Values are shared handles, so that calls on constants
    /// are
    /// fine.
    pub fn def<A: 'static, const N: usize, const X: bool, R: Variant + Clone, const F: bool>(
        &mut self,
        [name, signature, text, example]: [&'static str; 4],
        f: impl RhaiNativeFunc<A, N, X, R, F> + 'static,
    ) {
        self.docs.push(Doc { chapter: self.chapter, name, signature, text, example });
        self.also(name, f);
    }

    /// Another overload of a function whose entry covers it.
    pub fn also<A: 'static, const N: usize, const X: bool, R: Variant + Clone, const F: bool>(
        &mut self,
        name: &str,
        f: impl RhaiNativeFunc<A, N, X, R, F> + 'static,
    ) {
        FuncRegistration::new(name).with_purity(true).with_volatility(true).register_into_engine(self.engine, f);
    }

    /// A documented property.
    pub fn get<T: Variant + Clone, V: Variant + Clone>(
        &mut self,
        [name, signature, text, example]: [&'static str; 4],
        f: impl Fn(&mut T) -> Fallible<V> + 'static,
    ) {
        self.docs.push(Doc { chapter: self.chapter, name, signature, text, example });
        self.also_get(name, f);
    }

    /// A property of another type whose entry covers it.
    pub fn also_get<T: Variant + Clone, V: Variant + Clone>(
        &mut self,
        name: &str,
        f: impl Fn(&mut T) -> Fallible<V> + 'static,
    ) {
        self.engine.register_get(name, f);
    }

    /// An entry for something that is not registered here (a class of operators).
    pub fn note(&mut self, [name, signature, text, example]: [&'static str; 4]) {
        self.docs.push(Doc { chapter: self.chapter, name, signature, text, example });
    }

    /// A type: its name in messages, and its text for `print` and `to_string`.
    pub fn value<T: Variant + Clone>(&mut self, name: &str, show: impl Fn(&T) -> String + 'static) {
        let show = Rc::new(show);
        let debug = show.clone();
        self.engine.register_type_with_name::<T>(name);
        self.types.push((name.to_string(), TypeId::of::<T>()));
        self.also("to_string", move |value: &mut T| show(value));
        self.also("to_debug", move |value: &mut T| debug(value));
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
