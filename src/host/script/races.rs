//! A method that is given a closure which reads what the method is called on: `counts.map(|c| c * counts.len())`. The
//! language refuses it as a data race, without a place; nothing races, and this says where it stands and what to do.

use rhai::{AST, ASTNode, Dynamic, EvalAltResult, Expr, Position, Stmt};

/// The error with the place of the call and the name of the variable, if it is of this kind.
pub fn placed(mut error: Box<EvalAltResult>, ast: &AST) -> Box<EvalAltResult> {
    place(&mut error, ast);
    error
}

fn place(error: &mut EvalAltResult, ast: &AST) {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, next, _) | EvalAltResult::ErrorInModule(_, next, _) => {
            place(next, ast)
        }
        EvalAltResult::ErrorDataRace(text, _) => {
            let method = method_of(text).unwrap_or_default();
            if let Some((name, position)) = call_of(ast, method) {
                let text = words(&format!("`{name}`"), &name, method);
                *error = EvalAltResult::ErrorRuntime(Dynamic::from(text), position);
            }
        }
        _ => {}
    }
}

/// The text of such an error where its place is not known.
pub fn describe(text: &str) -> String {
    words("a value", "values", method_of(text).unwrap_or("a method"))
}

fn words(what: &str, name: &str, method: &str) -> String {
    format!("{what} is in use by {method}: take what you need of it before, as in `let n = {name}.len();`")
}

/// The method in `argument #1 of function 'map'`.
fn method_of(text: &str) -> Option<&str> {
    text.split('\'').nth(1)
}

/// The variable and the place of the first call of `method` on a variable that a closure in its arguments reads; or else of
/// the first that is given a variable, which may hold such a closure.
fn call_of(ast: &AST, method: &str) -> Option<(String, Position)> {
    let (mut sure, mut possible) = (None, None);
    ast.walk(&mut |path| {
        if let Some(ASTNode::Expr(Expr::Dot(parts, ..) | Expr::Index(parts, ..))) = path.last()
            && let Expr::Variable(variable, ..) = root(&parts.lhs)
        {
            let name = variable.1.as_str();
            let mut link = Some(&parts.rhs);
            while let Some(expr) = link {
                let (head, rest) = match expr {
                    Expr::Dot(next, ..) | Expr::Index(next, ..) => (&next.lhs, Some(&next.rhs)),
                    other => (other, None),
                };
                if let Expr::MethodCall(call, at) = head
                    && call.name == method
                {
                    let found = Some((name.to_string(), *at));
                    if call.args.iter().any(|arg| reads(arg, name)) {
                        sure = sure.take().or(found);
                    } else if call.args.iter().any(|arg| matches!(arg, Expr::Variable(..))) {
                        possible = possible.take().or(found);
                    }
                }
                link = rest;
            }
        }
        sure.is_none()
    });
    sure.or(possible)
}

fn root(expr: &Expr) -> &Expr {
    match expr {
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => root(&parts.lhs),
        other => other,
    }
}

/// Whether an argument makes a closure that captures the variable: what it captures is shared first.
fn reads(argument: &Expr, name: &str) -> bool {
    let mut found = false;
    argument.walk(&mut Vec::new(), &mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Share(captured))) = path.last() {
            found |= captured.iter().any(|(variable, _)| variable.name == name);
        }
        !found
    });
    found
}
