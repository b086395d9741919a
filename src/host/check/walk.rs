//! Statements and expressions, one after the other.

use super::finding::Severity;
use super::known::{Closure, Field, Fields, Known, Rest};
use super::state::State;
use rhai::{ASTFlags, Dynamic, Expr, FlowControl, FnPtr, Stmt};
use std::collections::BTreeMap;

impl State<'_> {
    /// A block: what its last statement gives, which something wants or not.
    pub fn statements(&mut self, block: &[Stmt], wanted: bool) -> Known {
        let mark = self.scope.len();
        let mut last = Known::Nothing;
        for (i, statement) in block.iter().enumerate() {
            last = self.statement(statement, wanted && i + 1 == block.len());
        }
        self.leave(mark);
        last
    }

    /// A statement, whose value something wants or not: what it gives.
    pub fn statement(&mut self, statement: &Stmt, wanted: bool) -> Known {
        match statement {
            Stmt::If(parts, _) => {
                self.expression(&parts.expr);
                let first = self.statements(parts.body.statements(), wanted);
                let second = self.statements(parts.branch.statements(), wanted);
                if parts.branch.is_empty() { Known::Nothing } else { first.or(second) }
            }
            Stmt::Switch(parts, _) => {
                self.expression(&parts.0);
                let cases = parts.1.expressions.iter().map(|case| {
                    self.expression(&case.lhs);
                    self.expression(&case.rhs)
                });
                cases.reduce(Known::or).unwrap_or_default()
            }
            Stmt::While(parts, _) | Stmt::Do(parts, ..) => {
                self.expression(&parts.expr);
                self.statements(parts.body.statements(), false);
                Known::Nothing
            }
            Stmt::For(parts, _) => {
                let item = self.expression(&parts.2.expr).item();
                let mark = self.scope.len();
                self.declare(&parts.0.name, item, parts.0.pos, false);
                if let Some(counter) = &parts.1 {
                    self.declare(&counter.name, Known::Type("integer".into()), counter.pos, false);
                }
                self.statements(parts.2.body.statements(), false);
                self.leave(mark);
                Known::Nothing
            }
            Stmt::Var(parts, flags, _) => {
                let known = self.expression(&parts.1);
                let exported = flags.intersects(ASTFlags::EXPORTED);
                self.declare(&parts.0.name, known, parts.0.pos, !exported);
                Known::Nothing
            }
            Stmt::Assignment(parts) => {
                self.expression(&parts.1.rhs);
                self.assigned(&parts.1.lhs, parts.0.is_op_assignment());
                Known::Nothing
            }
            Stmt::FnCall(call, at) => {
                if !wanted && call.op_token.is_some() {
                    self.report(Severity::Warning, *at, "what this computes is not used".into());
                }
                self.call(call, *at)
            }
            Stmt::Block(block) => self.statements(block.statements(), wanted),
            Stmt::TryCatch(parts, _) => self.attempt(parts),
            Stmt::Expr(expr) => {
                let known = self.expression(expr);
                if !wanted && only_a_value(expr) {
                    self.report(Severity::Warning, expr.start_position(), "this value is not used".into());
                }
                known
            }
            Stmt::BreakLoop(Some(value), ..) => {
                self.expression(value);
                Known::Nothing
            }
            Stmt::Return(value, flags, _) => {
                let known = value.as_ref().map_or(Known::Nothing, |value| self.expression(value));
                if !flags.intersects(ASTFlags::BREAK) {
                    self.returns.push(known);
                }
                Known::Nothing
            }
            Stmt::Import(parts, _) => {
                self.expression(&parts.0);
                Known::Nothing
            }
            Stmt::Export(parts, _) => {
                self.read(&parts.0.name, parts.0.pos);
                Known::Nothing
            }
            Stmt::Share(captured) => {
                for (variable, _) in captured.iter() {
                    self.read(&variable.name, variable.pos);
                }
                Known::Nothing
            }
            _ => Known::Nothing,
        }
    }

    /// What is tried may be meant to fail.
    fn attempt(&mut self, parts: &FlowControl) -> Known {
        let before = std::mem::replace(&mut self.quiet, true);
        self.statements(parts.body.statements(), false);
        self.quiet = before;
        let mark = self.scope.len();
        if let Expr::Variable(variable, _, at) = &parts.expr {
            self.declare(&variable.1, Known::Nothing, *at, false);
        }
        self.statements(parts.branch.statements(), false);
        self.leave(mark);
        Known::Nothing
    }

    /// What stands left of `=`.
    fn assigned(&mut self, place: &Expr, reads: bool) {
        match place {
            Expr::Variable(variable, _, at) if variable.2.is_empty() => {
                let known = self.scope.iter().any(|own| own.name == *variable.1);
                if reads || !known {
                    self.read(&variable.1, *at);
                }
            }
            Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _) => {
                let base = self.expression(&parts.lhs);
                self.assigned_part(base, &parts.rhs, matches!(place, Expr::Dot(..)), *flags);
            }
            other => drop(self.expression(other)),
        }
    }

    /// All of a chain but its last link, which may be new.
    fn assigned_part(&mut self, base: Known, part: &Expr, dot: bool, flags: ASTFlags) {
        match part {
            Expr::Dot(next, more, _) | Expr::Index(next, more, _) if !flags.intersects(ASTFlags::BREAK) => {
                let inner = self.link(base, &next.lhs, dot);
                self.assigned_part(inner, &next.rhs, matches!(part, Expr::Dot(..)), *more);
            }
            Expr::Property(..) => {}
            other => drop(self.link(base, other, dot)),
        }
    }

    /// An expression: what is known of its value.
    pub fn expression(&mut self, expr: &Expr) -> Known {
        let of = |word: &str| Known::Type(word.to_string());
        match expr {
            Expr::DynamicConstant(value, _) => match self.closure_of(value, Vec::new()) {
                Some(closure) => self.made(closure),
                None => Known::of(value),
            },
            Expr::BoolConstant(..) => of("bool"),
            Expr::IntegerConstant(..) => of("integer"),
            Expr::FloatConstant(..) => of("float"),
            Expr::StringConstant(..) => of("string"),
            Expr::InterpolatedString(parts, _) => {
                parts.iter().for_each(|part| drop(self.expression(part)));
                of("string")
            }
            Expr::Array(items, _) => {
                let items: Vec<Known> = items.iter().map(|item| self.expression(item)).collect();
                Known::List(Box::new(items.into_iter().reduce(Known::or).unwrap_or_default()))
            }
            Expr::Map(parts, _) => {
                let file = self.file;
                let field = |(key, value): &(rhai::Ident, Expr)| {
                    (key.name.to_string(), Field { known: self.expression(value), place: (file, key.pos) })
                };
                let keys: BTreeMap<String, Field> = parts.0.iter().map(field).collect();
                self.written_keys(&keys);
                Known::Fields(Fields { keys, rest: Rest::None })
            }
            Expr::Variable(variable, _, at) => match variable.2.is_empty() {
                true => self.read(&variable.1, *at),
                false => {
                    self.module(&variable.2.path);
                    Known::Nothing
                }
            },
            Expr::Stmt(block) => self.statements(block.statements(), true),
            Expr::FnCall(call, at) => self.call(call, *at),
            Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _) => {
                let base = self.expression(&parts.lhs);
                self.chain(base, &parts.rhs, matches!(expr, Expr::Dot(..)), *flags)
            }
            Expr::And(all, _) | Expr::Or(all, _) => {
                all.iter().for_each(|one| drop(self.expression(one)));
                of("bool")
            }
            Expr::Coalesce(all, _) => {
                all.iter().for_each(|one| drop(self.expression(one)));
                Known::Nothing
            }
            _ => Known::Nothing,
        }
    }

    /// A closure that has just been made.
    pub fn made(&mut self, closure: Closure) -> Known {
        self.closures.push(closure.clone());
        Known::Closure(closure)
    }

    /// The closure of a function pointer, if it is one of this file.
    pub fn closure_of(&self, value: &Dynamic, captured: Vec<Known>) -> Option<Closure> {
        let pointer = value.read_lock::<FnPtr>()?;
        let name = pointer.fn_name().to_string();
        if !name.starts_with("anon$") {
            return None;
        }
        let takes = self.files[self.file].functions.keys().filter(|(own, _)| *own == name).map(|(_, n)| *n).max()?;
        let takes = takes.checked_sub(captured.len())?;
        let quiet = self.quiet || (takes == 0 && self.names.tests_errors);
        Some(Closure { file: self.file, name, captured, takes, quiet })
    }
}

/// Whether a statement that is only this expression does nothing.
fn only_a_value(expr: &Expr) -> bool {
    let property = |expr: &Expr| match expr {
        Expr::Property(..) => true,
        other => other.is_constant(),
    };
    let mut end = expr;
    while let Expr::Dot(parts, ..) | Expr::Index(parts, ..) = end {
        end = &parts.rhs;
    }
    match expr {
        Expr::Dot(..) => property(end) && !matches!(end, Expr::MethodCall(..)),
        Expr::FnCall(call, _) => call.op_token.is_some(),
        Expr::Variable(..) | Expr::InterpolatedString(..) | Expr::Array(..) | Expr::Map(..) => true,
        Expr::Unit(_) => false,
        other => other.is_constant(),
    }
}
