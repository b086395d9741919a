//! What a shrink step drops, told in one line: a script drops the candidates of one comparison subset after the other.

use std::cell::RefCell;

/// What was dropped since the last line about it.
#[derive(Default)]
pub struct Dropping(RefCell<Option<Step>>);

/// The candidates that one supernet lost in one epoch.
struct Step {
    /// Which supernet, and its epoch.
    of: (usize, usize),
    /// Ops, each with the edges that lost it, in the order in which they went.
    ops: Vec<(String, Vec<String>)>,
    alive: usize,
    all: usize,
}

impl Step {
    /// `epoch 22: dropped none on 6 edges; 24 of 30 alive`.
    fn line(&self) -> String {
        let part = |(op, edges): &(String, Vec<String>)| match edges.as_slice() {
            [edge] => format!("{op} on {edge}"),
            edges => format!("{op} on {} edges", edges.len()),
        };
        let parts: Vec<String> = self.ops.iter().map(part).collect();
        format!("epoch {}: dropped {}; {} of {} alive", self.of.1, parts.join(", "), self.alive, self.all)
    }
}

impl Dropping {
    /// The supernet and the epoch `of` lost `op` on `edge`; so many of its candidates live now. Gives the line about
    /// another step that was under way.
    pub fn add(&self, of: (usize, usize), (op, edge): (&str, &str), (alive, all): (usize, usize)) -> Option<String> {
        let other = self.0.borrow().as_ref().is_some_and(|step| step.of != of);
        let due = if other { self.take() } else { None };
        let mut now = self.0.borrow_mut();
        let step = now.get_or_insert_with(|| Step { of, ops: Vec::new(), alive, all });
        (step.alive, step.all) = (alive, all);
        match step.ops.iter_mut().find(|(known, _)| known == op) {
            Some((_, edges)) => edges.push(edge.to_string()),
            None => step.ops.push((op.to_string(), vec![edge.to_string()])),
        }
        due
    }

    /// The line about the step under way, once.
    pub fn take(&self) -> Option<String> {
        self.0.borrow_mut().take().map(|step| step.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_line_whatever_the_order_in_which_its_candidates_go() {
        let dropping = Dropping::default();
        assert_eq!(dropping.take(), None);
        assert_eq!(dropping.add((1, 22), ("none", "edge 1<-0"), (29, 30)), None);
        assert_eq!(dropping.add((1, 22), ("pool", "edge 1<-0"), (28, 30)), None);
        assert_eq!(dropping.add((1, 22), ("none", "edge 2<-0"), (27, 30)), None);
        let line = "epoch 22: dropped none on 2 edges, pool on edge 1<-0; 27 of 30 alive";
        assert_eq!(dropping.add((1, 24), ("none", "edge 2<-1"), (26, 30)).as_deref(), Some(line));
        assert_eq!(dropping.take().as_deref(), Some("epoch 24: dropped none on edge 2<-1; 26 of 30 alive"));
        assert_eq!(dropping.take(), None);
    }
}
