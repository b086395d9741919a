//! Which units ReLUs let through: bits to compare images by, and gates that stay as they were while the weights move.
//!
//! With its gates held, a network is smooth in its weights: what a difference of gradients then comes to is the Hessian that automatic
//! differentiation knows, which counts no unit that switches.

use super::norm::narrow;
use super::{Engine, in_pool};
use crate::net::ids::Table;
use crate::net::program::{NodeId, Origin};
use crate::ops::vectorized;
use rayon::prelude::*;

/// A bit for each number of the images that a ReLU reads; each image begins with a new word. Padding is 0.
pub struct Gates {
    /// Of the nodes that a ReLU reads; of others nothing.
    nodes: Table<NodeId, Vec<u64>>,
    /// Of the ReLU of the head; nothing where it has none.
    head: Vec<u64>,
    /// For each node, how many ReLUs read it: each convolution has one of its own.
    readers: Table<NodeId, usize>,
    /// Units of an image, those of a node once for each reader.
    units: u64,
}

impl Gates {
    /// For each pair of images, `[b, b]`, the units of all ReLUs that both are on at, or both off.
    pub fn agreed(&self, images: usize) -> Vec<u64> {
        let mut apart = vec![0u64; images * images];
        let nodes = self.nodes.iter().zip(self.readers.iter().copied());
        for (bits, times) in nodes.chain([(&self.head, 1)]).filter(|(bits, n)| !bits.is_empty() && *n > 0) {
            let rows: Vec<&[u64]> = bits.chunks_exact(bits.len() / images).collect();
            apart.par_chunks_mut(images).zip(&rows).for_each(|(apart, a)| {
                for (apart, b) in apart.iter_mut().zip(&rows) {
                    let differ: u64 = a.iter().zip(*b).map(|(a, b)| u64::from((a ^ b).count_ones())).sum();
                    *apart += times as u64 * differ;
                }
            });
        }
        apart.into_iter().map(|apart| self.units - apart).collect()
    }
}

impl Engine {
    /// Those of the last forward pass.
    pub fn gates(&self) -> Gates {
        let nodes = &self.program.nodes;
        let relus = |i: NodeId| self.groups[i].iter().flatten().filter(|c| self.program.convs[**c].relu).count();
        let mut readers = nodes.beside(relus);
        let read = nodes.beside(|i| readers[i] > 0);
        for i in nodes.ids() {
            // The ReLU is that of the whole image, of which the halves are some pixels.
            if let Origin::Halves(src) = nodes[i].origin {
                readers[src] += std::mem::take(&mut readers[i]);
            }
        }
        let bits = |i: NodeId| self.bits(i, pack);
        let units = |i: NodeId| (nodes[i].channels * nodes[i].size.h * nodes[i].size.w) as u64;
        let last = nodes.last();
        let (head, norm) = (self.program.head.norm.is_some(), &self.head_norm);
        let (a, t) = (narrow(&norm.a), narrow(&norm.t));
        in_pool(|| Gates {
            nodes: nodes.beside(|i| if read[i] || readers[i] > 0 { bits(i) } else { vec![] }),
            head: if head { self.bits(last, |x, bits| pack(&normed(x, &a, &t), bits)) } else { vec![] },
            units: nodes.ids().map(|i| readers[i] as u64 * units(i)).sum::<u64>() + if head { units(last) } else { 0 },
            readers,
        })
    }

    /// From now on ReLUs keep to these gates, or follow what they read.
    pub fn hold(&mut self, gates: Option<Gates>) {
        self.held = gates;
    }

    /// The bits of node `i`, image by image, block by block; a block is made again where it is not kept.
    fn bits(&self, i: NodeId, pack: impl Fn(&[f32], &mut [u64]) + Sync) -> Vec<u64> {
        let (len, block) = (self.program.nodes[i].size.len(), self.blocks[i]);
        let (words, sum) = (len.div_ceil(64), self.shared_sum(i));
        let mut bits = vec![0; self.batch * words];
        bits.par_chunks_mut(block * words).enumerate().for_each(|(b, bits)| {
            let (first, n) = (b * block, bits.len() / words);
            let mut made = vec![];
            let x = if self.kept[i] {
                &self.x[i][first * len..][..n * len]
            } else {
                made.resize(n * len, 0.0);
                self.fill(i, sum.as_ref(), &[], first, &mut made, &mut vec![0.0; self.temporary_len(i)]);
                &made
            };
            bits.chunks_exact_mut(words).zip(x.chunks_exact(len)).for_each(|(bits, x)| pack(x, bits));
        });
        bits
    }

    /// What the held ReLU of node `i` makes of its images `x`, of which `first` is the first; none where nothing is held.
    pub(super) fn held(&self, i: NodeId, first: usize, x: &[f32]) -> Option<Vec<f32>> {
        let gates = self.held.as_ref().filter(|gates| !gates.nodes[i].is_empty())?;
        let mut x = x.to_vec();
        self.close(&gates.nodes[i], i, first, &mut x);
        Some(x)
    }

    /// The same of the ReLU of the head, for what its norm gives.
    pub(super) fn held_head(&self, image: usize, normed: impl FnOnce() -> Vec<f32>) -> Option<Vec<f32>> {
        let gates = self.held.as_ref().filter(|gates| !gates.head.is_empty())?;
        let mut x = normed();
        self.close(&gates.head, self.program.nodes.last(), image, &mut x);
        Some(x)
    }

    /// The gradients that come back to them, on their way through.
    pub(super) fn hold_back(&self, i: NodeId, first: usize, dx: &mut [f32]) {
        self.held.iter().for_each(|gates| self.close(&gates.nodes[i], i, first, dx));
    }

    /// The same at the head.
    pub(super) fn hold_back_head(&self, first: usize, dn: &mut [f32]) {
        self.held.iter().for_each(|gates| self.close(&gates.head, self.program.nodes.last(), first, dn));
    }

    /// 0 where a gate is shut, in images of the size of node `i`, of which `first` is the first; without gates all stays.
    fn close(&self, gates: &[u64], i: NodeId, first: usize, x: &mut [f32]) {
        let (words, len) = (gates.len() / self.batch, self.program.nodes[i].size.len());
        if words > 0 {
            let images = gates[first * words..].chunks_exact(words).zip(x.chunks_exact_mut(len));
            images.for_each(|(bits, x)| close(bits, x));
        }
    }
}

/// A bit for each number that is above 0.
fn pack(x: &[f32], bits: &mut [u64]) {
    vectorized!({
        for (bits, x) in bits.iter_mut().zip(x.chunks(64)) {
            *bits = x.iter().zip(0..).fold(0, |bits, (x, i)| bits | u64::from(*x > 0.0) << i);
        }
    });
}

/// 0 where the bit is 0.
fn close(bits: &[u64], x: &mut [f32]) {
    vectorized!({
        for (&bits, x) in bits.iter().zip(x.chunks_mut(64)) {
            for (x, i) in x.iter_mut().zip(0u64..) {
                *x = if bits >> i & 1 == 1 { *x } else { 0.0 };
            }
        }
    });
}

/// `a x + t`, which the ReLU of the head reads.
pub(super) fn normed(x: &[f32], a: &[f32], t: &[f32]) -> Vec<f32> {
    x.chunks_exact(a.len()).flat_map(|x| x.iter().zip(a).zip(t).map(|((x, a), t)| a * x + t)).collect()
}
