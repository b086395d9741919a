//! Where the time of passes goes, and what is done in it: operations and bytes as counted from the program. For benches
//! (`benches/ceiling.rs`); while it is off it costs a load a block.
//!
//! Operations are those of direct convolutions, a multiply-add counts as two: Winograd does fewer, and may pass the ceiling.
//! Bytes are what a pass reads and writes of whole-batch buffers, once each: not scratch, not what it has just had in cache.

use super::Engine;
use crate::net::graph::PoolKind;
use crate::net::program::{ConvId, Filter, NodeId, Norm, Origin, Term};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

static ON: AtomicBool = AtomicBool::new(false);
static TABLE: Mutex<BTreeMap<ProfiledPart, ProfiledCost>> = Mutex::new(BTreeMap::new());

/// A kind of work in the passes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProfiledPart {
    /// Whether it is done in the backward pass.
    pub backward: bool,
    /// The kind of work.
    pub op: String,
    /// Pixels a side and channels of the node that the pass is over; 0 where it is over none.
    pub pixels: usize,
    /// Channels.
    pub channels: usize,
}

/// What a kind of work took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProfiledCost {
    /// Seconds of all threads together.
    pub seconds: f64,
    /// Operations in floating point.
    pub operations: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// Begin to count.
pub fn start() {
    if let Ok(mut table) = TABLE.lock() {
        table.clear();
    }
    ON.store(true, Relaxed);
}

/// Stop counting; gives what was counted.
pub fn stop() -> Vec<(ProfiledPart, ProfiledCost)> {
    ON.store(false, Relaxed);
    TABLE.lock().map(|mut t| std::mem::take(&mut *t)).unwrap_or_default().into_iter().collect()
}

/// What `f` gives; counted under `part` with its operations and bytes, if that is on.
pub(super) fn timed<R>(part: impl FnOnce() -> (ProfiledPart, u64, u64), f: impl FnOnce() -> R) -> R {
    if !ON.load(Relaxed) {
        return f();
    }
    let start = Instant::now();
    let result = f();
    let seconds = start.elapsed().as_secs_f64();
    let (part, operations, bytes) = part();
    if let Ok(mut table) = TABLE.lock() {
        let cost = table.entry(part).or_default();
        *cost = ProfiledCost {
            seconds: cost.seconds + seconds,
            operations: cost.operations + operations,
            bytes: cost.bytes + bytes,
        };
    }
    result
}

/// Work that is over no node in particular.
pub(super) fn elsewhere(op: &str, backward: bool) -> (ProfiledPart, u64, u64) {
    (ProfiledPart { backward, op: op.to_string(), pixels: 0, channels: 0 }, 0, 0)
}

/// For a block of `n` images of a pass over `node`.
impl Engine {
    fn part(&self, op: String, node: NodeId, backward: bool) -> ProfiledPart {
        let node = &self.program.nodes[node];
        ProfiledPart { backward, op, pixels: node.size.h, channels: node.channels }
    }

    fn bytes(&self, node: NodeId, n: usize) -> u64 {
        (size_of::<f32>() * n * self.program.nodes[node].size.len()) as u64
    }

    /// [`Engine::fill`].
    pub(super) fn filling(&self, node: NodeId, n: usize, backward: bool) -> (ProfiledPart, u64, u64) {
        let (origin, own) = (&self.program.nodes[node].origin, self.bytes(node, n));
        let read = |t: &Term| match *t {
            Term::Conv { .. } => own,
            Term::Copy { src, .. } | Term::AvgPool3 { src, .. } => self.bytes(src, n),
        };
        let (what, read) = match origin {
            Origin::Input => ("image", own),
            Origin::Sum(terms) => ("norm and sum", terms.iter().map(read).sum()),
            Origin::MaxPool3 { .. } => ("max pool", self.sources_bytes(node, n)),
            _ => ("reshape", self.sources_bytes(node, n)),
        };
        let written = if self.kept[node] && !backward { own } else { 0 };
        // A multiply-add a value that is read.
        (self.part(what.to_string(), node, backward), read / 2, read + written)
    }

    fn sources_bytes(&self, node: NodeId, n: usize) -> u64 {
        self.program.sources(node).into_iter().map(|s| self.bytes(s, n)).sum()
    }

    /// A group of siblings, either way: forward writes z; backward reads z and the gradient behind it for each.
    pub(super) fn convolving(&self, group: &[ConvId], n: usize, backward: bool) -> (ProfiledPart, u64, u64) {
        let first = &self.program.convs[group[0]];
        let of = |name: &str, k, stride, dilation| match (stride, dilation) {
            (1, 1) => format!("{name} {k}x{k}"),
            (s, 1) => format!("{name} {k}x{k} stride {s}"),
            (1, d) => format!("{name} {k}x{k} dilation {d}"),
            (s, d) => format!("{name} {k}x{k} stride {s} dilation {d}"),
        };
        let name = match first.filter {
            Filter::Dense { shape, .. } => of("conv", shape.k, shape.stride, 1),
            Filter::Halves { .. } => "conv 1x1 of halves".to_string(),
            Filter::Separable { shape, .. } if group.len() == 1 => {
                of("separable", shape.k, shape.stride, shape.dilation)
            }
            Filter::Separable { shape, .. } if shape.stride > 1 => "separable, all out of a node, stride 2".to_string(),
            Filter::Separable { .. } => "separable, all out of a node".to_string(),
            Filter::Pool { kind: Some(PoolKind::Average), stride, .. } => of("average pool", 3, stride, 1),
            Filter::Pool { kind: Some(PoolKind::Maximum), stride, .. } => of("max pool", 3, stride, 1),
            Filter::Pool { kind: None, .. } => "norm".to_string(),
        };
        let macs = |c: &ConvId| match self.program.convs[*c].filter {
            Filter::Dense { shape, .. } => shape.macs(),
            Filter::Halves { shape, .. } => shape.macs() / 2,
            Filter::Separable { shape, .. } => shape.macs(),
            Filter::Pool { .. } => 0,
        };
        let out = |c: &ConvId| {
            let conv = &self.program.convs[*c];
            self.bytes(conv.dst, n) * if backward && conv.norm != Norm::None { 2 } else { 1 }
        };
        let macs = n as u64 * group.iter().map(macs).sum::<u64>();
        // Backward: the gradients of the weights and, but for the image, of the input.
        let times = if !backward { 1 } else { 1 + u64::from(first.src > NodeId(0)) };
        (self.part(name, first.src, backward), 2 * times * macs, group.iter().map(out).sum())
    }

    /// What arrives at a node that is no convolution: reads the node and those gradients, writes its own.
    pub(super) fn gathering(&self, node: NodeId, n: usize) -> (ProfiledPart, u64, u64) {
        let Self { program, .. } = self;
        let this = &program.nodes[node];
        let from =
            this.copies.iter().map(|c| c.0).chain(this.pools3.iter().map(|p| p.0)).chain(this.derived.iter().copied());
        let read: u64 = from.map(|dst| self.bytes(dst, n)).sum();
        let own = self.bytes(node, n) * if self.kept[node] { 2 } else { 1 };
        (self.part("gradients of copies and pools".into(), node, true), read / 2, read + own)
    }

    /// The sums that the norms of the convolutions into a node need: reads their outputs.
    pub(super) fn summing(&self, node: NodeId, n: usize) -> (ProfiledPart, u64, u64) {
        let convs = self.program.nodes[node].origin.terms().iter().filter(|t| matches!(t, Term::Conv { .. })).count();
        let read = convs as u64 * self.bytes(node, n);
        (self.part("sums of norms".into(), node, true), read / 2, read)
    }

    /// Scores of the candidates into a node, and out of it.
    pub(super) fn scoring(&self, node: NodeId, n: usize) -> (ProfiledPart, u64, u64) {
        let (part, operations, bytes) = self.summing(node, n);
        (ProfiledPart { backward: false, op: "scores".into(), ..part }, 3 * operations, bytes)
    }
}
