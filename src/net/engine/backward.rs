//! The backward pass: node by node from the last, [`super`] says how.

mod collect;
mod gather;

use super::fill::NodeSum;
use super::forward::add_blocks;
use super::norm::{NormGradient, narrow};
use super::profile::{elsewhere, timed};
use super::{Engine, Values, in_pool};
use crate::error::Result;
use crate::interrupt;
use crate::net::Paths;
use crate::net::ids::Table;
use crate::net::program::{ConvId, MixId, NodeId, Norm, ParamId, Term};
use crate::ops::buffer::Buffer;
use crate::ops::conv::Dz;
use crate::ops::head;
use crate::ops::linear_sum::sums;
use gather::Arriving;
use rayon::prelude::*;

/// What a backward pass comes to.
pub struct Backward {
    /// The gradients of the weights; `None` where nothing flows.
    pub params: Table<ParamId, Option<Vec<f32>>>,
    /// The gradient of the mixing weights; zero unless asked for.
    pub mix: Table<MixId, f32>,
    /// [`Want::along`], `[b, channels]` of the convolution of a weight.
    pub along: Table<ParamId, Vec<f64>>,
    /// [`Want::input`], `[b, 3, h, w]`.
    pub input: Vec<f32>,
}

/// What a backward pass is asked for besides the gradients of the weights.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want {
    /// The gradient of the mixing weights.
    pub mix: bool,
    /// For each image and channel of a convolution, the sum over pixels of its output (in front of the norm) times the gradient
    /// there. Not of separable ones: what lies between their two halves is never stored.
    pub along: bool,
    /// The gradient of the images.
    pub input: bool,
}

/// State of a backward pass on its way.
struct BackwardPass<'a> {
    values: Values<'a>,
    want: Want,
    /// For each node, the convolutions that read it and that a gradient comes back through.
    groups: Table<NodeId, Vec<Vec<ConvId>>>,
    /// Gradient of what went out by the tap.
    tapped: &'a [f32],
    /// Gradient of each node, while it is needed.
    dy: Table<NodeId, Buffer>,
    /// For each convolution whose `dst` is done, how the gradient at its output is made.
    norms: Table<ConvId, Option<DzMap>>,
    mix: Table<MixId, f64>,
    params: Table<ParamId, Option<Vec<f32>>>,
    along: Table<ParamId, Vec<f64>>,
}

/// One block of images of a pass over a node.
struct BackwardBlock<'a> {
    node: NodeId,
    /// Which node of the pass.
    at: usize,
    /// First image.
    first: usize,
    images: usize,
    dx: &'a mut [f32],
    /// Per convolution that reads the node: its weight gradient from this block, and [`Want::along`] (or nothing).
    dw: Vec<&'a mut [f32]>,
    along: Vec<&'a mut [f64]>,
    /// `sum dx`, then `sum dx z` for each convolution into the node; of the block, or of each image.
    sums: &'a mut [f64],
    /// Gradient of the weight of each copy, then each pool, out of the node.
    dots: &'a mut [f64],
}

/// What a pass writes for one node.
struct BackwardWork {
    node: NodeId,
    /// The convolutions that read the node, and those that are terms of it.
    convs: Vec<ConvId>,
    into: Vec<ConvId>,
    dx: Buffer,
    /// Block by block: the weight gradients of `convs`; sums; dots.
    dw: Buffer,
    sums: Vec<f64>,
    dots: Vec<f64>,
    /// Of each of `convs`, where it is asked for.
    along: Vec<Vec<f64>>,
}

impl Engine {
    /// Backward from the gradient of the logits of the last forward pass, and behind it that of what went out by the tap.
    pub fn backward(&mut self, values: Values<'_>, gradient: &[f32], want: Want) -> Result<Backward> {
        in_pool(|| self.backward_pass(values, gradient, want))
    }

    fn backward_pass(&mut self, values: Values<'_>, gradient: &[f32], want: Want) -> Result<Backward> {
        let useful = self.program.useful();
        let mut pass = BackwardPass {
            values,
            want,
            groups: self.computed(&useful),
            tapped: &gradient[self.batch * self.program.head.classes..],
            dy: self.program.nodes.beside(|_| Buffer::default()),
            norms: self.program.convs.beside(|_| None),
            mix: Table::filled(self.program.n_mix, 0.0),
            params: values.beside(|_| None),
            along: values.beside(|_| vec![]),
        };
        let dlogits = &gradient[..self.batch * self.program.head.classes];
        let mut input = vec![];
        let from_head = timed(|| elsewhere("head", true), || self.backward_head(&mut pass, dlogits))?;
        for stage in self.stages.clone().into_iter().rev() {
            interrupt::check()?;
            let first = stage[0];
            self.backward_stage(stage.into_iter().filter(|&i| useful[i]).collect(), &from_head, &mut pass)?;
            if want.input && first == NodeId(0) {
                input = self.nchw(&pass.dy[first]);
            }
            self.release(first, &mut pass.dy);
        }
        for buffer in pass.dy {
            self.pool.give(buffer);
        }
        self.pool.give(from_head.dn);
        let mix = pass.mix.into_iter().map(|g| g as f32).collect();
        Ok(Backward { params: pass.params, mix, along: pass.along, input })
    }

    /// Give back the gradients of nodes whose sources are all done, now that all nodes from `first` on are.
    fn release(&mut self, first: NodeId, dy: &mut Table<NodeId, Buffer>) {
        let last_use = |j: NodeId| self.program.sources(j).into_iter().min().unwrap_or(j);
        let done: Vec<NodeId> = dy.ids().filter(|&j| j >= first && !dy[j].is_empty() && last_use(j) >= first).collect();
        for j in done {
            self.pool.give(std::mem::take(&mut dy[j]));
        }
    }

    fn backward_head(&mut self, pass: &mut BackwardPass<'_>, dlogits: &[f32]) -> Result<FromHead> {
        let (last, head, values) = (self.program.nodes.last(), self.program.head, pass.values);
        let size = self.program.nodes[last].size;
        let pixels = size.h * size.w;
        let mut dp = vec![0.0; self.pooled.len()];
        let (mut dw, mut db) = (vec![0.0; values[head.weight].len()], vec![0.0; head.classes]);
        head::linear_backward(&self.pooled, size.c, values[head.weight], dlogits, &mut dp, &mut dw, &mut db);
        let mut dn = self.pool.borrow(self.batch * size.len())?;
        let (norm, block) = (&self.head_norm, self.blocks[last]);
        let (a, t) = (narrow(&norm.a), narrow(&norm.t));
        let parts: Vec<Vec<f64>> = dn
            .par_chunks_mut(block * size.len())
            .zip(self.x[last].par_chunks(block * size.len()))
            .zip(dp.par_chunks(block * size.c))
            .enumerate()
            .with_max_len(1)
            .map(|(b, ((dn, x), dp))| {
                match head.norm {
                    Some(_) if self.held.is_none() => head::pool_backward(x, &a, &t, pixels, dp, dn),
                    _ => head::mean_backward(size.c, pixels, dp, dn),
                }
                self.hold_back_head(b * block, dn);
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
        if let Some(norm) = head.norm {
            pass.params[norm.gamma] = Some(std::mem::take(&mut gradient.gamma));
            pass.params[norm.beta] = Some(std::mem::take(&mut gradient.beta));
        }
        pass.params[head.weight] = Some(dw);
        pass.params[head.bias] = Some(db);
        Ok(FromHead { dn, gradient })
    }

    fn backward_stage(&mut self, nodes: Vec<NodeId>, head: &FromHead, pass: &mut BackwardPass<'_>) -> Result<()> {
        let mut works = nodes.iter().map(|&i| self.backward_work(i, pass)).collect::<Result<Vec<BackwardWork>>>()?;
        let blocks = works.iter_mut().enumerate().flat_map(|(at, work)| self.backward_blocks(at, work)).collect();
        let ready = &*pass;
        let shared = |i: NodeId| (!self.by_image[i]).then(|| self.arriving(i, 0, head, ready));
        let arriving: Vec<_> = nodes.iter().map(|&i| shared(i)).collect();
        let sums: Vec<_> = nodes.iter().map(|&i| self.shared_sum(i)).collect();
        self.for_each_block(blocks, |block, scratch| {
            let shared = (sums[block.at].as_ref(), arriving[block.at].as_ref());
            self.backward_block(shared, head, ready, block, scratch);
            Ok(())
        })?;
        drop((arriving, sums));
        for work in works {
            self.collect_weights(&work, pass);
            self.collect_norms(&work, pass);
            self.collect_dots(&work, pass);
            self.collect_along(&work, pass);
            if self.paths == Paths::DrawnWithGhosts {
                self.collect_ghosts(&work, pass);
            }
            pass.dy[work.node] = work.dx;
            self.pool.give(work.dw);
        }
        Ok(())
    }

    fn n_blocks(&self, node: NodeId) -> usize {
        self.batch.div_ceil(self.blocks[node])
    }

    fn backward_work(&mut self, i: NodeId, pass: &BackwardPass<'_>) -> Result<BackwardWork> {
        let node = &self.program.nodes[i];
        let (convs, n_blocks) = (pass.groups[i].concat(), self.n_blocks(i));
        let conv = |t: &Term| if let Term::Conv { conv, .. } = *t { Some(conv) } else { None };
        let into: Vec<ConvId> = node.origin.terms().iter().filter_map(conv).collect();
        let n_dots = node.copies.len() + node.pools3.len();
        let dw_len: usize = convs.iter().map(|&c| self.plans[c].dw_len()).sum();
        let channels = |&c: &ConvId| self.program.nodes[self.program.convs[c].dst].size.c;
        let along = |c: &ConvId| vec![0.0; if pass.want.along { self.batch * channels(c) } else { 0 }];
        Ok(BackwardWork {
            node: i,
            sums: vec![0.0; if self.by_image[i] { self.batch } else { n_blocks } * (1 + into.len()) * node.size.c],
            dots: vec![0.0; n_blocks * n_dots.max(1)],
            dx: self.pool.borrow(self.batch * node.size.len())?,
            dw: self.pool.borrow(n_blocks * dw_len)?,
            along: convs.iter().map(along).collect(),
            convs,
            into,
        })
    }

    fn backward_blocks<'a>(&self, at: usize, work: &'a mut BackwardWork) -> Vec<BackwardBlock<'a>> {
        let (node, size, len) = (work.node, self.program.nodes[work.node].size.len(), self.blocks[work.node]);
        let n_blocks = self.n_blocks(node);
        let mut dw = &mut work.dw[..];
        let mut gradients = |_| {
            let of = |&c: &ConvId| {
                let (dw_c, rest) = std::mem::take(&mut dw).split_at_mut(self.plans[c].dw_len());
                dw = rest;
                dw_c
            };
            work.convs.iter().map(of).collect::<Vec<_>>()
        };
        let dw: Vec<Vec<&mut [f32]>> = (0..n_blocks).map(&mut gradients).collect();
        let sums_len = (1 + work.into.len()) * self.program.nodes[node].size.c;
        let sums_len = if self.by_image[node] { len * sums_len } else { sums_len };
        let dots_len = work.dots.len() / n_blocks;
        let of_block = |a: &mut Vec<f64>| (a.len() / self.batch * len).max(1);
        let mut along: Vec<_> = work.along.iter_mut().map(|a| (of_block(a), a)).map(|(n, a)| a.chunks_mut(n)).collect();
        let parts = work.dx.chunks_mut(len * size).zip(work.sums.chunks_mut(sums_len));
        let parts = parts.zip(work.dots.chunks_mut(dots_len)).zip(dw).enumerate();
        let block = |(b, (((dx, sums), dots), dw))| BackwardBlock {
            node,
            at,
            first: b * len,
            images: len.min(self.batch - b * len),
            dx,
            dw,
            along: along.iter_mut().filter_map(Iterator::next).collect(),
            sums,
            dots,
        };
        parts.map(block).collect()
    }

    fn backward_block(
        &self,
        (sum, arriving): (Option<&NodeSum<'_>>, Option<&Arriving<'_>>),
        head: &FromHead,
        pass: &BackwardPass<'_>,
        mut block: BackwardBlock<'_>,
        scratch: &mut [f32],
    ) {
        let (node, n, size) = (block.node, block.images, self.program.nodes[block.node].size);
        let (own, scratch) = scratch.split_at_mut(self.own_len(node));
        let part = block.first * size.len()..(block.first + n) * size.len();
        let x = if self.kept[node] {
            &self.x[node][part.clone()]
        } else {
            let x = &mut own[..part.len()];
            timed(|| self.filling(node, n, true), || self.fill(node, sum, &[], block.first, x, scratch));
            x
        };
        timed(
            || self.gathering(node, n),
            || match arriving {
                Some(arriving) => self.gather(x, arriving, pass, (node, block.first), (block.dx, block.dots), scratch),
                None => {
                    let images = x.chunks_exact(size.len()).zip(block.dx.chunks_exact_mut(size.len()));
                    for (image, (x, dx)) in (block.first..).zip(images) {
                        let arriving = self.arriving(node, image, head, pass);
                        self.gather(x, &arriving, pass, (node, image), (dx, block.dots), scratch);
                    }
                }
            },
        );
        self.convs_backward(x, pass, &mut block, scratch);
        let z = self.program.nodes[node].origin.terms().iter().filter_map(|t| match *t {
            Term::Conv { conv, .. } => Some(&self.z[conv][part.clone()]),
            _ => None,
        });
        let z: Vec<&[f32]> = z.collect();
        if !z.is_empty() || self.paths == Paths::DrawnWithGhosts {
            // One part of a block, or one an image.
            let parts = block.sums.len() / ((1 + z.len()) * size.c);
            let len = part.len() / parts;
            let each = block.dx.chunks_exact(len).zip(block.sums.chunks_exact_mut((1 + z.len()) * size.c));
            let sums = || {
                for (i, (dx, out)) in each.enumerate() {
                    let z: Vec<&[f32]> = z.iter().map(|z| &z[i * len..][..len]).collect();
                    sums(dx, &z, size.c, out);
                }
            };
            timed(|| self.summing(node, n), sums);
        }
    }

    fn convs_backward(&self, x: &[f32], pass: &BackwardPass<'_>, block: &mut BackwardBlock<'_>, scratch: &mut [f32]) {
        let mut done = 0;
        for group in &pass.groups[block.node] {
            let gradient = |&c: &ConvId| {
                let conv = &self.program.convs[c];
                let len = self.out_len(c);
                let part = block.first * len..(block.first + block.images) * len;
                let n = pass.norms[c].as_ref()?;
                let z = (conv.norm != Norm::None).then(|| &self.z[c][part.clone()]);
                let r = n.scale.map(|i| &self.scales[i * self.batch + block.first..][..block.images]);
                Some(Dz { dy: &pass.dy[conv.dst][part], z, r, a: &n.a, b: &n.b, g: &n.g })
            };
            let dz: Vec<Dz<'_>> = group.iter().filter_map(gradient).collect();
            let relu = self.program.convs[group[0]].relu;
            for ((&c, dz), along) in group.iter().zip(&dz).zip(block.along.iter_mut().skip(done)) {
                dz.along(&self.z[c][block.first * self.out_len(c)..][..dz.dy.len()], along);
            }
            let dx = (block.node > NodeId(0) || pass.want.input).then_some(&mut *block.dx);
            let dw = &mut block.dw[done..][..group.len()];
            let held = if relu { self.held(block.node, block.first, x) } else { None };
            let back = || match (held, dx) {
                (Some(x), Some(dx)) => {
                    let mut arriving = vec![0.0; dx.len()];
                    self.group(group).backward(false, block.images, &x, &dz, Some(&mut arriving), dw, scratch);
                    self.hold_back(block.node, block.first, &mut arriving);
                    dx.iter_mut().zip(arriving).for_each(|(dx, d)| *dx += d);
                }
                (_, dx) => self.group(group).backward(relu, block.images, x, &dz, dx, dw, scratch),
            };
            timed(|| self.convolving(group, block.images, true), back);
            done += group.len();
        }
    }
}

/// `dz = a dy + b z + g` of a convolution, per channel, as its kernel takes it.
struct DzMap {
    /// The scale that stands before `dy`, besides `a`.
    scale: Option<usize>,
    a: Vec<f32>,
    b: Vec<f32>,
    g: Vec<f32>,
}

/// What the head leaves for the last node: `dx = a dn + b x + g`.
struct FromHead {
    dn: Buffer,
    gradient: NormGradient,
}
