//! The launches of a backward pass, stage by stage from the last: what comes through the convolutions that read a node, then
//! all that arrives at it and the norms of its own terms, and the gradients of the weights.

mod convs;
mod gather;

use super::places::{Places, sums};
use super::tape::Tape;
use crate::error::Result;
use crate::net::ids::Table;
use crate::net::program::{Conv, Filter, MixId, NodeId, Norm, ParamId, Program};
use crate::ops::gpu::jobs::{self, Address, HeadBackJob, MixJob, blocks_of};

/// Where the gradients stand that a backward pass leaves.
pub struct Left {
    /// Of each weight; 0 where nothing flows.
    pub weights: Table<ParamId, Address>,
    /// Of the mixing weights, f32s.
    pub mix: Address,
    /// For each sum that has candidates, what arrives at it, summed over all of it: f64s, and whose they are, to be asked for
    /// where candidates that were not drawn stand as bare numbers.
    pub ghosts: Vec<(Address, usize, NodeId)>,
    /// Parts of the gradients of mixing weights: where, and how many f64s.
    pub parts: (Address, usize),
}

/// A backward pass on its way into a tape.
struct Writing<'a, 'p> {
    places: &'a Places<'p>,
    useful: &'a Table<NodeId, bool>,
    dy: Table<NodeId, Address>,
    dn: Address,
    left: Left,
    /// Parts of the gradients of mixing weights: which, and where, in f64s from `values`.
    slots: Vec<(MixId, usize)>,
    values: Address,
    used: usize,
}

impl Places<'_> {
    /// Everything from the gradient at [`Places::outward`] back.
    pub fn write_backward(&self, tape: &mut Tape, useful: &Table<NodeId, bool>) -> Result<Left> {
        let program = self.program;
        let groups = |i: NodeId| program.nodes[i].size.c.div_ceil(jobs::GROUP);
        let terms = |i: NodeId| {
            1 + program.nodes[i].origin.terms().len() + program.nodes[i].copies.len() + program.nodes[i].pools3.len()
        };
        let room: usize = program.nodes.ids().map(|i| groups(i) * terms(i)).sum();
        let left = Left {
            weights: self.gradients(tape, useful)?,
            mix: tape.floats("gradient of the mixing weights", program.n_mix)?,
            ghosts: vec![],
            parts: (tape.doubles("gradients of mixing weights", room.max(1))?, room),
        };
        let values = left.parts.0;
        let mut writing = Writing {
            places: self,
            useful,
            dy: program.nodes.beside(|_| 0),
            dn: 0,
            left,
            slots: vec![],
            values,
            used: 0,
        };
        writing.head(tape)?;
        for stage in program.stages().into_iter().rev() {
            let nodes: Vec<NodeId> = stage.iter().copied().filter(|&i| useful[i]).collect();
            writing.stage(tape, &nodes)?;
            writing.release(tape, &stage);
        }
        writing.mix(tape)?;
        Ok(writing.left)
    }

    /// Buffers for the gradients of all weights that something flows to.
    fn gradients(&self, tape: &mut Tape, useful: &Table<NodeId, bool>) -> Result<Table<ParamId, Address>> {
        let flows = flows(self.program, useful, self.lens.len());
        let mut buffer = |i| if flows[i] { tape.floats("gradients of weights", self.lens[i]) } else { Ok(0) };
        flows.ids().map(&mut buffer).collect()
    }
}

/// The trained parameters of a convolution and of the norm behind it.
pub fn weights_of(conv: &Conv) -> Vec<ParamId> {
    let mut ids = match conv.filter {
        Filter::Dense { weight, .. } => vec![weight],
        Filter::Halves { weights, .. } => weights.to_vec(),
        Filter::Separable { depthwise, pointwise, .. } => vec![depthwise, pointwise],
        Filter::Pool { .. } => vec![],
    };
    if let Norm::Affine(n) = conv.norm {
        ids.extend([n.gamma, n.beta]);
    }
    ids
}

/// Which of `n` parameters a gradient flows to, where the nodes that are `useful` are computed.
pub fn flows(program: &Program, useful: &Table<NodeId, bool>, n: usize) -> Table<ParamId, bool> {
    let head = program.head;
    let mut flows = Table::filled(n, false);
    (flows[head.weight], flows[head.bias]) = (true, true);
    if let Some(norm) = head.norm {
        (flows[norm.gamma], flows[norm.beta]) = (true, true);
    }
    let convs = program.nodes.iter().flat_map(|n| n.convs.iter().flatten()).map(|&c| &program.convs[c]);
    for id in convs.filter(|c| useful[c.dst]).flat_map(weights_of) {
        flows[id] = true;
    }
    flows
}

impl Writing<'_, '_> {
    fn head(&mut self, tape: &mut Tape) -> Result<()> {
        let places = self.places;
        let (last, head) = (places.program.nodes.last(), places.program.head);
        let node = &places.program.nodes[last];
        self.dn = tape.floats("gradients of nodes", places.batch * node.size.len())?;
        let norm = head.norm.map_or(Norm::None, Norm::Affine);
        let (a, t) = if head.norm.is_some() { (places.head_norm.a, places.head_norm.t) } else { (0, 0) };
        let weight_blocks = blocks_of(head.classes * (node.channels + 1), 256);
        let sums = sums(tape, places.batch * 2 * node.size.c, 1)?;
        tape.launch(&[HeadBackJob {
            b: places.batch as i32,
            pixels: (node.size.h * node.size.w) as i32,
            c: node.size.c as i32,
            channels: node.channels as i32,
            classes: head.classes as i32,
            x: places.x[last],
            a,
            t,
            weight: places.values[head.weight],
            pooled: places.pooled,
            dlogits: places.outward,
            dn: self.dn,
            dweight: self.left.weights[head.weight],
            dbias: self.left.weights[head.bias],
            sums,
            norm: places.norm_back(norm, (node.channels, &places.head_norm), &self.left.weights, (0, 0)),
            weight_blocks,
            blocks: places.batch as i32 + weight_blocks,
            unused: 0,
        }])?;
        tape.give(sums.parts);
        Ok(())
    }

    fn stage(&mut self, tape: &mut Tape, nodes: &[NodeId]) -> Result<()> {
        let mut scratch = Vec::new();
        for &i in nodes {
            let len = self.places.batch * self.places.program.nodes[i].size.len();
            self.dy[i] = if i == NodeId(0) { 0 } else { tape.floats("gradients of nodes", len)? };
        }
        let dense = self.dense(tape, nodes, &mut scratch)?;
        let taps = self.separable(tape, nodes, &dense, &mut scratch)?;
        let mut gathers = Vec::new();
        let inner: Vec<NodeId> = nodes.iter().copied().filter(|&i| i != NodeId(0)).collect();
        for &i in &inner {
            gathers.push(self.gather(tape, i, inner.len())?);
        }
        tape.launch_both("taps_and_gather", &taps, &gathers)?;
        scratch.extend(gathers.iter().map(|job| job.sums.parts));
        scratch.into_iter().for_each(|buffer| tape.give(buffer));
        Ok(())
    }

    /// Room for what the groups of channels add to the gradient of a mixing weight.
    fn slot(&mut self, mix: MixId, groups: usize) -> Address {
        self.slots.extend((self.used..self.used + groups).map(|at| (mix, at)));
        let address = self.values + 8 * self.used as u64;
        self.used += groups;
        address
    }

    /// Gives back what nothing reads any more, now that all nodes from those of `stage` on are done: the gradients of nodes whose
    /// sources are all done, the images of the stage and what the convolutions made of them.
    fn release(&mut self, tape: &mut Tape, stage: &[NodeId]) {
        let (program, first) = (self.places.program, stage[0]);
        for j in program.nodes.ids().filter(|&j| j >= first) {
            let last_use = program.sources(j).into_iter().min().unwrap_or(j);
            if self.dy[j] != 0 && last_use >= first {
                tape.give(std::mem::take(&mut self.dy[j]));
            }
        }
        for &i in stage {
            tape.give(self.places.x[i]);
            program.nodes[i].convs.iter().flatten().for_each(|&c| tape.give(self.places.z[c]));
        }
    }

    fn mix(&mut self, tape: &mut Tape) -> Result<()> {
        let n = self.places.program.n_mix;
        if n == 0 {
            return Ok(());
        }
        let mut by_mix: Table<MixId, Vec<i32>> = Table::filled(n, vec![]);
        // In the order of the nodes, so that the bits are those of any other way to write the pass.
        self.slots.iter().for_each(|&(mix, at)| by_mix[mix].push(at as i32));
        let start: Vec<i32> = (0..=n).map(|i| by_mix.items()[..i].iter().map(Vec::len).sum::<usize>() as i32).collect();
        let (start, slots) = (tape.table(&start)?, tape.table(&by_mix.items().concat())?);
        let (values, out, blocks) = (self.values, self.left.mix, blocks_of(n, 256));
        tape.launch(&[MixJob { start, slots, values, out, n: n as i32, blocks }])
    }
}
