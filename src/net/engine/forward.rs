//! The forward pass: node by node, [`super`] says how.

use super::fill::NodeSum;
use super::gates::normed;
use super::norm::{NormState, batch_moments, moved, narrow};
use super::profile::{elsewhere, timed};
use super::{Engine, Input, Values, in_pool};
use crate::error::Result;
use crate::interrupt;
use crate::net::Mode;
use crate::net::ids::Table;
use crate::net::program::{Coef, ConvId, MixId, NodeId, Norm, ParamId, Term};
use crate::ops::buffer::Buffer;
use crate::ops::{head, iim, linear_sum, pool};
use rayon::prelude::*;
use std::mem::take;

/// What a forward pass comes to.
pub struct Forward {
    /// `[b, classes]`
    pub logits: Vec<f32>,
    /// New values of running statistics (train mode).
    pub running: Vec<(ParamId, Vec<f32>)>,
    /// If asked for: the sum over images, and over the cells of a type, of the score of each candidate.
    pub scores: Table<MixId, f64>,
    /// What goes out through the tap, `[b, h, w, c]`.
    pub tapped: Vec<f32>,
}

/// One block of images of a pass over a node.
struct ForwardBlock<'a> {
    node: NodeId,
    /// Which node of the pass.
    at: usize,
    /// First image.
    first: usize,
    images: usize,
    /// The images of the node, where it is kept.
    x: Option<&'a mut [f32]>,
    /// The outputs of the convolutions that read the node.
    z: Vec<&'a mut [f32]>,
    stats: Vec<&'a mut [f64]>,
    scores: &'a mut Vec<(MixId, f64)>,
}

/// What a pass writes for one node.
struct ForwardWork {
    node: NodeId,
    convs: Vec<ConvId>,
    x: Buffer,
    z: Vec<Buffer>,
    /// Per convolution, block by block.
    stats: Vec<Vec<f64>>,
    /// Per block: whose, and the score.
    scores: Vec<Vec<(MixId, f64)>>,
}

impl Engine {
    /// Run the network; `score` measures every candidate on the way.
    pub fn forward(&mut self, values: Values<'_>, input: Input<'_>, score: bool) -> Result<Forward> {
        in_pool(|| self.forward_pass(values, input, score))
    }

    fn forward_pass(&mut self, values: Values<'_>, input: Input<'_>, score: bool) -> Result<Forward> {
        self.program.check_statistics(self.batch, input.mode)?;
        self.route(input.mix, input.paths)?;
        self.mix = input.mix.iter().copied().collect();
        self.scales = input.scales.to_vec();
        self.dropout = input.dropout;
        (self.mode, self.paths) = (input.mode, input.paths);
        let (convs, z) = (self.program.convs.items(), self.z.items());
        self.filters.items_mut().par_iter_mut().zip(self.plans.items()).zip(convs).zip(z).for_each(
            |(((filter, plan), conv), z)| {
                if !z.is_empty() {
                    timed(|| elsewhere("packing of weights", false), || filter.pack(plan, &conv.filter, values));
                }
            },
        );
        let mut out = Forward {
            logits: Vec::new(),
            running: Vec::new(),
            scores: Table::filled(self.program.n_mix, 0.0),
            tapped: Vec::new(),
        };
        for stage in self.stages.clone() {
            interrupt::check()?;
            self.forward_stage(stage, values, input, score, &mut out)?;
        }
        timed(|| elsewhere("head", false), || self.forward_head(values, &mut out))?;
        out.tapped = self.tapped();
        Ok(out)
    }

    fn forward_stage(
        &mut self,
        stage: Vec<NodeId>,
        values: Values<'_>,
        input: Input<'_>,
        score: bool,
        out: &mut Forward,
    ) -> Result<()> {
        let nodes: Vec<NodeId> = stage.into_iter().filter(|&i| self.wanted[i]).collect();
        let mut works: Vec<ForwardWork> = nodes.iter().map(|&i| self.forward_work(i)).collect();
        let sums: Vec<_> = nodes.iter().map(|&i| self.shared_sum(i)).collect();
        let blocks = works.iter_mut().enumerate().flat_map(|(at, work)| self.forward_blocks(at, work)).collect();
        self.for_each_block(blocks, |block, scratch| {
            self.forward_block(sums[block.at].as_ref(), input.x, block, score, scratch);
            Ok(())
        })?;
        drop(sums);
        for work in works {
            self.x[work.node] = work.x;
            for (&c, z) in work.convs.iter().zip(work.z) {
                self.z[c] = z;
            }
            for (&c, stats) in work.convs.iter().zip(&work.stats) {
                self.norms[c] = self.conv_norm(c, stats, values, out);
            }
            for (mix, score) in work.scores.concat() {
                out.scores[mix] += score;
            }
        }
        Ok(())
    }

    fn forward_work(&mut self, node: NodeId) -> ForwardWork {
        let convs = self.groups[node].concat();
        let n_blocks = self.batch.div_ceil(self.blocks[node]);
        let stats_len = |&c: &ConvId| n_blocks * 2 * self.program.nodes[self.program.convs[c].dst].size.c;
        ForwardWork {
            node,
            stats: convs.iter().map(|c| vec![0.0; stats_len(c)]).collect(),
            scores: vec![Vec::new(); n_blocks],
            x: take(&mut self.x[node]),
            z: convs.iter().map(|&c| take(&mut self.z[c])).collect(),
            convs,
        }
    }

    fn forward_blocks<'a>(&self, at: usize, work: &'a mut ForwardWork) -> Vec<ForwardBlock<'a>> {
        let ForwardWork { node, convs, x, z, stats, scores } = work;
        let (node, len, size) = (*node, self.blocks[*node], self.program.nodes[*node].size.len());
        let mut x = x.chunks_mut(len * size);
        let mut z: Vec<_> = z.iter_mut().zip(&*convs).map(|(z, &c)| z.chunks_mut(len * self.out_len(c))).collect();
        let n_blocks = scores.len();
        let mut stats: Vec<_> = stats
            .iter_mut()
            .map(|s| {
                let len = s.len() / n_blocks;
                s.chunks_mut(len)
            })
            .collect();
        let block = |(b, scores)| ForwardBlock {
            node,
            at,
            first: b * len,
            images: len.min(self.batch - b * len),
            x: x.next(),
            z: z.iter_mut().filter_map(Iterator::next).collect(),
            stats: stats.iter_mut().filter_map(Iterator::next).collect(),
            scores,
        };
        scores.iter_mut().enumerate().map(block).collect()
    }

    fn forward_block(
        &self,
        sum: Option<&NodeSum<'_>>,
        input: &[f32],
        mut block: ForwardBlock<'_>,
        score: bool,
        scratch: &mut [f32],
    ) {
        let (node, n) = (block.node, block.images);
        let (own, scratch) = scratch.split_at_mut(self.own_len(node));
        let len = n * self.program.nodes[node].size.len();
        let x = block.x.take().unwrap_or_else(|| &mut own[..len]);
        timed(|| self.filling(node, n, false), || self.fill(node, sum, input, block.first, x, scratch));
        if score {
            timed(|| self.scoring(node, n), || self.score_block(x, &mut block, scratch));
        }
        let mut done = 0;
        for group in &self.groups[node] {
            let (z, stats) = (&mut block.z[done..][..group.len()], &mut block.stats[done..][..group.len()]);
            let relu = self.program.convs[group[0]].relu;
            let held = if relu { self.held(node, block.first, x) } else { None };
            let (x, relu) = held.as_deref().map_or((&*x, relu), |x| (x, false));
            timed(|| self.convolving(group, n, false), || self.group(group).forward(relu, n, x, z, stats, scratch));
            done += group.len();
        }
    }

    /// Floats of one image of a convolution's output.
    pub(super) fn out_len(&self, conv: ConvId) -> usize {
        self.program.nodes[self.program.convs[conv].dst].size.len()
    }

    /// Scores of the candidates into the node that have a convolution, and of the copies and the pools out of it (which are the
    /// same for every edge out of it).
    fn score_block(&self, x: &[f32], block: &mut ForwardBlock<'_>, scratch: &mut [f32]) {
        let node = &self.program.nodes[block.node];
        let (c, pixels) = (node.size.c, node.size.h * node.size.w);
        for term in node.origin.terms() {
            if let Term::Conv { conv, coef } = *term
                && let Some(mix) = self.candidate(coef)
            {
                let z = &self.z[conv][block.first * node.size.len()..][..x.len()];
                let norm = &self.norms[conv];
                block.scores.push((mix, iim::score(z, &narrow(&norm.a), &narrow(&norm.t), node.channels, pixels)));
            }
        }
        let (one, zero) = (vec![1.0; c], vec![0.0; c]);
        let mut share = |coef: Coef, score: f64| {
            if let Some(mix) = self.candidate(coef) {
                block.scores.push((mix, score));
            }
        };
        if node.copies.iter().any(|&(_, coef)| self.candidate(coef).is_some()) {
            let score = iim::score(x, &one, &zero, node.channels, pixels);
            node.copies.iter().for_each(|&(_, coef)| share(coef, score));
        }
        for pools in same_stride(&node.pools3) {
            let (stride, out) = (pools[0].1, node.size.strided(pools[0].1));
            let pooled = &mut scratch[..block.images * out.len()];
            pooled.fill(0.0);
            pool::avg3_add(x, pooled, node.size, stride);
            let score = iim::score(pooled, &one, &zero, node.channels, out.h * out.w);
            pools.iter().for_each(|&(_, _, coef)| share(coef, score));
        }
    }

    /// The norm behind a convolution, from the blocks' sums; running statistics move in train mode.
    fn conv_norm(&self, c: ConvId, stats: &[f64], values: Values<'_>, out: &mut Forward) -> NormState {
        let conv = &self.program.convs[c];
        let node = &self.program.nodes[conv.dst];
        let padded = node.size.c;
        let pixels = self.batch * node.size.h * node.size.w;
        let (mean, var) = batch_moments(&add_blocks(stats, 2 * padded), pixels);
        match conv.norm {
            Norm::None => NormState::identity(node.channels, padded),
            Norm::Batch => {
                let mut state = NormState::new(&mean, &var, None, node.channels, padded);
                // A bias in front of it cancels, unless it is not finite.
                let biases = self.program.cancelled[c].iter().flat_map(|&p| values[p]);
                state.t.iter_mut().zip(biases).for_each(|(t, b)| *t += 0.0 * f64::from(*b));
                state
            }
            Norm::Affine(norm) => self.affine(&norm, (&mean, &var), (pixels, node.channels, padded), values, out),
        }
    }

    fn affine(
        &self,
        norm: &crate::net::program::AffineNorm,
        (mean, var): (&[f64], &[f64]),
        (pixels, channels, padded): (usize, usize, usize),
        values: Values<'_>,
        out: &mut Forward,
    ) -> NormState {
        if self.mode == Mode::Eval {
            return NormState::running(norm, values, padded);
        }
        if self.mode == Mode::Train {
            let unbias = pixels as f64 / (pixels.max(2) - 1) as f64;
            out.running.push((norm.mean, moved(values[norm.mean], mean, 1.0)));
            out.running.push((norm.var, moved(values[norm.var], var, unbias)));
        }
        NormState::new(mean, var, Some((values[norm.gamma], values[norm.beta])), channels, padded)
    }

    fn forward_head(&mut self, values: Values<'_>, out: &mut Forward) -> Result<()> {
        let last = self.program.nodes.last();
        let (node, block, batch) = (&self.program.nodes[last], self.blocks[last], self.batch);
        let (size, head) = (node.size, self.program.head);
        let (pixels, x) = (size.h * size.w, &self.x[last]);
        let state = match head.norm {
            None => NormState::identity(node.channels, size.c),
            Some(norm) if self.mode != Mode::Eval => {
                let sums: Vec<Vec<f64>> = x
                    .par_chunks(block * size.len())
                    .with_max_len(1)
                    .map(|x| {
                        let mut sums = vec![0.0; 2 * size.c];
                        linear_sum::sums(x, &[x], size.c, &mut sums);
                        sums
                    })
                    .collect();
                let (mean, var) = batch_moments(&add_blocks(&sums.concat(), 2 * size.c), batch * pixels);
                self.affine(&norm, (&mean, &var), (batch * pixels, node.channels, size.c), values, out)
            }
            Some(norm) => NormState::running(&norm, values, size.c),
        };
        let (a, t) = (narrow(&state.a), narrow(&state.t));
        let mut pooled = vec![0.0; batch * size.c];
        pooled.par_chunks_mut(size.c).zip(x.par_chunks(size.len())).enumerate().for_each(|(image, (p, x))| {
            match (head.norm, self.held_head(image, || normed(x, &a, &t))) {
                (Some(_), None) => head::pool(x, &a, &t, pixels, p),
                (_, held) => head::mean(held.as_deref().unwrap_or(x), size.c, pixels, p),
            }
        });
        out.logits = vec![0.0; batch * head.classes];
        head::linear(&pooled, size.c, values[head.weight], values[head.bias], &mut out.logits);
        (self.pooled, self.head_norm) = (pooled, state);
        Ok(())
    }
}

/// The average pools out of a node (node, stride, weight), those of one stride together.
pub(super) fn same_stride(pools: &[(NodeId, usize, Coef)]) -> Vec<Vec<(NodeId, usize, Coef)>> {
    let mut groups: Vec<Vec<(NodeId, usize, Coef)>> = Vec::new();
    for &pool in pools {
        match groups.iter_mut().find(|g| g[0].1 == pool.1) {
            Some(group) => group.push(pool),
            None => groups.push(vec![pool]),
        }
    }
    groups
}

/// Sum of blocks' partial sums, in their order.
pub(super) fn add_blocks(parts: &[f64], len: usize) -> Vec<f64> {
    let mut total = vec![0.0; len];
    for part in parts.chunks_exact(len) {
        for (t, p) in total.iter_mut().zip(part) {
            *t += p;
        }
    }
    total
}
