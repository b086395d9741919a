//! The backward pass: node by node from the last, [`super`] says how.

use super::forward::{add_blocks, slices};
use super::norm::{NormGradient, narrow};
use super::{Engine, Values};
use crate::error::Result;
use crate::interrupt;
use crate::net::program::{Coef, Norm, Term};
use crate::ops::buffer::Buffer;
use crate::ops::conv::{self, Dz};
use crate::ops::linear_sum::{dot, linear_sum, sums};
use crate::ops::{head, pool};
use rayon::prelude::*;
use std::slice::ChunksMut;

/// What a backward pass comes to.
pub struct Backward {
    /// By position in [`crate::net::Params`]; `None` where nothing flows.
    pub params: Vec<Option<Vec<f32>>>,
    /// Of the mixing weights; zero unless asked for.
    pub mix: Vec<f32>,
}

/// State of a backward pass on its way.
struct Pass<'a> {
    values: Values<'a>,
    want_mix: bool,
    /// Gradient of each node, while it is needed.
    dy: Vec<Buffer>,
    /// Of each convolution whose `dst` is done.
    norms: Vec<Option<DzMap>>,
    mix: Vec<f64>,
    params: Vec<Option<Vec<f32>>>,
}

/// One block of images of the pass over a node.
struct Block<'a> {
    first: usize,
    dx: &'a mut [f32],
    /// Per convolution that reads the node: its weight gradient from this block.
    dw: Vec<&'a mut [f32]>,
    /// `sum dx`, then `sum dx z` for each convolution into the node.
    sums: &'a mut [f64],
    /// Gradient of the weight of each copy, then each pool, out of the node.
    dots: &'a mut [f64],
}

impl Engine {
    /// Backward from the gradient of the logits of the last forward pass.
    pub fn backward(&mut self, values: Values<'_>, dlogits: &[f32], want_mix: bool) -> Result<Backward> {
        let nodes = self.program.nodes.len();
        let mut pass = Pass {
            values,
            want_mix,
            dy: (0..nodes).map(|_| Buffer::default()).collect(),
            norms: (0..self.program.convs.len()).map(|_| None).collect(),
            mix: vec![0.0; self.program.n_mix],
            params: vec![None; values.len()],
        };
        let useful = self.program.useful();
        let from_head = self.backward_head(&mut pass, dlogits)?;
        for i in (0..nodes).rev().filter(|&i| useful[i]) {
            interrupt::check()?;
            let head = (i + 1 == nodes).then_some(&from_head);
            self.backward_node(i, head, &mut pass)?;
            self.release(i, &mut pass.dy);
        }
        for buffer in pass.dy {
            self.pool.give(buffer);
        }
        self.pool.give(from_head.dn);
        Ok(Backward { params: pass.params, mix: pass.mix.iter().map(|&g| g as f32).collect() })
    }

    /// Give back the gradients of nodes whose terms' sources are all done, now that node `i` is.
    fn release(&mut self, i: usize, dy: &mut [Buffer]) {
        let source = |t: &Term| match *t {
            Term::Conv { conv, .. } => self.program.convs[conv].src,
            Term::Copy { src, .. } | Term::AvgPool3 { src, .. } | Term::AvgPool2 { src } => src,
        };
        let last_use = |j: usize| self.program.nodes[j].terms.iter().map(source).min().unwrap_or(j);
        let done: Vec<usize> = (i..dy.len()).filter(|&j| last_use(j) == i).collect();
        for j in done {
            self.pool.give(std::mem::take(&mut dy[j]));
        }
    }

    fn backward_head(&mut self, pass: &mut Pass<'_>, dlogits: &[f32]) -> Result<FromHead> {
        let (last, head, values) = (self.program.nodes.len() - 1, self.program.head, pass.values);
        let size = self.program.nodes[last].size;
        let pixels = size.h * size.w;
        let mut dp = vec![0.0; self.pooled.len()];
        let (mut dw, mut db) = (vec![0.0; values[head.weight].len()], vec![0.0; head.classes]);
        head::linear_backward(&self.pooled, size.c, values[head.weight], dlogits, &mut dp, &mut dw, &mut db);
        let mut dn = self.pool.take(self.batch * size.len())?;
        let (norm, block) = (&self.head_norm, self.block(last));
        let (a, t) = (narrow(&norm.a), narrow(&norm.t));
        let parts: Vec<Vec<f64>> = dn
            .par_chunks_mut(block * size.len())
            .zip(self.x[last].par_chunks(block * size.len()))
            .zip(dp.par_chunks(block * size.c))
            .with_max_len(1)
            .map(|((dn, x), dp)| {
                head::pool_backward(x, &a, &t, pixels, dp, dn);
                let mut part = vec![0.0; 2 * size.c];
                sums(dn, &[x], size.c, &mut part);
                part
            })
            .collect();
        let total = add_blocks(&parts.concat(), 2 * size.c);
        let (s, d) = total.split_at(size.c);
        let mut gradient = norm.backward(1.0, None, s, d, self.batch * pixels);
        let channels = self.program.nodes[last].channels;
        gradient.gamma.truncate(channels);
        gradient.beta.truncate(channels);
        pass.params[head.norm.gamma] = Some(std::mem::take(&mut gradient.gamma));
        pass.params[head.norm.beta] = Some(std::mem::take(&mut gradient.beta));
        pass.params[head.weight] = Some(dw);
        pass.params[head.bias] = Some(db);
        Ok(FromHead { dn, gradient })
    }

    fn backward_node(&mut self, i: usize, head: Option<&FromHead>, pass: &mut Pass<'_>) -> Result<()> {
        let (size, block, groups) = (self.program.nodes[i].size, self.block(i), self.groups(i));
        let ids: Vec<usize> = groups.concat();
        let n_blocks = self.batch.div_ceil(block);
        let into: Vec<usize> = self.convs_into(i);
        let n_dots = self.program.nodes[i].copies.len() + self.program.nodes[i].pools3.len();
        let mut dx = self.pool.take(self.batch * size.len())?;
        let mut dw: Vec<Buffer> = Vec::new();
        for &c in &ids {
            dw.push(self.pool.take(n_blocks * self.plans[c].dw_len())?);
        }
        let sums_len = (1 + into.len()) * size.c;
        let mut sum_parts = vec![0.0; n_blocks * sums_len];
        let mut dot_parts = vec![0.0; n_blocks * n_dots.max(1)];
        {
            let mut dws: Vec<ChunksMut<'_, f32>> =
                dw.iter_mut().zip(&ids).map(|(d, &c)| d.chunks_mut(self.plans[c].dw_len())).collect();
            let blocks: Vec<Block<'_>> = dx
                .chunks_mut(block * size.len())
                .zip(sum_parts.chunks_mut(sums_len))
                .zip(dot_parts.chunks_mut(n_dots.max(1)))
                .enumerate()
                .map(|(b, ((dx, sums), dots))| Block {
                    first: b * block,
                    dx,
                    dw: dws.iter_mut().filter_map(Iterator::next).collect(),
                    sums,
                    dots,
                })
                .collect();
            let arriving = self.arriving(i, head, pass);
            let pass = &*pass;
            self.for_each_block(blocks, self.scratch_len(i), |mut block, scratch| {
                self.gather(i, &arriving, pass, &mut block, scratch);
                self.convs_backward(i, &groups, pass, &mut block, scratch);
                let (at, len) = (block.first * size.len(), block.dx.len());
                let z: Vec<&[f32]> = into.iter().map(|&c| &self.z[c][at..at + len]).collect();
                sums(block.dx, &z, size.c, block.sums);
                Ok(())
            })?;
        }
        self.collect_weights(&ids, &dw, pass);
        self.collect_norms(i, &into, &add_blocks(&sum_parts, sums_len), pass);
        if pass.want_mix {
            let (node, dots) = (&self.program.nodes[i], add_blocks(&dot_parts, n_dots.max(1)));
            for ((_, coef), dot) in node.copies.iter().chain(&node.pools3).zip(dots) {
                if let Coef::Mix(mix) = coef {
                    pass.mix[*mix] += dot;
                }
            }
        }
        pass.dy[i] = dx;
        dw.into_iter().for_each(|b| self.pool.give(b));
        Ok(())
    }

    fn convs_into(&self, i: usize) -> Vec<usize> {
        let conv = |t: &Term| if let Term::Conv { conv, .. } = *t { Some(conv) } else { None };
        self.program.nodes[i].terms.iter().filter_map(conv).collect()
    }

    /// What arrives at node `i` from its copies and pools, and from the head, as coefficients per channel.
    fn arriving<'a>(&'a self, i: usize, head: Option<&'a FromHead>, pass: &'a Pass<'_>) -> Arriving<'a> {
        let node = &self.program.nodes[i];
        let scaled = |(dst, coef): &(usize, Coef)| {
            let live = !pass.dy[*dst].is_empty();
            live.then(|| (vec![self.coef(*coef); node.size.c], &pass.dy[*dst][..]))
        };
        let mut arriving = Arriving {
            t: vec![0.0; node.size.c],
            direct: node.copies.iter().filter_map(scaled).collect(),
            pooled: node.pools3.iter().filter_map(scaled).collect(),
        };
        if let Some(FromHead { dn, gradient }) = head {
            arriving.t.clone_from(&gradient.g);
            arriving.direct.push((gradient.a.clone(), dn));
            arriving.direct.push((gradient.b.clone(), &self.x[i]));
        }
        arriving
    }

    /// `dx = ` everything that does not come through a convolution; and the gradients of those weights.
    fn gather(&self, i: usize, arriving: &Arriving<'_>, pass: &Pass<'_>, block: &mut Block<'_>, scratch: &mut [f32]) {
        let node = &self.program.nodes[i];
        let (size, len) = (node.size, block.dx.len());
        let at = block.first * size.len();
        linear_sum(block.dx, &arriving.t, &slices(&arriving.direct, at, len));
        let temporary = &mut scratch[..len];
        if !arriving.pooled.is_empty() {
            linear_sum(temporary, &vec![0.0; size.c], &slices(&arriving.pooled, at, len));
            pool::avg3_backward_add(temporary, block.dx, size);
        }
        for &dst in &node.pools2 {
            let small = self.program.nodes[dst].size.len();
            let dy = &pass.dy[dst][block.first * small..][..len / size.len() * small];
            pool::avg2_backward_add(dy, block.dx, size);
        }
        if pass.want_mix {
            let x = &self.x[i][at..at + len];
            let of =
                |x: &[f32], dst: usize| if pass.dy[dst].is_empty() { 0.0 } else { dot(x, &pass.dy[dst][at..at + len]) };
            for (d, &(dst, _)) in block.dots.iter_mut().zip(&node.copies) {
                *d = of(x, dst);
            }
            if !node.pools3.is_empty() {
                temporary.fill(0.0);
                pool::avg3_add(x, temporary, size);
                for (d, &(dst, _)) in block.dots[node.copies.len()..].iter_mut().zip(&node.pools3) {
                    *d = of(temporary, dst);
                }
            }
        }
    }

    fn convs_backward(
        &self,
        i: usize,
        groups: &[Vec<usize>],
        pass: &Pass<'_>,
        block: &mut Block<'_>,
        scratch: &mut [f32],
    ) {
        let size = self.program.nodes[i].size;
        let images = block.dx.len() / size.len();
        let x = &self.x[i][block.first * size.len()..][..block.dx.len()];
        let mut done = 0;
        for group in groups {
            let gradient = |&c: &usize| {
                let conv = &self.program.convs[c];
                let len = self.out_len(c);
                let part = block.first * len..(block.first + images) * len;
                let n = pass.norms[c].as_ref()?;
                let z = (conv.norm != Norm::None).then(|| &self.z[c][part.clone()]);
                Some(Dz { dy: &pass.dy[conv.dst][part], z, a: &n.a, b: &n.b, g: &n.g })
            };
            let dz: Vec<Dz<'_>> = group.iter().filter_map(gradient).collect();
            let filters: Vec<_> = group.iter().map(|&c| &self.filters[c]).collect();
            let relu = self.program.convs[group[0]].relu;
            let dx = (i > 0).then_some(&mut *block.dx);
            let dw = &mut block.dw[done..][..group.len()];
            conv::backward(&self.plans[group[0]], &filters, relu, images, x, &dz, dx, dw, scratch);
            done += group.len();
        }
    }

    /// Add up the blocks' weight gradients, in their order.
    fn collect_weights(&self, ids: &[usize], dw: &[Buffer], pass: &mut Pass<'_>) {
        let gradients: Vec<Vec<f32>> = ids
            .par_iter()
            .zip(dw)
            .map(|(&c, parts)| {
                let len = self.plans[c].dw_len();
                let mut total = parts[..len].to_vec();
                for part in parts.chunks_exact(len).skip(1) {
                    total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
                }
                let mut gradient = vec![0.0; pass.values[self.program.convs[c].weight].len()];
                conv::unpack_dw(&self.plans[c], &total, &mut gradient);
                gradient
            })
            .collect();
        for (&c, gradient) in ids.iter().zip(gradients) {
            pass.params[self.program.convs[c].weight] = Some(gradient);
        }
    }

    /// The norms of the convolutions into node `i`, now that its gradient is known.
    fn collect_norms(&self, i: usize, into: &[usize], sums: &[f64], pass: &mut Pass<'_>) {
        let node = &self.program.nodes[i];
        let pixels = self.batch * node.size.h * node.size.w;
        let (sum, dots) = sums.split_at(node.size.c);
        let convs = node
            .terms
            .iter()
            .filter_map(|t| if let Term::Conv { conv, coef } = *t { Some((conv, coef)) } else { None });
        for (((c, coef), dots), &id) in convs.zip(dots.chunks_exact(node.size.c)).zip(into) {
            debug_assert_eq!(c, id);
            let affine = if let Norm::Affine(n) = self.program.convs[c].norm { Some(n) } else { None };
            let beta = affine.map(|n| pass.values[n.beta]);
            let mut gradient = self.norms[c].backward(self.coef(coef), beta, sum, dots, pixels);
            if let Coef::Mix(mix) = coef {
                pass.mix[mix] += gradient.coef;
            }
            if let Some(n) = affine {
                gradient.gamma.truncate(node.channels);
                gradient.beta.truncate(node.channels);
                pass.params[n.gamma] = Some(std::mem::take(&mut gradient.gamma));
                pass.params[n.beta] = Some(std::mem::take(&mut gradient.beta));
            }
            pass.norms[c] = Some(DzMap { a: narrow(&gradient.a), b: narrow(&gradient.b), g: narrow(&gradient.g) });
        }
    }
}

/// `dz = a dy + b z + g` of a convolution, per channel, as its kernel takes it.
struct DzMap {
    a: Vec<f32>,
    b: Vec<f32>,
    g: Vec<f32>,
}

/// What the head leaves for the last node: `dx = a dn + b x + g`.
struct FromHead {
    dn: Buffer,
    gradient: NormGradient,
}

/// `dx = t + sum of a dy`, and the part that goes through the 3x3 average.
struct Arriving<'a> {
    t: Vec<f64>,
    direct: Vec<(Vec<f64>, &'a [f32])>,
    pooled: Vec<(Vec<f64>, &'a [f32])>,
}
