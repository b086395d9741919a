//! The forward pass: node by node, [`super`] says how.

use super::norm::{NormState, batch_moments, moved, narrow};
use super::{Engine, Input, Values};
use crate::error::Result;
use crate::interrupt;
use crate::net::Mode;
use crate::net::program::{Coef, Norm, Term};
use crate::ops::buffer::Buffer;
use crate::ops::linear_sum::{Source, linear_sum};
use crate::ops::{conv, head, iim, linear_sum, pool};
use rayon::prelude::*;
use std::mem::take;
use std::slice::ChunksMut;

/// What a forward pass comes to.
pub struct Forward {
    /// `[b, classes]`
    pub logits: Vec<f32>,
    /// New values of running statistics, by position in [`crate::net::Params`] (train mode).
    pub running: Vec<(usize, Vec<f32>)>,
    /// If asked for: the sum over images, and over the cells of a type, of the score of each candidate, by mixing index.
    pub scores: Vec<f64>,
}

/// One block of images of the pass over a node.
struct Block<'a> {
    /// First image.
    first: usize,
    x: &'a mut [f32],
    /// Per convolution that reads the node.
    z: Vec<&'a mut [f32]>,
    stats: Vec<&'a mut [f64]>,
    scores: &'a mut Vec<(usize, f64)>,
}

impl Engine {
    /// Run the network; `score` measures every candidate on the way.
    pub fn forward(&mut self, values: Values<'_>, input: Input<'_>, score: bool) -> Result<Forward> {
        self.mix = input.mix.to_vec();
        self.mode = input.mode;
        let (convs, wanted) = (&self.program.convs, &self.wanted);
        self.filters.par_iter_mut().zip(&self.plans).zip(convs).for_each(|((filter, plan), conv)| {
            if wanted[conv.dst] {
                filter.pack(plan, values[conv.weight]);
            }
        });
        let mut out = Forward { logits: Vec::new(), running: Vec::new(), scores: vec![0.0; self.program.n_mix] };
        for node in 0..self.program.nodes.len() {
            if self.wanted[node] {
                interrupt::check()?;
                self.forward_node(node, values, input, score, &mut out)?;
            }
        }
        self.forward_head(values, &mut out)?;
        Ok(out)
    }

    fn forward_node(
        &mut self,
        i: usize,
        values: Values<'_>,
        input: Input<'_>,
        score: bool,
        out: &mut Forward,
    ) -> Result<()> {
        let (batch, block, groups) = (self.batch, self.block(i), self.groups(i));
        let size = self.program.nodes[i].size;
        let ids: Vec<usize> = groups.concat();
        let mut x = take(&mut self.x[i]);
        let mut z: Vec<Buffer> = ids.iter().map(|&c| take(&mut self.z[c])).collect();
        let n_blocks = batch.div_ceil(block);
        let out_c = |c: usize| self.program.nodes[self.program.convs[c].dst].size.c;
        let mut stats: Vec<Vec<f64>> = ids.iter().map(|&c| vec![0.0; n_blocks * 2 * out_c(c)]).collect();
        let mut scores = vec![Vec::new(); n_blocks];
        {
            let mut zs: Vec<ChunksMut<'_, f32>> =
                z.iter_mut().zip(&ids).map(|(z, &c)| z.chunks_mut(block * self.out_len(c))).collect();
            let mut stat_blocks: Vec<ChunksMut<'_, f64>> =
                stats.iter_mut().zip(&ids).map(|(s, &c)| s.chunks_mut(2 * out_c(c))).collect();
            let blocks: Vec<Block<'_>> = x
                .chunks_mut(block * size.len())
                .zip(&mut scores)
                .enumerate()
                .map(|(b, (x, scores))| Block {
                    first: b * block,
                    x,
                    z: zs.iter_mut().filter_map(Iterator::next).collect(),
                    stats: stat_blocks.iter_mut().filter_map(Iterator::next).collect(),
                    scores,
                })
                .collect();
            let sum = self.node_sum(i);
            self.for_each_block(blocks, self.scratch_len(i), |mut block, scratch| {
                self.fill(i, &sum, input.x, &mut block, scratch);
                if score {
                    self.score_block(i, &mut block, scratch);
                }
                let images = block.x.len() / size.len();
                let mut done = 0;
                for group in &groups {
                    let filters: Vec<_> = group.iter().map(|&c| &self.filters[c]).collect();
                    let (z, stats) = (&mut block.z[done..][..group.len()], &mut block.stats[done..][..group.len()]);
                    let relu = self.program.convs[group[0]].relu;
                    conv::forward(&self.plans[group[0]], &filters, relu, images, block.x, z, stats, scratch);
                    done += group.len();
                }
                Ok(())
            })?;
        }
        self.x[i] = x;
        for (&c, z) in ids.iter().zip(z) {
            self.z[c] = z;
        }
        for (&c, stats) in ids.iter().zip(&stats) {
            self.norms[c] = self.conv_norm(c, stats, values, out);
        }
        for (mix, score) in scores.concat() {
            out.scores[mix] += score;
        }
        Ok(())
    }

    /// Floats of one image of a convolution's output.
    pub(super) fn out_len(&self, conv: usize) -> usize {
        self.program.nodes[self.program.convs[conv].dst].size.len()
    }

    /// The sum that is node `i`, as coefficients per channel.
    fn node_sum(&self, i: usize) -> NodeSum<'_> {
        let c = self.program.nodes[i].size.c;
        let mut sum = NodeSum { t: vec![0.0; c], direct: Vec::new(), pooled: Vec::new() };
        for term in &self.program.nodes[i].terms {
            match *term {
                Term::Conv { conv, coef } => {
                    let (w, norm) = (self.coef(coef), &self.norms[conv]);
                    for (sum, t) in sum.t.iter_mut().zip(&norm.t) {
                        *sum += w * t;
                    }
                    sum.direct.push((norm.a.iter().map(|a| w * a).collect(), &self.z[conv]));
                }
                Term::Copy { src, coef } => sum.direct.push((vec![self.coef(coef); c], &self.x[src])),
                Term::AvgPool3 { src, coef } => sum.pooled.push((vec![self.coef(coef); c], &self.x[src])),
                Term::AvgPool2 { .. } => {}
            }
        }
        sum
    }

    fn fill(&self, i: usize, sum: &NodeSum<'_>, input: &[f32], block: &mut Block<'_>, scratch: &mut [f32]) {
        let node = &self.program.nodes[i];
        let len = block.x.len();
        let at = block.first * node.size.len();
        if i == 0 {
            return nhwc(input, node.channels, block, node.size);
        }
        if let [Term::AvgPool2 { src }] = node.terms[..] {
            let from = self.program.nodes[src].size;
            let images = len / node.size.len();
            return pool::avg2(&self.x[src][block.first * from.len()..][..images * from.len()], block.x, from);
        }
        linear_sum(block.x, &sum.t, &slices(&sum.direct, at, len));
        if !sum.pooled.is_empty() {
            let mixed = &mut scratch[..len];
            linear_sum(mixed, &vec![0.0; node.size.c], &slices(&sum.pooled, at, len));
            pool::avg3_add(mixed, block.x, node.size);
        }
    }

    /// Scores of the candidates into node `i` that have a convolution, and of the skip and the pool out of it (which are the
    /// same for every edge out of it).
    fn score_block(&self, i: usize, block: &mut Block<'_>, scratch: &mut [f32]) {
        let node = &self.program.nodes[i];
        let (c, pixels, len) = (node.size.c, node.size.h * node.size.w, block.x.len());
        for term in &node.terms {
            if let Term::Conv { conv, coef: Coef::Mix(mix) } = *term {
                let z = &self.z[conv][block.first * node.size.len()..][..len];
                let norm = &self.norms[conv];
                block.scores.push((mix, iim::score(z, &narrow(&norm.a), &narrow(&norm.t), node.channels, pixels)));
            }
        }
        let (one, zero) = (vec![1.0; c], vec![0.0; c]);
        let mut share = |edges: &[(usize, Coef)], score: f64| {
            block.scores.extend(edges.iter().filter_map(|(_, coef)| match coef {
                Coef::Mix(mix) => Some((*mix, score)),
                Coef::One => None,
            }));
        };
        if !node.copies.is_empty() {
            share(&node.copies, iim::score(block.x, &one, &zero, node.channels, pixels));
        }
        if !node.pools3.is_empty() {
            let pooled = &mut scratch[..len];
            pooled.fill(0.0);
            pool::avg3_add(block.x, pooled, node.size);
            share(&node.pools3, iim::score(pooled, &one, &zero, node.channels, pixels));
        }
    }

    /// The norm behind a convolution, from the blocks' sums; running statistics move in train mode.
    fn conv_norm(&self, c: usize, stats: &[f64], values: Values<'_>, out: &mut Forward) -> NormState {
        let conv = &self.program.convs[c];
        let node = &self.program.nodes[conv.dst];
        let padded = node.size.c;
        let pixels = self.batch * node.size.h * node.size.w;
        let (mean, var) = batch_moments(&add_blocks(stats, 2 * padded), pixels);
        match conv.norm {
            Norm::None => NormState::identity(node.channels, padded),
            Norm::Batch => NormState::new(&mean, &var, None, node.channels, padded),
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
        let unbias = pixels as f64 / (pixels.max(2) - 1) as f64;
        out.running.push((norm.mean, moved(values[norm.mean], mean, 1.0)));
        out.running.push((norm.var, moved(values[norm.var], var, unbias)));
        NormState::new(mean, var, Some((values[norm.gamma], values[norm.beta])), channels, padded)
    }

    fn forward_head(&mut self, values: Values<'_>, out: &mut Forward) -> Result<()> {
        let last = self.program.nodes.len() - 1;
        let (node, block, batch) = (&self.program.nodes[last], self.block(last), self.batch);
        let (size, head) = (node.size, self.program.head);
        let (pixels, x) = (size.h * size.w, &self.x[last]);
        let state = if self.mode == Mode::Train {
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
            self.affine(&head.norm, (&mean, &var), (batch * pixels, node.channels, size.c), values, out)
        } else {
            NormState::running(&head.norm, values, size.c)
        };
        let (a, t) = (narrow(&state.a), narrow(&state.t));
        let mut pooled = vec![0.0; batch * size.c];
        pooled.par_chunks_mut(size.c).zip(x.par_chunks(size.len())).for_each(|(p, x)| {
            head::pool(x, &a, &t, pixels, p);
        });
        out.logits = vec![0.0; batch * head.classes];
        head::linear(&pooled, size.c, values[head.weight], values[head.bias], &mut out.logits);
        (self.pooled, self.head_norm) = (pooled, state);
        Ok(())
    }
}

/// `t + sum of a x` and the part of the sum that goes through the 3x3 average.
struct NodeSum<'a> {
    t: Vec<f64>,
    direct: Vec<(Vec<f64>, &'a [f32])>,
    pooled: Vec<(Vec<f64>, &'a [f32])>,
}

pub(super) fn slices<'a>(terms: &'a [(Vec<f64>, &'a [f32])], at: usize, len: usize) -> Vec<Source<'a>> {
    terms.iter().map(|(a, x)| Source { a, x: &x[at..at + len] }).collect()
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

/// `[b, 3, h, w]` to the block's `[n, h, w, 8]`.
fn nhwc(input: &[f32], channels: usize, block: &mut Block<'_>, size: pool::Image) {
    let plane = size.h * size.w;
    for (n, x) in block.x.chunks_exact_mut(size.len()).enumerate() {
        let image = &input[(block.first + n) * channels * plane..][..channels * plane];
        for (p, x) in x.chunks_exact_mut(size.c).enumerate() {
            for (ch, x) in x.iter_mut().enumerate() {
                *x = if ch < channels { image[ch * plane + p] } else { 0.0 };
            }
        }
    }
}
