//! The GPU engine: runs a [`Program`] on a [`Gpu`]. It uses `ops::gpu` and no tensors.
//!
//! A program and a batch size are planned once: every buffer has its place, every kernel its table of jobs (`ops/gpu/jobs.cuh`),
//! and a pass is a list of launches that waits for nothing, so that it can be one CUDA graph. What is computed is what the CPU
//! engine ([`super::engine`]) computes, with the same fusions:
//! - forward ([`forward`]): a node is the sum of its terms, with the norms of its convolutions on the way in; all convolutions that
//!   read the nodes of a stage are one launch, and its last block makes the norms behind them;
//! - backward ([`backward`]): the gradients of norms are formed where they are read; all that arrives at the nodes of a stage, and
//!   the sums that the norms of their own terms need, are one launch.
//!
//! Every sum has its order, so the bits are the same from run to run. Which candidates a batch drew ([`Paths`]) stands on the device, where
//! the jobs of the others end at once: the plan stays as it is.

mod arena;
mod backward;
mod forward;
mod places;
mod tape;
mod train;

use super::ids::Table;
use super::program::{Conv, ConvId, Filter, MixId, NodeId, Norm, ParamId, Program};
use super::{Mode, Params, Paths};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::ops::conv::SMALL;
use crate::ops::gpu::jobs::{Address, Pass};
use crate::ops::gpu::{Gpu, Launch, Memory, download, upload};
use backward::{Left, flows};
use forward::Scored;
use places::{Live, Places, tapped_len};
use std::sync::Arc;
use tape::Tape;
use train::Training;

pub use super::engine::{Backward, Forward, Input};
pub use train::Trained;

/// A program with its places and launches for one batch size, on one device.
pub struct GpuEngine {
    gpu: Arc<dyn Gpu>,
    program: Program,
    batch: usize,
    forward: Vec<Launch>,
    backward: Vec<Launch>,
    scoring: Vec<Launch>,
    at: Ends,
    running: Vec<Running>,
    left: Left,
    scored: Vec<Scored>,
    scores: Address,
    /// How the last forward pass was made.
    paths: Paths,
    /// The mixing weights of the candidates that count for nothing.
    left_out: Table<MixId, bool>,
    /// The weights that something flows to; those of candidates that count for nothing get nothing.
    flows: Table<ParamId, bool>,
    live: Live,
    /// Numbers of each parameter.
    lens: Table<ParamId, usize>,
    training: Option<Training>,
    /// What all addresses lie in.
    _memory: Vec<Memory>,
}

/// Where a pass begins and ends.
struct Ends {
    pass: Address,
    input: Address,
    mix: Address,
    scales: Address,
    live: Address,
    live_conv_back: Address,
    /// Parameters.
    values: Table<ParamId, Address>,
    logits: Address,
    tapped: Address,
    outward: Address,
}

/// Running statistics: which, where the new ones stand, how many.
struct Running {
    id: ParamId,
    at: Address,
    len: usize,
}

impl GpuEngine {
    /// For batches of `batch` images. `all` computes nodes that the logits do not depend on, too (their candidates are scored all
    /// the same); `scales`: drop paths that the program knows of.
    ///
    /// # Errors
    /// The device's, if its memory does not suffice; a program that is too large for the kernels.
    pub fn new(
        program: Program,
        batch: usize,
        all: bool,
        scales: usize,
        params: &Params,
        gpu: Arc<dyn Gpu>,
    ) -> Result<Self> {
        check_sizes(&program, batch)?;
        let useful = program.useful();
        let mut wanted = useful.clone();
        wanted.items_mut().iter_mut().for_each(|w| *w |= all);
        let write = |tape: &mut Tape| write(&program, batch, (&useful, &wanted), params, scales, tape);
        let mut tape = Tape::for_all(gpu.clone(), write)?;
        let Written { pass, places, forward, scoring, scores, scored, backward, left } = write(&mut tape)?;
        let running = running(&places, &wanted);
        let live_conv_back = places.live_conv(ConvId(0), true);
        let Places { lens, values, input, mix, scales, live, logits, tapped, outward, .. } = places;
        let at = Ends { pass, input, mix, scales, live, live_conv_back, values, logits, tapped, outward };
        let _memory = tape.finish()?;
        let flows = flows(&program, &useful, lens.len());
        Ok(GpuEngine {
            gpu,
            program,
            batch,
            forward,
            backward,
            scoring,
            at,
            running,
            left,
            scored,
            scores,
            paths: Paths::All,
            // Not what the device holds: the first pass brings it.
            left_out: Table::default(),
            live: Live { flags: Vec::new() },
            flows,
            training: None,
            lens,
            _memory,
        })
    }

    /// Run the network; `score` measures every candidate on the way.
    pub fn forward(&mut self, input: Input<'_>, score: bool) -> Result<Forward> {
        self.program.check_statistics(self.batch, input.mode)?;
        interrupt::check()?;
        self.bring(input, Pass::default())?;
        let gpu = &*self.gpu;
        gpu.launch(&self.forward, self.at.pass)?;
        if score {
            gpu.launch(&self.scoring, self.at.pass)?;
        }
        let logits = download(gpu, self.at.logits, self.batch * self.program.head.classes)?;
        let tapped = download(gpu, self.at.tapped, tapped_len(&self.program, self.batch))?;
        let moves = |_: &&Running| input.mode == Mode::Train;
        let moved = |r: &Running| Ok((r.id, download(gpu, r.at, r.len)?));
        let running = self.running.iter().filter(moves).map(moved).collect::<Result<_>>()?;
        let scores = if score { self.scores()? } else { Table::filled(self.program.n_mix, 0.0) };
        gpu.synchronize()?;
        Ok(Forward { logits, running, scores, tapped })
    }

    /// Backward from the gradient of the logits of the last forward pass, and behind it that of what went out by the tap.
    pub fn backward(&mut self, gradient: &[f32], want_mix: bool) -> Result<Backward> {
        interrupt::check()?;
        let gpu = &*self.gpu;
        upload(gpu, self.at.outward, gradient)?;
        if self.left_out.items().contains(&true) {
            // A node that is left out leaves nothing, not what was there.
            gpu.zero(self.left.parts.0, 8 * self.left.parts.1)?;
        }
        gpu.launch(&self.backward, self.at.pass)?;
        let weight = |i| self.flows[i].then(|| download(gpu, self.left.weights[i], self.lens[i])).transpose();
        let params = self.lens.ids().map(weight).collect::<Result<_>>()?;
        let mix = if want_mix { self.mix_gradient()? } else { Table::filled(self.program.n_mix, 0.0) };
        gpu.synchronize()?;
        Ok(Backward { params, mix, along: Table::default(), input: vec![] })
    }

    /// Seconds of each launch of a forward and of a backward pass by itself: its kernel, its blocks.
    pub fn times(&self) -> Result<Vec<(&'static str, u32, f64)>> {
        let launches = [&self.forward[..], &self.backward[..]].concat();
        let seconds = self.gpu.time(&launches, self.at.pass)?;
        Ok(launches.iter().zip(seconds).map(|(launch, s)| (launch.kernel, launch.blocks, s)).collect())
    }

    /// Brings to the device what a pass reads.
    fn bring(&mut self, input: Input<'_>, pass: Pass) -> Result<()> {
        self.route(input.mix, input.paths)?;
        let mode = match input.mode {
            Mode::Train => 0,
            Mode::Batch => 1,
            Mode::Eval => 2,
        };
        let (gpu, drawn) = (&*self.gpu, self.left_out.items().contains(&true).into());
        upload(gpu, self.at.pass, &[Pass { mode, images: self.batch as i32, drawn, ..pass }])?;
        upload(gpu, self.at.input, input.x)?;
        upload(gpu, self.at.mix, input.mix)?;
        upload(gpu, self.at.scales, input.scales)
    }

    /// Which candidates count for nothing.
    fn route(&mut self, mix: &[f32], paths: Paths) -> Result<()> {
        self.paths = paths;
        let out = self.program.left_out(mix, paths);
        if out != self.left_out {
            let (drawn, _) = self.program.without(&out);
            self.flows = flows(&drawn, &drawn.useful(), self.lens.len());
            self.live = Live::new(&self.program, &out);
            upload(&*self.gpu, self.at.live, &self.live.flags)?;
            self.left_out = out;
        }
        Ok(())
    }

    fn scores(&self) -> Result<Table<MixId, f64>> {
        let slots = self.scored.iter().map(|s| s.slot + 1).max().unwrap_or(0);
        let values: Vec<f64> = download(&*self.gpu, self.scores, slots)?;
        let mut scores = Table::filled(self.program.n_mix, 0.0);
        self.scored.iter().for_each(|s| scores[s.mix] += values[s.slot]);
        Ok(scores)
    }

    fn mix_gradient(&self) -> Result<Table<MixId, f32>> {
        let gpu = &*self.gpu;
        let mix: Vec<f32> = download(gpu, self.left.mix, self.program.n_mix)?;
        let mut mix: Table<MixId, f32> = mix.into_iter().collect();
        if self.paths == Paths::All {
            return Ok(mix);
        }
        self.left_out.ids().filter(|&i| self.left_out[i]).for_each(|i| mix[i] = 0.0);
        if self.paths == Paths::DrawnWithGhosts {
            for &(at, groups, node) in &self.left.ghosts {
                let sum: f64 = download::<f64>(gpu, at, groups)?.iter().sum();
                if !self.live.is_useful(&self.program, node) {
                    continue;
                }
                for &i in self.program.nodes[node].mixed.iter().filter(|&&i| self.left_out[i]) {
                    mix[i] += sum as f32;
                }
            }
        }
        Ok(mix)
    }
}

/// A program with its places, written into a tape.
struct Written<'p> {
    pass: Address,
    places: Places<'p>,
    forward: Vec<Launch>,
    scoring: Vec<Launch>,
    scores: Address,
    scored: Vec<Scored>,
    backward: Vec<Launch>,
    left: Left,
}

fn write<'p>(
    program: &'p Program,
    batch: usize,
    (useful, wanted): (&Table<NodeId, bool>, &Table<NodeId, bool>),
    params: &Params,
    scales: usize,
    tape: &mut Tape,
) -> Result<Written<'p>> {
    let pass = tape.take("pass", size_of::<Pass>())?;
    let places = Places::new(program, batch, wanted, params, tape, scales)?;
    places.write_forward(tape, wanted)?;
    let forward = tape.part();
    let (scores, scored) = places.write_scores(tape, wanted)?;
    let scoring = tape.part();
    let left = places.write_backward(tape, useful)?;
    let backward = tape.part();
    Ok(Written { pass, places, forward, scoring, scores, scored, backward, left })
}

/// An error for what the kernels do not count to: they number the floats of an image of the batch by an i32, and separable convolutions
/// keep a row of taps and all channels of a pixel in registers and shared memory.
fn check_sizes(program: &Program, batch: usize) -> Result<()> {
    let refused = |what: &str, got: String, most: String| Err(Error::invalid(format!("{what} on a GPU"), got, most));
    for node in program.nodes.items() {
        let floats = batch * node.size.len();
        if floats > i32::MAX as usize {
            let most =
                format!("at most {}: a smaller batch_size, fewer channels, smaller images, or --device cpu", i32::MAX);
            return refused("an image of a batch", format!("{floats} numbers"), most);
        }
    }
    for conv in program.convs.items() {
        if let Filter::Separable { shape, .. } = conv.filter {
            let channels = shape.c_in_p().max(shape.c_out_p());
            if channels > 1024 || shape.k > 7 {
                let got = format!("{channels} channels, {} x {} taps", shape.k, shape.k);
                return refused(
                    "a separable convolution",
                    got,
                    "at most 1024 channels and 7 x 7 taps, or --device cpu".into(),
                );
            }
        }
    }
    Ok(())
}

/// Whether every convolution is small, for a batch of so many images: then a ReLU whose input is within a rounding error of zero
/// turns a whole run (`ops/conv`).
pub fn is_small(program: &Program, batch: usize) -> bool {
    let macs = |c: &Conv| match c.filter {
        Filter::Dense { shape, .. } | Filter::Halves { shape, .. } => shape.macs(),
        Filter::Separable { shape, .. } => shape.macs(),
        Filter::Pool { .. } => 0,
    };
    program.convs.iter().all(|c| macs(c) * batch as u64 <= SMALL)
}

/// The running statistics that a pass moves.
fn running(places: &Places<'_>, wanted: &Table<NodeId, bool>) -> Vec<Running> {
    let program = places.program;
    let mut running = Vec::new();
    let mut add = |norm: Norm, place: &places::NormPlace, len: usize| {
        if let Norm::Affine(n) = norm {
            for (id, at) in [n.mean, n.var].into_iter().zip(place.moved) {
                running.push(Running { id, at, len });
            }
        }
    };
    for c in program.convs.ids().filter(|&c| wanted[program.convs[c].dst]) {
        let conv = &program.convs[c];
        add(conv.norm, &places.norms[c], program.nodes[conv.dst].channels);
    }
    let last = &program.nodes[program.nodes.last()];
    add(program.head.norm.map_or(Norm::None, Norm::Affine), &places.head_norm, last.channels);
    running
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::lower::{Wanted, lower};
    use crate::net::program::{Coef, Head, Norm};
    use crate::net::{Supernet, SupernetConfig};
    use crate::ops::depthwise::SeparableShape;
    use crate::ops::gpu::Arithmetic;
    use crate::ops::gpu::emulated::{Emulated, Schedule};
    use crate::space::SearchSpace;
    use candle_core::Device;

    /// PyTorch holds 1,059 and 5,700 MB.
    #[test]
    fn a_pass_of_the_papers_supernets_holds_little() {
        let gpu = Arc::new(Emulated::of(vec![], Arithmetic::Split, Schedule::Forward));
        for (space, cells, most) in [(SearchSpace::nas_bench_201(), 5, 700), (SearchSpace::darts(), 2, 2_000)] {
            let config = SupernetConfig { channels: 16, cells, ..Default::default() };
            let net = Supernet::new(space, config, &Device::Cpu).unwrap();
            let program = lower(net.graph(), (32, 32), Wanted::default()).unwrap();
            let useful = program.useful();
            let write = |tape: &mut Tape| write(&program, 64, (&useful, &useful), net.params(), 0, tape);
            let megabytes = Tape::measured(gpu.clone(), write).unwrap().1 / 1_000_000;
            assert!(
                megabytes > 100 && megabytes <= most,
                "{}: {megabytes} MB, at most {most} wanted",
                net.space().name()
            );
        }
    }

    #[test]
    fn what_the_kernels_do_not_count_to_is_refused_in_words() {
        let head = Head { norm: None, weight: ParamId(0), bias: ParamId(1), classes: 2 };
        for (channels, k, hw, batch, want) in [
            (1024, 7, 8, 2, None),
            (1032, 3, 8, 2, Some("got 1032 channels, 3 x 3 taps, expected at most 1024 channels")),
            (8, 9, 8, 2, Some("got 8 channels, 9 x 9 taps")),
            (8, 3, 1 << 13, 5, Some("got 2684354560 numbers, expected at most 2147483647: a smaller batch_size")),
        ] {
            let mut program = Program::new(channels, hw, hw, head, (0, 0));
            let dst = program.add_sum(channels, (hw, hw));
            let shape = SeparableShape { k, stride: 1, dilation: 1, c_in: channels, c_out: channels, h: hw, w: hw };
            let filter = Filter::Separable { shape, depthwise: ParamId(2), pointwise: ParamId(3) };
            program.add_conv(Conv { src: NodeId(0), dst, relu: true, filter, norm: Norm::Batch }, Coef::One, vec![]);
            let got = check_sizes(&program, batch).err().map(|e| e.to_string());
            assert_eq!(got.is_some(), want.is_some(), "{got:?}");
            assert!(
                want.is_none_or(|want| got.as_ref().is_some_and(|got| got.contains(want))),
                "{got:?}, not {want:?}"
            );
        }
    }
}
