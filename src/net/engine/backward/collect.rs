//! After a pass over a node: what its blocks left, added up in their order, as gradients and as norms of what comes before.

use super::{BackwardPass, BackwardWork, DzMap};
use crate::net::engine::Engine;
use crate::net::engine::forward::{add_blocks, same_stride};
use crate::net::engine::norm::narrow;
use crate::net::engine::profile::{elsewhere, timed};
use crate::net::program::{ConvId, Filter, Norm, ParamId, Term};
use crate::ops::linear_sum;
use rayon::prelude::*;

/// Weights whose blocks' gradients one thread adds up.
const SUM_LEN: usize = 2048;

impl Engine {
    /// Add up the blocks' weight gradients, in their order.
    pub(super) fn collect_weights(&self, work: &BackwardWork, pass: &mut BackwardPass<'_>) {
        let lens: Vec<usize> = work.convs.iter().map(|&c| self.plans[c].dw_len()).collect();
        let begins = lens.iter().scan(0, |at, len| Some(std::mem::replace(at, *at + len)));
        let all: usize = lens.iter().sum();
        let parts: Vec<(ConvId, usize, usize)> =
            work.convs.iter().zip(begins).zip(&lens).map(|((&c, at), &len)| (c, at, len)).collect();
        let values = pass.values;
        let gradients: Vec<Vec<(ParamId, Vec<f32>)>> = parts
            .into_par_iter()
            .map(|(c, at, len)| {
                let mut total = vec![0f64; len];
                let what = || elsewhere("sums of weight gradients", true);
                total.par_chunks_mut(SUM_LEN).enumerate().for_each(|(i, total)| {
                    timed(what, || {
                        for block in work.dw.chunks_exact(all) {
                            linear_sum::add(total, &block[at + i * SUM_LEN..]);
                        }
                    });
                });
                timed(what, || self.plans[c].unpack(&self.program.convs[c].filter, &narrow(&total), values))
            })
            .collect();
        for (id, gradient) in gradients.into_iter().flatten() {
            pass.params[id] = Some(gradient);
        }
    }

    /// [`super::Want::along`] of the convolutions that read the node, weight by weight.
    pub(super) fn collect_along(&self, work: &BackwardWork, pass: &mut BackwardPass<'_>) {
        for (&c, along) in work.convs.iter().zip(&work.along) {
            let (weights, of_channel) = match self.program.convs[c].filter {
                Filter::Dense { shape, weight } => (vec![weight], shape.k * shape.k * shape.c_in),
                Filter::Halves { shape, weights } => (weights.to_vec(), shape.c_in / 2),
                Filter::Separable { .. } | Filter::Pool { .. } => continue,
            };
            let (mut at, padded) = (0, along.len() / self.batch);
            for weight in weights.into_iter().filter(|_| padded > 0) {
                let n = pass.values[weight].len() / of_channel;
                pass.along[weight] = along.chunks_exact(padded).flat_map(|image| &image[at..at + n]).copied().collect();
                at += n;
            }
        }
    }

    /// The gradients of the weights before copies and pools.
    pub(super) fn collect_dots(&self, work: &BackwardWork, pass: &mut BackwardPass<'_>) {
        let node = &self.program.nodes[work.node];
        let copies = node.copies.iter().map(|&(_, coef)| coef);
        let pools = same_stride(&node.pools3).concat().into_iter().map(|(.., coef)| coef);
        let dots = add_blocks(&work.dots, work.dots.len() / self.n_blocks(work.node));
        for (coef, dot) in copies.chain(pools).zip(dots) {
            if let Some(mix) = coef.mix() {
                pass.mix[mix] += dot;
            }
        }
    }

    /// The gradients of the weights of candidates into a node that were not computed, where each stands as a bare number in the
    /// sum: what arrives at the node, summed over all of it.
    pub(super) fn collect_ghosts(&self, work: &BackwardWork, pass: &mut BackwardPass<'_>) {
        let node = &self.program.nodes[work.node];
        let sums = add_blocks(&work.sums, (1 + work.into.len()) * node.size.c);
        let sum: f64 = sums[..node.channels].iter().sum();
        for &mix in node.mixed.iter().filter(|&&mix| self.left_out[mix]) {
            pass.mix[mix] += sum;
        }
    }

    /// The norms of the convolutions into a node, now that its gradient is known.
    pub(super) fn collect_norms(&self, work: &BackwardWork, pass: &mut BackwardPass<'_>) {
        let node = &self.program.nodes[work.node];
        let c_p = node.size.c;
        let pixels = self.batch * node.size.h * node.size.w;
        let len = (1 + work.into.len()) * c_p;
        let total = add_blocks(&work.sums, len);
        let convs = (node.origin.terms().iter())
            .filter_map(|t| if let Term::Conv { conv, coef } = *t { Some((conv, coef)) } else { None });
        for (at, ((c, coef), &id)) in convs.zip(&work.into).enumerate() {
            debug_assert_eq!(c, id);
            let dots = (1 + at) * c_p;
            // The sums are those of images then, each with a scale of its own before its gradient.
            let scaled = coef.image().is_some().then(|| {
                let mut sums = work.sums.clone();
                for (image, block) in sums.chunks_exact_mut(len).enumerate() {
                    let scale = self.scale(coef, image);
                    block.iter_mut().for_each(|s| *s *= scale);
                }
                add_blocks(&sums, len)
            });
            let total = scaled.as_ref().unwrap_or(&total);
            let (sum, dots) = (&total[..c_p], &total[dots..dots + c_p]);
            let affine = if let Norm::Affine(n) = self.program.convs[c].norm { Some(n) } else { None };
            let beta = affine.map(|n| pass.values[n.beta]);
            let mut gradient = self.norms[c].backward(self.mixed(coef), beta, sum, dots, pixels);
            if let Some(mix) = coef.mix() {
                pass.mix[mix] += gradient.coef;
            }
            if let Some(n) = affine {
                gradient.gamma.truncate(node.channels);
                gradient.beta.truncate(node.channels);
                pass.params[n.gamma] = Some(std::mem::take(&mut gradient.gamma));
                pass.params[n.beta] = Some(std::mem::take(&mut gradient.beta));
            }
            pass.norms[c] = Some(DzMap {
                scale: coef.image(),
                a: narrow(&gradient.a),
                b: narrow(&gradient.b),
                g: narrow(&gradient.g),
            });
        }
    }
}
