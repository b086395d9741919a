//! What the text of a script says before it runs: the settings of its own that `fn defaults` names, and what it does that
//! resuming cannot bring back: variables from outside that an epochs loop changes.
//!
//! A resumed run enters the loop at a later epoch, with the variables as they were before the first. Supernets and other
//! handles are restored; numbers, arrays and the like are not: they belong in a `run_state`.

use rhai::{AST, ASTNode, Expr, Map, Position, Stmt};
use std::collections::BTreeSet;

/// Methods that change the array, map or text they are called on.
const CHANGING: [&str; 9] = ["push", "append", "insert", "remove", "pop", "shift", "clear", "set", "mixin"];

/// The keys of the maps in functions called `defaults`: settings that the script has a use for.
pub fn named_by_defaults(ast: &AST) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut defaults = ast.clone_functions_only();
    defaults.retain_functions(|_, _, name, _| name == "defaults");
    defaults.walk(&mut |path| {
        match path.last() {
            Some(ASTNode::Expr(Expr::Map(parts, _))) => {
                keys.extend(parts.0.iter().map(|(key, _)| key.name.to_string()))
            }
            // A map of constants.
            Some(ASTNode::Expr(Expr::DynamicConstant(value, _))) => {
                if let Some(map) = value.read_lock::<Map>() {
                    keys.extend(map.keys().map(|key| key.to_string()));
                }
            }
            _ => {}
        }
        true
    });
    keys
}

/// `LINE:COLUMN` and name of every variable from outside that an epochs loop of the script changes; each name once.
pub fn forgotten(ast: &AST) -> Vec<(Position, String)> {
    let mut found: Vec<(Position, String)> = Vec::new();
    ast.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::For(parts, _))) = path.last()
            && calls_epochs(&parts.2.expr)
        {
            let mut own = BTreeSet::from([parts.0.name.to_string()]);
            own.extend(parts.1.iter().map(|counter| counter.name.to_string()));
            for (position, name) in changed_in(parts.2.body.statements(), own) {
                if !found.iter().any(|(_, known)| *known == name) {
                    found.push((position, name));
                }
            }
        }
        true
    });
    found
}

fn calls_epochs(expr: &Expr) -> bool {
    matches!(expr, Expr::FnCall(call, _) if call.name == "epochs" && call.args.len() == 1)
}

fn variable(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Variable(parts, ..) => Some(&parts.1),
        _ => None,
    }
}

/// The variables that the statements change but do not declare.
fn changed_in(statements: &[Stmt], mut own: BTreeSet<String>) -> Vec<(Position, String)> {
    let mut changed = Vec::new();
    for statement in statements {
        statement.walk(&mut Vec::new(), &mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Var(parts, ..))) => {
                    own.insert(parts.0.name.to_string());
                }
                Some(ASTNode::Stmt(Stmt::For(parts, _))) => {
                    own.insert(parts.0.name.to_string());
                    own.extend(parts.1.iter().map(|counter| counter.name.to_string()));
                }
                Some(ASTNode::Stmt(Stmt::Assignment(parts))) => {
                    if let Some(name) = variable(&parts.1.lhs) {
                        changed.push((parts.1.lhs.position(), name.to_string()));
                    }
                }
                Some(ASTNode::Expr(Expr::Dot(parts, ..))) => {
                    // `alpha.set(tensors)` and that of a variable, which are restored, take one argument; that of an array two.
                    if let (Some(name), Expr::MethodCall(call, _)) = (variable(&parts.lhs), &parts.rhs)
                        && CHANGING.contains(&call.name.as_str())
                        && (call.name != "set" || call.args.len() == 2)
                    {
                        changed.push((parts.lhs.position(), name.to_string()));
                    }
                }
                _ => {}
            }
            true
        });
    }
    changed.retain(|(_, name)| !own.contains(name));
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_defaults_are_found_and_no_others() {
        for (script, keys) in [
            ("fn defaults() { #{ a: 1, b: \"x\" } }", &["a", "b"][..]),
            (
                "fn defaults(space) { let d = #{ a: space }; if space == 1 { d + #{ b: [1], a: 2 } } else { d } }",
                &["a", "b"],
            ),
            ("fn other() { #{ c: 1 } } fn defaults() { other() + #{ b: 1 } } let x = #{ d: 1 };", &["b"]),
            ("let x = #{ d: 1 };", &[]),
        ] {
            let ast = rhai::Engine::new().compile(script).unwrap();
            assert_eq!(named_by_defaults(&ast).into_iter().collect::<Vec<_>>(), keys, "{script}");
        }
    }

    #[test]
    fn variables_from_outside_that_an_epochs_loop_changes_are_found() {
        for (script, names) in [
            ("let best = 0; for e in epochs(3) { best = e; }", &["best"][..]),
            ("let best = 0; for e in epochs(3) { if e > 1 { best += 1; } }", &["best"]),
            ("fn f() { let h = []; for e in epochs(3) { h.push(e); h.push(1); } h }", &["h"]),
            ("let a = 0; for e in epochs(2) { for i in 0..3 { a = i; } }", &["a"]),
            ("for e in epochs(3) { let own = 0; own = e; for i in 0..2 { i += 1; } e += 1; }", &[]),
            ("let s = run_state(#{ h: [] }); for e in epochs(3) { s.h.push(e); s.best = e; }", &[]),
            ("let a = 0; for e in 0..3 { a = e; }", &[]),
            ("let a = [0]; let alpha = 1; for e in epochs(3) { a.set(0, e); alpha.set(e); }", &["a"]),
            ("let net = 1; for e in epochs(3) { net.train_epoch(e); net.drop(e); }", &[]),
        ] {
            let ast = rhai::Engine::new().compile(script).unwrap();
            let found: Vec<String> = forgotten(&ast).into_iter().map(|(_, name)| name).collect();
            assert_eq!(found, names, "{script}");
        }
    }
}
