//! A step of training that never leaves the device: forward, loss, backward, clipping, SGD and running statistics, as one graph.

use super::backward::weights_of;
use super::tape::Tape;
use super::{GpuEngine, Input};
use crate::error::Result;
use crate::interrupt;
use crate::net::Mode;
use crate::net::ids::{ParamId, Table};
use crate::ops::gpu::jobs::{Address, CommitJob, LossJob, Pass, SgdJob, SgdState, blocks_of};
use crate::ops::gpu::{Graph, Memory, download, upload};
use crate::ops::sgd::Step;

/// What a step came to.
pub struct Trained {
    /// The mean cross-entropy.
    pub loss: f32,
    /// `[b, classes]`
    pub logits: Vec<f32>,
}

/// The rest of a step, besides forward and backward pass.
pub(super) struct Training {
    /// Where the momentum of each weight stands; 0 where it has none.
    momentum: Table<ParamId, Address>,
    labels: Address,
    loss: Address,
    graph: Box<dyn Graph>,
    _memory: Vec<Memory>,
}

/// Numbers of a weight that one block of SGD takes (sgd.cu).
const RUN: usize = 4096;

impl GpuEngine {
    /// One step on the mean cross-entropy of the labels `y`; `momentum` of the weights, 0 for what is not trained. Where
    /// a gradient or the loss is not finite nothing moves, and the answer is none.
    pub fn train(
        &mut self,
        input: Input<'_>,
        (y, smoothing): (&[u32], f64),
        (step, clip): (&Step, f64),
        momentum: &Table<ParamId, Address>,
    ) -> Result<Option<Trained>> {
        self.program.check_statistics(self.batch, Mode::Train)?;
        interrupt::check()?;
        if self.training.as_ref().is_none_or(|t| t.momentum != *momentum) {
            self.training = None;
            self.training = Some(self.write_training(momentum)?);
        }
        let pass = Pass {
            lr: step.lr as f32,
            momentum: step.momentum as f32,
            decay: step.weight_decay as f32,
            clip: clip as f32,
            nesterov: step.nesterov.into(),
            smoothing: smoothing as f32,
            ..Pass::default()
        };
        self.bring(Input { mode: Mode::Train, ..input }, pass)?;
        let Some(training) = &self.training else { unreachable!("written above") };
        let gpu = &*self.gpu;
        let labels: Vec<i32> = y.iter().map(|&y| y as i32).collect();
        upload(gpu, training.labels, &labels)?;
        training.graph.launch()?;
        // The loss, how many were right, and what the step came to, beside each other; the step is over then.
        let (end, logits) = (size_of::<[f64; 2]>(), self.batch * self.program.head.classes);
        let ends: Vec<u8> = download(gpu, training.loss, end + size_of::<SgdState>())?;
        let loss: f64 = bytemuck::pod_read_unaligned(&ends[..size_of::<f64>()]);
        let state: SgdState = bytemuck::pod_read_unaligned(&ends[end..]);
        let logits = download(gpu, self.at.logits, logits)?;
        gpu.synchronize()?;
        let finite = state.finite != 0 && loss.is_finite();
        Ok(finite.then_some(Trained { loss: loss as f32, logits }))
    }

    fn write_training(&self, momentum: &Table<ParamId, Address>) -> Result<Training> {
        let mut tape = Tape::new(self.gpu.clone());
        let (classes, batch) = (self.program.head.classes, self.batch);
        let labels = tape.take("labels", 4 * batch)?;
        let loss = tape.take("loss and norm of the gradients", size_of::<[f64; 2]>() + size_of::<SgdState>())?;
        let state = loss + size_of::<[f64; 2]>() as u64;
        let mut launches = self.forward.clone();
        tape.launch(&[LossJob {
            b: batch as i32,
            classes: classes as i32,
            logits: self.at.logits,
            labels,
            dlogits: self.at.outward,
            loss,
            blocks: 1,
            unused2: 0,
        }])?;
        launches.extend(tape.part());
        launches.extend(&self.backward);
        // A weight of a candidate that was not drawn has no gradient.
        let mut live = momentum.beside(|_| 0);
        for c in self.program.convs.ids() {
            for id in weights_of(&self.program.convs[c]) {
                live[id] = self.at.live_conv_back + 4 * c.0 as u64;
            }
        }
        let mut jobs: Vec<SgdJob> = Vec::new();
        let mut first = 0;
        for id in momentum.ids().filter(|&i| momentum[i] != 0) {
            let (n, g) = (self.lens[id], self.left.weights[id]);
            let blocks = blocks_of(n, RUN);
            let (w, m, live) = (self.at.values[id], momentum[id], live[id]);
            jobs.push(SgdJob { w, m, g, live, n: n as i32, first, state, blocks, ..SgdJob::default() });
            first += blocks;
        }
        let (parts, done) = (tape.doubles("sums of squares", first as usize)?, tape.counters(1)?);
        jobs.iter_mut().for_each(|job| (job.parts, job.done, job.all_blocks) = (parts, done, first));
        tape.launch_as("sgd_norm", &jobs)?;
        tape.launch_as("sgd_step", &jobs)?;
        let (spoiled, done, all) = (tape.counters(1)?, tape.counters(1)?, self.running.len() as i32);
        let commit = |r: &super::Running| {
            let (from, to, n) = (r.at, self.at.values[r.id], r.len as i32);
            CommitJob { from, to, n, all, spoiled, done, state }
        };
        let commits: Vec<CommitJob> = self.running.iter().map(commit).collect();
        tape.launch_as("commit_check", &commits)?;
        tape.launch(&commits)?;
        launches.extend(tape.part());
        let _memory = tape.finish()?;
        let graph = self.gpu.graph(&launches, self.at.pass)?;
        Ok(Training { momentum: momentum.clone(), labels, loss, graph, _memory })
    }
}
