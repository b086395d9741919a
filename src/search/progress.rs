//! Where long work reports to.

/// A step of long work.
#[derive(Clone, Debug)]
pub struct Tick {
    /// "train", "batches", "measure", "evaluate".
    pub task: &'static str,
    /// 1-based epoch, 0 if none; and of how many.
    pub epoch: (usize, usize),
    /// Steps done; and of how many.
    pub step: (usize, usize),
    /// Mean loss so far.
    pub loss: Option<f32>,
    /// Fraction right so far.
    pub accuracy: Option<f32>,
    /// Images done so far in this task.
    pub images: usize,
    /// Seconds since this task began.
    pub seconds: f64,
}

/// Receives progress. Implemented by `main` and the REPL.
pub trait Progress {
    /// A step is done.
    fn tick(&self, tick: &Tick);
    /// A line worth keeping ("dropped none on edge 0").
    fn note(&self, line: &str);
    /// What follows belongs to the search of this name; empty: to none.
    fn label(&self, _name: &str) {}
    /// Columns of the terminal that a person looks at, if there is one.
    fn columns(&self) -> Option<usize> {
        None
    }
    /// What was shown only for the moment goes: something else is about to be printed.
    fn clear(&self) {}
    /// An input is over: what was learnt of its pace is of no use for the next.
    fn over(&self) {
        self.clear();
    }
}

/// No progress.
pub struct Silent;

impl Progress for Silent {
    fn tick(&self, _: &Tick) {}
    fn note(&self, _: &str) {}
}
