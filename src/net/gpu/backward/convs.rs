//! What comes back through the convolutions that read the nodes of a stage, and the gradients of their weights.

use super::Writing;
use crate::error::Result;
use crate::net::gpu::places::dims;
use crate::net::gpu::tape::Tape;
use crate::net::program::{ConvId, Filter, NodeId};
use crate::ops::gpu::jobs::{
    Address, ConvInputJob, ConvInputPart, ConvWeightJob, Gradient, SeparableInnerJob, SeparableInputJob,
    SeparableInputPart, SeparableTapJob,
};

impl Writing<'_, '_> {
    /// Convolutions that read a node and that a gradient comes back through.
    pub(super) fn convs(&self, i: NodeId) -> impl Iterator<Item = ConvId> {
        let program = self.places.program;
        program.nodes[i].convs.iter().flatten().copied().filter(|&c| self.useful[program.convs[c].dst])
    }

    pub(super) fn incoming(&self, c: ConvId) -> Gradient {
        self.places.gradient(c, self.dy[self.places.program.convs[c].dst])
    }

    /// Through dense convolutions; the nodes that have some. Those with ReLU and those without come one after the other.
    pub(super) fn dense(&self, tape: &mut Tape, nodes: &[NodeId], scratch: &mut Vec<Address>) -> Result<Vec<NodeId>> {
        let (places, program) = (self.places, self.places.program);
        let is_dense = |c: &ConvId| matches!(program.convs[*c].filter, Filter::Dense { .. } | Filter::Halves { .. });
        let (mut inputs, mut more, mut weights, mut have) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for &i in nodes {
            let convs: Vec<ConvId> = self.convs(i).filter(is_dense).collect();
            for relu in [true, false] {
                let part = |&c: &ConvId| ConvInputPart {
                    dz: self.incoming(c),
                    window: places.window(&program.convs[c]),
                    weights: places.packed[c].backward,
                    live: places.live_conv(c, true),
                };
                let parts: Vec<ConvInputPart> =
                    convs.iter().filter(|&&c| program.convs[c].relu == relu).map(part).collect();
                if parts.is_empty() || i == NodeId(0) {
                    continue;
                }
                let [b, h, w, c] = dims(places.batch, &program.nodes[i]);
                let add = have.contains(&i);
                let (x, n_parts) = (places.source(i, relu), parts.len() as i32);
                let (dx, live) = (self.dy[i], places.live_node(i, true));
                let job = ConvInputJob {
                    x,
                    b,
                    h,
                    w,
                    c,
                    dx,
                    parts: tape.table(&parts)?,
                    n_parts,
                    add: add.into(),
                    live,
                    ..ConvInputJob::default()
                };
                let job = job.cut(nodes.len(), &parts);
                if add {
                    more.push(job)
                } else {
                    inputs.push(job)
                }
                have.push(i);
            }
            for &c in &convs {
                let conv = &program.convs[c];
                let (x, dz, window) = (places.source(i, conv.relu), self.incoming(c), places.window(conv));
                let (kind, shape, dw) = match conv.filter {
                    Filter::Dense { shape, weight } => (0, shape, [self.left.weights[weight], 0]),
                    Filter::Halves { shape, weights } => (1, shape, weights.map(|w| self.left.weights[w])),
                    _ => continue,
                };
                let [ci, co] = [shape.c_in, shape.c_out].map(|n| n as i32);
                let job = ConvWeightJob {
                    x,
                    dz,
                    window,
                    kind,
                    ci,
                    co,
                    dw,
                    live: places.live_conv(c, true),
                    ..ConvWeightJob::default()
                };
                weights.push(job);
            }
        }
        let all = weights.iter().map(ConvWeightJob::cost).sum();
        for job in &mut weights {
            *job = job.cut(all);
            job.parts = tape.floats("parts of gradients", job.parts_len())?;
            job.done = tape.counters(job.counters())?;
            scratch.push(job.parts);
        }
        tape.launch(&inputs)?;
        tape.launch(&more)?;
        tape.launch(&weights)?;
        Ok(have)
    }

    /// Through separable convolutions, behind what came through `dense` ones. What makes the gradients of the depthwise weights is
    /// for the caller to launch.
    pub(super) fn separable(
        &self,
        tape: &mut Tape,
        nodes: &[NodeId],
        dense: &[NodeId],
        scratch: &mut Vec<Address>,
    ) -> Result<Vec<SeparableTapJob>> {
        let (places, program) = (self.places, self.places.program);
        let (mut inner, mut inputs, mut more, mut taps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for &i in nodes {
            let mut parts: [Vec<SeparableInputPart>; 2] = Default::default();
            for c in self.convs(i) {
                let conv = &program.convs[c];
                let Filter::Separable { shape, depthwise: taps_of, pointwise: inner_of } = conv.filter else {
                    continue;
                };
                let (x, window, packed) = (places.source(i, conv.relu), places.window(conv), places.packed[c]);
                let [ci, co] = [shape.c_in, shape.c_out].map(|n| n as i32);
                let (oh, ow) = shape.out_hw();
                let da = tape.floats("gradients between two convolutions", places.batch * oh * ow * shape.c_in_p())?;
                scratch.push(da);
                let (depthwise, pointwise) = (packed.depthwise, packed.backward);
                let (dz, dw, live) = (self.incoming(c), self.left.weights[inner_of], places.live_conv(c, true));
                inner.push(SeparableInnerJob {
                    x,
                    dz,
                    window,
                    depthwise,
                    pointwise,
                    da,
                    ci,
                    co,
                    dw,
                    live,
                    ..SeparableInnerJob::default()
                });
                taps.push(SeparableTapJob {
                    x,
                    window,
                    da,
                    ci,
                    dw: self.left.weights[taps_of],
                    live,
                    ..SeparableTapJob::default()
                });
                parts[usize::from(!conv.relu)].push(SeparableInputPart { window, da, depthwise, live });
            }
            let mut add = dense.contains(&i);
            for (parts, relu) in parts.iter().zip([true, false]) {
                if parts.is_empty() || i == NodeId(0) {
                    continue;
                }
                let [b, h, w, c] = dims(places.batch, &program.nodes[i]);
                let (x, n_parts) = (places.source(i, relu), parts.len() as i32);
                let (dx, live) = (self.dy[i], places.live_node(i, true));
                let job = SeparableInputJob {
                    x,
                    b,
                    h,
                    w,
                    c,
                    dx,
                    parts: tape.table(parts)?,
                    n_parts,
                    add: add.into(),
                    live,
                    ..SeparableInputJob::default()
                };
                let job = job.cut();
                if relu {
                    inputs.push(job)
                } else {
                    more.push(job)
                }
                add = true;
            }
        }
        let all = inner.iter().map(SeparableInnerJob::cost).sum();
        for job in &mut inner {
            *job = job.cut(all);
            job.parts = tape.floats("parts of gradients", job.parts_len())?;
            job.done = tape.counters(job.counters())?;
            scratch.push(job.parts);
        }
        let all = taps.iter().map(SeparableTapJob::cost).sum();
        for job in &mut taps {
            *job = job.cut(all);
            job.parts = tape.floats("parts of gradients", job.parts_len())?;
            job.done = tape.counters(job.counters())?;
            scratch.push(job.parts);
        }
        tape.launch(&inner)?;
        tape.launch(&inputs)?;
        tape.launch(&more)?;
        Ok(taps)
    }
}
