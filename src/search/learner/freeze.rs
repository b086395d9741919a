//! Candidates whose weights stay as they are while the others are trained.

use super::Learner;
use crate::error::Result;
use crate::net::graph::supernet::owners;
use crate::space::Candidate;
use std::collections::BTreeSet;

impl Learner {
    /// The candidates whose weights stay as they are.
    pub fn frozen(&self) -> &BTreeSet<Candidate> {
        &self.frozen
    }

    /// Freeze the weights of these, and of no other.
    pub fn freeze(&mut self, frozen: BTreeSet<Candidate>) -> Result<()> {
        frozen.iter().try_for_each(|c| self.net.space().check(*c))?;
        let names = self.net.params().iter().map(|p| p.name.as_str());
        let owners = owners(self.net.space(), self.net.config(), names);
        let is_frozen = |owner: &Option<(Candidate, usize)>| owner.is_some_and(|(c, _)| frozen.contains(&c));
        let positions = owners.iter().enumerate().filter(|(_, owner)| is_frozen(owner)).map(|(i, _)| i).collect();
        self.optimiser.freeze(positions);
        self.frozen = frozen;
        Ok(())
    }
}
