//! Which part of the program passes compute: all of it, or what the candidates that were drawn are in.
//!
//! Sizes (blocks, scratch, what is kept) are those of the whole program, so the memory of one draw serves the next: buffers go
//! back to the pool and come out of it by their class, and after some draws every one is there.

use super::Engine;
use crate::error::Result;
use crate::net::Paths;
use crate::net::ids::Table;
use crate::net::program::{ConvId, NodeId, Program};
use crate::ops::buffer::{Buffer, BufferPool};
use std::mem::take;

impl Engine {
    /// From now on computes every live candidate.
    pub(super) fn compute_all(&mut self) -> Result<()> {
        let wanted = if self.all { self.full.nodes.beside(|_| true) } else { self.full.useful() };
        self.place(self.full.clone(), wanted, BufferPool::take)?;
        self.left_out = Table::filled(self.full.n_mix, false);
        Ok(())
    }

    /// From now on computes what `paths` asks for of a mix; does nothing where that is computed already.
    pub(super) fn route(&mut self, mix: &[f32], paths: Paths) -> Result<()> {
        let out = self.full.left_out(mix, paths);
        if out == self.left_out {
            return Ok(());
        }
        if !out.items().contains(&true) {
            return self.compute_all();
        }
        let (program, wanted) = self.full.without(&out);
        self.place(program, wanted, BufferPool::borrow)?;
        self.left_out = out;
        Ok(())
    }

    /// For each node, the convolutions from it into one of `nodes`, group by group of siblings.
    pub(super) fn computed(&self, nodes: &Table<NodeId, bool>) -> Table<NodeId, Vec<Vec<ConvId>>> {
        let kept = |g: &Vec<ConvId>| g.iter().copied().filter(|&c| nodes[self.program.convs[c].dst]).collect();
        let groups =
            |groups: &Vec<Vec<ConvId>>| groups.iter().map(kept).filter(|g: &Vec<ConvId>| !g.is_empty()).collect();
        self.program.nodes.iter().map(|node| groups(&node.convs)).collect()
    }

    /// Compute this, in memory of the pool instead of what there was.
    fn place(&mut self, program: Program, wanted: Table<NodeId, bool>, memory: Take) -> Result<()> {
        (self.program, self.wanted) = (program, wanted);
        self.groups = self.computed(&self.wanted);
        // Nothing that a later pass may take for placed, should the memory not suffice.
        self.left_out = Table::default();
        for buffer in take(&mut self.x).into_iter().chain(take(&mut self.z)) {
            self.pool.give(buffer);
        }
        let Engine { program, wanted, kept, batch, pool, .. } = self;
        for i in program.nodes.ids() {
            let len = if wanted[i] && kept[i] { *batch * program.nodes[i].size.len() } else { 0 };
            self.x.push(memory(pool, len)?);
        }
        let mut computed = program.convs.beside(|_| false);
        self.groups.iter().flatten().flatten().for_each(|&c| computed[c] = true);
        for (conv, computed) in program.convs.iter().zip(computed) {
            self.z.push(memory(pool, if computed { *batch * program.nodes[conv.dst].size.len() } else { 0 })?);
        }
        Ok(())
    }
}

type Take = fn(&mut BufferPool, usize) -> Result<Buffer>;
