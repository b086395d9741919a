//! Candidates whose weights stay as they are while the others are trained, in blocks of their own or in all.

use super::Learner;
use crate::error::{Error, Result};
use crate::net::graph::supernet::{blocks, cell_type, owners};
use crate::space::Candidate;
use std::collections::BTreeSet;

impl Learner {
    /// The candidates whose weights stay as they are, and in which block.
    pub fn frozen(&self) -> &BTreeSet<(Candidate, usize)> {
        &self.frozen
    }

    /// Freeze the weights of these, and of no other.
    pub fn freeze(&mut self, frozen: BTreeSet<(Candidate, usize)>) -> Result<()> {
        for (c, block) in &frozen {
            self.blocks_of(*c, Some(*block))?;
        }
        let names = self.net.params().iter().map(|p| p.name.as_str());
        let owners = owners(self.net.space(), self.net.config(), names);
        let is_frozen = |owner: &Option<(Candidate, usize)>| owner.is_some_and(|owner| frozen.contains(&owner));
        self.training.optimiser.freeze(owners.ids().filter(|i| is_frozen(&owners[*i])).collect());
        self.frozen = frozen;
        Ok(())
    }

    /// The blocks that have a candidate; of these the one of number `block`, where there is a number.
    ///
    /// # Errors
    /// A candidate that the space has not; a block that has it not.
    pub fn blocks_of(&self, c: Candidate, block: Option<usize>) -> Result<Vec<usize>> {
        let (space, config) = (self.net.space(), self.net.config());
        space.check(c)?;
        let all: Vec<usize> =
            (0..blocks(config)).filter(|k| cell_type(space, config, *k) == Some(c.cell_type)).collect();
        match block {
            None => Ok(all),
            Some(k) if all.contains(&k) => Ok(vec![k]),
            Some(k) => Err(Error::invalid("block of a candidate", k, format!("one of its cell type: {all:?}"))),
        }
    }
}
