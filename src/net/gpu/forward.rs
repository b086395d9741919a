//! The launches of a forward pass, stage by stage: nodes, then the convolutions that read them, with the norms behind these.

use super::places::{PackedPlace, Places, dims, group_sums, is_virtual, sums, window};
use super::tape::Tape;
use crate::error::Result;
use crate::net::graph::PoolKind;
use crate::net::ids::Table;
use crate::net::program::{Coef, ConvId, Filter, MixId, NodeId, Origin, Term};
use crate::ops::conv::gpu::TOGETHER;
use crate::ops::gpu::jobs::{
    ConvForwardJob, ConvForwardOf, DeriveJob, FillJob, FillTerm, Groups, HeadJob, MomentsJob, PackJob, PoolForwardJob,
    ScoreJob, SeparableForwardJob, Source, TapJob, Window, blocks_of,
};

/// Where a candidate's score will stand, an f64, and whose it is.
pub struct Scored {
    /// Index in the results.
    pub slot: usize,
    pub mix: MixId,
}

/// Dense convolutions of one image by the same windows.
struct Together {
    x: Source,
    window: Window,
    of: Vec<ConvForwardOf>,
}

impl Together {
    /// Whether another one of this image and these windows may be one of them.
    fn takes(&self, x: &Source, window: &Window) -> bool {
        let is_narrow = window.oc <= 16 && self.of.len() < TOGETHER;
        is_narrow && (x, window) == (&self.x, &self.window)
    }
}

impl Places<'_> {
    /// Brings the weights into the order of the kernels, then every wanted node, then the head.
    pub fn write_forward(&self, tape: &mut Tape, wanted: &Table<NodeId, bool>) -> Result<()> {
        self.write_packing(tape, wanted)?;
        for stage in self.program.stages() {
            let nodes: Vec<NodeId> = stage.into_iter().filter(|&i| wanted[i]).collect();
            let reads = |&i: &NodeId| self.program.nodes[i].convs.iter().flatten().copied();
            let convs: Vec<ConvId> =
                nodes.iter().flat_map(reads).filter(|&c| wanted[self.program.convs[c].dst]).collect();
            let read = |i: NodeId| convs.iter().any(|&c| self.program.convs[c].src == i);
            let later = self.write_nodes(tape, &nodes, read)?;
            self.write_convs(tape, &convs, &later)?;
        }
        self.write_head(tape)
    }

    fn write_packing(&self, tape: &mut Tape, wanted: &Table<NodeId, bool>) -> Result<()> {
        let program = self.program;
        let mut packs = Vec::new();
        for c in program.convs.ids().filter(|&c| wanted[program.convs[c].dst]) {
            let place = self.packed[c];
            let dense = |kind: i32, k: usize, (ci, co): (usize, usize), w| {
                let [ci_p, co_p] = [ci, co].map(|n| crate::ops::padded(n) as i32);
                let [k, ci, co] = [k, ci, co].map(|n| n as i32);
                PackJob { kind, k, ci, co, ci_p, co_p, w, forward: place.forward, backward: place.backward }
            };
            match program.convs[c].filter {
                Filter::Dense { shape, weight } => {
                    packs.push(dense(0, shape.k, (shape.c_in, shape.c_out), [self.values[weight], 0]));
                }
                Filter::Halves { shape, weights } => {
                    packs.push(dense(1, 1, (shape.c_in, shape.c_out), weights.map(|w| self.values[w])));
                }
                Filter::Separable { shape, depthwise, pointwise } => {
                    packs.push(dense(0, 1, (shape.c_in, shape.c_out), [self.values[pointwise], 0]));
                    let [k, ci, ci_p] = [shape.k, shape.c_in, shape.c_in_p()].map(|n| n as i32);
                    let w = [self.values[depthwise], 0];
                    packs.push(PackJob { kind: 2, k, ci, ci_p, w, forward: place.depthwise, ..PackJob::default() });
                }
                Filter::Pool { .. } => {}
            }
        }
        tape.launch(&packs)
    }

    /// The nodes of a stage. Those that are made of others and that no convolution of the stage reads are for the caller to launch,
    /// beside the convolutions.
    fn write_nodes(&self, tape: &mut Tape, nodes: &[NodeId], read: impl Fn(NodeId) -> bool) -> Result<Vec<DeriveJob>> {
        let (mut derived, mut later, mut filled) = (Vec::new(), Vec::new(), Vec::new());
        for &i in nodes.iter().filter(|&&i| !is_virtual(self.program, i)) {
            match &self.program.nodes[i].origin {
                Origin::Sum(terms) => filled.push(self.fill(tape, i, terms)?),
                origin if read(i) => derived.extend(self.derive(i, origin)),
                origin => later.extend(self.derive(i, origin)),
            }
        }
        tape.launch(&derived)?;
        tape.launch(&filled)?;
        Ok(later)
    }

    fn fill(&self, tape: &mut Tape, i: NodeId, terms: &[Term]) -> Result<FillJob> {
        let node = &self.program.nodes[i];
        let term = |term: &Term| {
            let (mix, scale) = self.coef(term.coef());
            let own = FillTerm { mix, scale, ..FillTerm::default() };
            match *term {
                Term::Conv { conv, .. } => {
                    FillTerm { kind: 0, x: self.z[conv], a: self.norms[conv].a, t: self.norms[conv].t, ..own }
                }
                Term::Copy { src, .. } => FillTerm { kind: 1, x: self.x[src], ..own },
                Term::AvgPool3 { src, stride, .. } => {
                    let size = self.program.nodes[src].size;
                    let [h, w, stride] = [size.h, size.w, stride].map(|n| n as i32);
                    FillTerm { kind: 2, x: self.x[src], h, w, stride, ..own }
                }
            }
        };
        let terms: Vec<FillTerm> = terms.iter().map(term).collect();
        let [b, h, w, c] = dims(self.batch, node);
        let blocks = blocks_of(self.batch * node.size.len() / 4, 256);
        let (x, n_terms, live) = (self.x[i], terms.len() as i32, self.live_node(i, false));
        Ok(FillJob { b, h, w, c, x, n_terms, terms: tape.table(&terms)?, blocks, live })
    }

    fn derive(&self, i: NodeId, origin: &Origin) -> Vec<DeriveJob> {
        let node = &self.program.nodes[i];
        let [b, h, w, c] = dims(self.batch, node);
        let (y, choice, live) = (self.x[i], self.chosen[i], self.live_node(i, false));
        let job = |kind: i32, src: Option<NodeId>, stride: usize, at: usize, width: usize| {
            let from = &self.program.nodes[src.unwrap_or(i)];
            let [sh, sw, sc] = [from.size.h, from.size.w, from.size.c].map(|n| n as i32);
            let x = src.map_or(self.input, |src| self.x[src]);
            let blocks = blocks_of(self.batch * node.size.h * node.size.w * width, 1024);
            let [channels, stride, at, width] = [from.channels, stride, at, width].map(|n| n as i32);
            DeriveJob {
                kind,
                b,
                h,
                w,
                c,
                sh,
                sw,
                sc,
                channels,
                stride,
                at,
                width,
                x,
                y,
                choice,
                blocks,
                unused: 0,
                live,
            }
        };
        let all = node.size.c;
        match *origin {
            // No pass that leaves out values comes here.
            Origin::Sum(_) | Origin::Dropout { .. } => vec![],
            Origin::Input => vec![job(0, None, 1, 0, all)],
            Origin::AvgPool2(src) => vec![job(1, Some(src), 2, 0, all)],
            Origin::MaxPool2(src) => vec![job(5, Some(src), 2, 0, all)],
            Origin::MaxPool3 { src, stride } => vec![job(2, Some(src), stride, 0, all)],
            Origin::Halves(src) => vec![job(3, Some(src), 2, 0, all)],
            Origin::First { src, channels } => {
                vec![DeriveJob { channels: channels as i32, ..job(4, Some(src), 1, 0, all) }]
            }
            Origin::Shuffle { first, rest, groups } => {
                let n = node.channels / groups;
                let run = |job: DeriveJob| DeriveJob { channels: n as i32, ..job };
                vec![run(job(6, Some(first), groups, 0, n)), run(job(6, Some(rest), groups, n, all - n))]
            }
            Origin::Concat(ref parts) => {
                let mut at = 0;
                let part = |&src: &NodeId| {
                    let begins = at;
                    at += self.program.nodes[src].channels;
                    // The last part clears what is behind it.
                    let end = if at == node.channels { all } else { at };
                    job(4, Some(src), 1, begins, end - begins)
                };
                parts.iter().map(part).collect()
            }
        }
    }

    fn write_convs(&self, tape: &mut Tape, convs: &[ConvId], derived: &[DeriveJob]) -> Result<()> {
        let (mut dense, mut separable, mut pools) = (Vec::<Together>::new(), Vec::new(), Vec::new());
        for &c in convs {
            let conv = &self.program.convs[c];
            let (x, window, norm, z) = (self.source(conv.src, conv.relu), self.window(conv), self.norm(c), self.z[c]);
            let PackedPlace { depthwise, forward: weights, .. } = self.packed[c];
            let live = self.live_conv(c, false);
            match conv.filter {
                Filter::Dense { .. } | Filter::Halves { .. } => {
                    let of = ConvForwardOf { weights, z, norm, live };
                    match dense.iter_mut().find(|job| job.takes(&x, &window)) {
                        Some(job) => job.of.push(of),
                        None => dense.push(Together { x, window, of: vec![of] }),
                    }
                }
                Filter::Separable { .. } => {
                    let pointwise = weights;
                    separable.push(SeparableForwardJob {
                        x,
                        window,
                        depthwise,
                        pointwise,
                        z,
                        norm,
                        live,
                        ..SeparableForwardJob::default()
                    });
                }
                Filter::Pool { kind, .. } => {
                    let choice = self.conv_chosen[c];
                    let kind = match kind {
                        Some(PoolKind::Average) => 0,
                        Some(PoolKind::Maximum) => 1,
                        None => 2,
                    };
                    pools.push(PoolForwardJob {
                        x: x.x,
                        window,
                        kind,
                        z,
                        choice,
                        norm,
                        live,
                        ..PoolForwardJob::default()
                    });
                }
            }
        }
        let mut parts = Vec::new();
        // The longest first.
        dense.sort_by_key(|job| std::cmp::Reverse(job.window.k));
        let jobs = dense.len();
        let whole = |Together { x, window, of }: Together| {
            let n_of = of.len() as i32;
            let mut job =
                ConvForwardJob { x, window, of: tape.table(&of)?, n_of, ..ConvForwardJob::default() }.cut(jobs);
            job.sums = sums(tape, job.sums_len(), 1)?;
            parts.push(job.sums.parts);
            Ok(job)
        };
        let dense: Vec<ConvForwardJob> = dense.into_iter().map(whole).collect::<Result<_>>()?;
        let n_separable = separable.len();
        for job in &mut separable {
            *job = job.cut(n_separable);
            job.sums = sums(tape, job.sums_len(), 1)?;
            parts.push(job.sums.parts);
        }
        let n_pools = pools.len();
        for job in &mut pools {
            let Window { b, oh, ow, oc, .. } = job.window;
            let cut = Groups::of((b * oh * ow) as usize, oc as usize, n_pools, usize::MAX);
            (job.blocks, job.each) = (cut.all(), cut.pixels as i32);
            job.sums = group_sums(tape, cut, 2, oc as usize)?;
            parts.push(job.sums.parts);
        }
        tape.launch(&dense)?;
        if pools.is_empty() {
            tape.launch_both("separable_and_derived", &separable, derived)?;
        } else {
            tape.launch_both("separable_and_pools", &separable, &pools)?;
            tape.launch(derived)?;
        }
        parts.into_iter().for_each(|part| tape.give(part));
        Ok(())
    }

    /// Pixels of a node, of all images.
    pub(super) fn pixels(&self, i: NodeId) -> usize {
        let size = self.program.nodes[i].size;
        self.batch * size.h * size.w
    }

    fn write_head(&self, tape: &mut Tape) -> Result<()> {
        let program = self.program;
        let (last, head) = (program.nodes.last(), program.head);
        let node = &program.nodes[last];
        let (c, x) = (node.size.c as i32, self.x[last]);
        let mut job = HeadJob {
            b: self.batch as i32,
            pixels: (node.size.h * node.size.w) as i32,
            c,
            channels: node.channels as i32,
            classes: head.classes as i32,
            x,
            weight: self.values[head.weight],
            bias: self.values[head.bias],
            pooled: self.pooled,
            logits: self.logits,
            blocks: self.batch as i32,
            ..HeadJob::default()
        };
        if head.norm.is_some() {
            let pixels = self.pixels(last);
            let cut = Groups::of(pixels, node.size.c, 1, usize::MAX);
            let (sums, norm) = (group_sums(tape, cut, 2, node.size.c)?, self.norm_before_head());
            let (blocks, each) = (cut.all(), cut.pixels as i32);
            tape.launch(&[MomentsJob { x, pixels: pixels as i32, c, sums, norm, blocks, each }])?;
            tape.give(sums.parts);
            (job.a, job.t) = (self.head_norm.a, self.head_norm.t);
        }
        tape.launch(&[job])?;
        if let Some(tap) = program.tap {
            let node = &program.nodes[tap.node];
            let (oh, ow) = (tap.window.outputs(node.size.h), tap.window.outputs(node.size.w));
            let to = crate::ops::pool::Image { h: oh, w: ow, c: node.channels };
            let window = window(self.batch, node.size, to, [tap.window.kernel, tap.window.stride, 0, 1]);
            let (x, channels, y) = (self.x[tap.node], node.channels as i32, self.tapped);
            let blocks = blocks_of(self.batch * to.len(), 256);
            tape.launch(&[TapJob { x, window, channels, y, blocks, ..TapJob::default() }])?;
        }
        Ok(())
    }

    /// The scores of all candidates into and out of the wanted nodes: f64s at `scores`, and whose they are.
    pub fn write_scores(&self, tape: &mut Tape, wanted: &Table<NodeId, bool>) -> Result<(u64, Vec<Scored>)> {
        let program = self.program;
        let (mut jobs, mut scored) = (Vec::new(), Vec::new());
        for i in program.nodes.ids().filter(|&i| wanted[i]) {
            let node = &program.nodes[i];
            let [b, h, w, c] = dims(self.batch, node);
            let plain = ScoreJob { x: self.x[i], b, h, w, c, channels: node.channels as i32, ..ScoreJob::default() };
            let mut share = |scored: &mut Vec<Scored>, job: ScoreJob, coefs: &mut dyn Iterator<Item = Coef>| {
                let before = scored.len();
                scored.extend(
                    coefs
                        .filter_map(|coef| coef.candidate(program.n_candidates))
                        .map(|mix| Scored { slot: jobs.len(), mix }),
                );
                if scored.len() > before {
                    jobs.push(job);
                }
            };
            for term in node.origin.terms() {
                if let Term::Conv { conv, coef } = *term {
                    let norm = &self.norms[conv];
                    let job = ScoreJob { x: self.z[conv], a: norm.a, t: norm.t, ..plain };
                    share(&mut scored, job, &mut std::iter::once(coef));
                }
            }
            share(&mut scored, plain, &mut node.copies.iter().map(|&(_, coef)| coef));
            for stride in [1, 2] {
                let out = node.size.strided(stride);
                let [h, w, sh, sw] = [out.h, out.w, node.size.h, node.size.w].map(|n| n as i32);
                let job = ScoreJob { h, w, sh, sw, stride: stride as i32, ..plain };
                let pools = node.pools3.iter().filter(|(_, s, _)| *s == stride).map(|&(.., coef)| coef);
                share(&mut scored, job, &mut { pools });
            }
        }
        let scores = tape.doubles("scores", jobs.len().max(1))?;
        for (slot, job) in jobs.iter_mut().enumerate() {
            job.blocks = blocks_of((job.b * job.h * job.w) as usize, 1024);
            let sums = sums(tape, job.blocks as usize, 1)?;
            (job.parts, job.done, job.score) = (sums.parts, sums.done, scores + 8 * slot as u64);
        }
        tape.launch(&jobs)?;
        jobs.iter().for_each(|job| tape.give(job.parts));
        Ok((scores, scored))
    }
}
