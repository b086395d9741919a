//! What stands behind a dot or in brackets: properties, methods, items.

use super::finding::Severity;
use super::known::{Known, Rest};
use super::names::nearest;
use super::state::State;
use crate::host::script::errors::article;
use rhai::{ASTFlags, Expr, FnCallExpr, Map, Position};
use std::any::TypeId;

/// Methods of arrays that call a closure with an item and its place.
const WITH_ITEMS: [&str; 12] =
    ["map", "filter", "all", "some", "any", "find", "find_map", "for_each", "index_of", "retain", "drain", "dedup"];

impl State<'_> {
    /// The links of a chain, from what they hang on: `dot` says what kind of link the first is.
    pub fn chain(&mut self, base: Known, links: &Expr, dot: bool, flags: ASTFlags) -> Known {
        match links {
            Expr::Dot(next, more, _) | Expr::Index(next, more, _) if !flags.intersects(ASTFlags::BREAK) => {
                let inner = self.link(base, &next.lhs, dot);
                self.chain(inner, &next.rhs, matches!(links, Expr::Dot(..)), *more)
            }
            last => self.link(base, last, dot),
        }
    }

    /// One link.
    pub fn link(&mut self, base: Known, link: &Expr, dot: bool) -> Known {
        match link {
            Expr::Property(property, at) if dot => self.property(base, &property.2, *at),
            Expr::MethodCall(call, at) if dot => self.method(base, call, *at),
            Expr::StringConstant(key, at) if matches!(base, Known::Fields(_)) => self.property(base, key, *at),
            index => {
                self.expression(index);
                base.item()
            }
        }
    }

    fn property(&mut self, base: Known, name: &str, at: Position) -> Known {
        let getter = format!("get${name}");
        let known = base.type_id(&self.words.types);
        let is_map = known == Some(TypeId::of::<Map>());
        match &base {
            Known::Fields(fields) if fields.keys.contains_key(name) => return fields.keys[name].known.clone(),
            _ if known.is_some() && self.words.fits(&getter, std::slice::from_ref(&base)) => {
                return match self.words.member(&base, name) {
                    Known::Nothing => self.words.result(&getter, &[base]),
                    known => known,
                };
            }
            Known::Fields(fields) => {
                let allowed = match fields.rest {
                    Rest::None => false,
                    Rest::Settings => crate::host::run::settings::host_keys().contains(&name),
                    Rest::Anything => true,
                };
                // What other maps have, or a text names, may have been asked for before.
                if !allowed && !self.is_key(name) {
                    let keys = fields.keys.keys().map(String::as_str);
                    let hint = match nearest(name, keys.clone()) {
                        Some(near) => format!(", did you mean `{near}`?"),
                        None => format!(": it has {}", keys.collect::<Vec<_>>().join(", ")),
                    };
                    self.wrong(at, format!("the map has no key `{name}`{hint}"));
                    return Known::Nothing;
                }
            }
            // Some types have whatever property a script gave them.
            _ if known.is_some() && !is_map && !self.words.fits("index$get$", &[base.clone(), Known::Nothing]) => {
                self.no_member(&base, name, at, "property");
                return Known::Nothing;
            }
            _ => {}
        }
        self.perhaps(name, at);
        Known::Nothing
    }

    /// A property of what is not known: said is only what no part of the program or the manual knows, if it is near to one.
    fn perhaps(&mut self, name: &str, at: Position) {
        if self.is_key(name) || self.words.has_word(name) || name.len() < 4 {
            return;
        }
        let keys = self.names.keys.iter().map(String::as_str);
        if let Some(near) = nearest(name, keys.chain(self.words.properties())) {
            self.report(Severity::Warning, at, format!("nothing has a property `{name}`, did you mean `{near}`?"));
        }
    }

    fn no_member(&mut self, base: &Known, name: &str, at: Position, what: &str) {
        let kind = base.name().unwrap_or_default();
        let (id, kind) = (base.type_id(&self.words.types), if kind.starts_with('[') { "array" } else { &kind });
        let brackets = if what == "method" { "()" } else { "" };
        let text = match nearest(name, self.words.members(id)) {
            _ if what == "property" && self.words.fits(name, std::slice::from_ref(base)) => {
                format!("{} has no property `{name}`; its method is called `{name}()`", article(kind))
            }
            Some(near) => format!("{} has no {what} `{name}`, did you mean `{near}{brackets}`?", article(kind)),
            None => format!("{} has no {what} `{name}`", article(kind)),
        };
        self.wrong(at, text);
    }

    fn method(&mut self, base: Known, call: &FnCallExpr, at: Position) -> Known {
        let arguments: Vec<Known> = call.args.iter().map(|argument| self.expression(argument)).collect();
        let (name, n) = (call.name.as_str(), arguments.len());
        if let Known::Fields(fields) = &base
            && let Some(field) = fields.keys.get(name)
        {
            return match field.known.clone() {
                Known::Closure(closure) => self.enter_closure(&closure, arguments),
                _ => Known::Nothing,
            };
        }
        if name == "call" {
            return match base {
                Known::Closure(closure) => self.closure_call(&closure, arguments, at),
                _ => Known::Nothing,
            };
        }
        if self.files[self.file].functions.contains_key(&(name.to_string(), n)) {
            return self.enter(self.file, name, arguments);
        }
        let all: Vec<Known> = std::iter::once(base.clone()).chain(arguments).collect();
        if self.words.fits(name, &all) {
            return self.native(name, all);
        }
        let id = base.type_id(&self.words.types);
        let open = id.is_none_or(|id| id == TypeId::of::<Map>());
        if super::calls::SPECIAL.contains(&name) || (open && self.is_key(name)) || self.is_outside(name, n) {
            return Known::Nothing;
        }
        let takes = self.words.takes(name);
        let of_type = id.is_some_and(|id| self.words.members(Some(id)).any(|member| member == name));
        match () {
            // Of this type there is no such method, or of any.
            () if takes.is_empty() || (!open && !of_type) => match open {
                true => self.unknown_method(name, at),
                false => self.no_member(&base, name, at, "method"),
            },
            () => {
                let text = self.mismatch(name, &all);
                self.wrong(at, text)
            }
        }
        Known::Nothing
    }

    fn unknown_method(&mut self, name: &str, at: Position) {
        let known = self.words.members(None).chain(self.names.keys.iter().map(String::as_str));
        let hint = nearest(name, known).map_or(String::new(), |near| format!(", did you mean `{near}()`?"));
        self.wrong(at, format!("nothing has a method `{name}`{hint}"));
    }

    /// What is known of what a function of the program gives, with the closures among its arguments called.
    pub fn native(&mut self, name: &str, all: Vec<Known>) -> Known {
        self.settings_of(name, &all);
        let item = all.first().map(Known::item).unwrap_or_default();
        let mut given = Known::Nothing;
        let is_array = all.first().and_then(|known| known.type_id(&[])) == Some(TypeId::of::<rhai::Array>());
        if is_array && let Some(Known::Closure(closure)) = all.get(1) {
            let arguments = match name {
                name if WITH_ITEMS.contains(&name) => vec![item.clone(), Known::Type("integer".into())],
                "sort" => vec![item.clone(), item.clone()],
                _ => Vec::new(),
            };
            if !arguments.is_empty() {
                given = self.enter_closure(closure, arguments);
            }
        }
        match name {
            "map" if is_array => Known::List(Box::new(given)),
            "filter" | "drain" if is_array => all[0].clone(),
            "extract" if is_array && all.len() > 1 => Known::List(Box::new(item)),
            "find" | "pop" | "shift" if is_array => item,
            "keys" if matches!(all[..], [Known::Fields(_)]) => Known::List(Box::new(Known::Type("string".into()))),
            "settings" => match all.into_iter().next() {
                Some(Known::Fields(mut fields)) => {
                    fields.rest = fields.rest.max(Rest::Settings);
                    Known::Fields(fields)
                }
                _ => Known::Nothing,
            },
            // It has the properties that it was given and those that a loop gives it.
            "run_state" => Known::Nothing,
            _ => self.words.result(name, &all),
        }
    }
}
