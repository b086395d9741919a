//! What a node is: the sum of its terms, or what it is made of. The forward pass computes it; the backward pass computes it
//! again where it is not kept.

use super::Engine;
use super::gates::normed;
use super::norm::narrow;
use crate::net::program::{NodeId, Origin, Term};
use crate::ops::linear_sum::{Source, linear_sum};
use crate::ops::relu::relu;
use crate::ops::{channels, pool};

/// Coefficients, one a channel, and the images that they multiply.
pub(super) type Scaled<'a> = (Vec<f64>, &'a [f32]);

/// `t + sum of a x`, and sums that go through a 3x3 average.
pub(super) struct NodeSum<'a> {
    t: Vec<f64>,
    direct: Vec<Scaled<'a>>,
    pooled: Vec<Pooled<'a>>,
}

/// A sum that goes through a 3x3 average (or comes back through one).
pub(super) struct Pooled<'a> {
    pub stride: usize,
    /// Size of the images in the sum.
    pub size: pool::Image,
    pub terms: Vec<Scaled<'a>>,
}

/// Add a term to the sum that goes through the same pool.
pub(super) fn add_pooled<'a>(pooled: &mut Vec<Pooled<'a>>, stride: usize, size: pool::Image, term: Scaled<'a>) {
    match pooled.iter_mut().find(|p| (p.stride, p.size) == (stride, size)) {
        Some(p) => p.terms.push(term),
        None => pooled.push(Pooled { stride, size, terms: vec![term] }),
    }
}

impl Pooled<'_> {
    /// The sum for `n` images from `first`, in the memory given.
    pub fn sum<'b>(&self, first: usize, n: usize, memory: &'b mut [f32]) -> &'b [f32] {
        let len = self.size.len();
        let sum = &mut memory[..n * len];
        linear_sum(sum, &vec![0.0; self.size.c], &slices(&self.terms, first * len, n * len));
        sum
    }
}

pub(super) fn slices<'a>(terms: &'a [Scaled<'_>], at: usize, len: usize) -> Vec<Source<'a>> {
    terms.iter().map(|(a, x)| Source { a, x: &x[at..at + len] }).collect()
}

impl Engine {
    /// The sum that is node `i` (empty for a node that is none), for one image.
    fn node_sum(&self, i: NodeId, image: usize) -> NodeSum<'_> {
        let node = &self.program.nodes[i];
        let c = node.size.c;
        let mut sum = NodeSum { t: vec![0.0; c], direct: Vec::new(), pooled: Vec::new() };
        for term in node.origin.terms() {
            match *term {
                Term::Conv { conv, coef } => {
                    let (w, norm) = (self.coef(coef, image), &self.norms[conv]);
                    for (sum, t) in sum.t.iter_mut().zip(&norm.t) {
                        *sum += w * t;
                    }
                    sum.direct.push((norm.a.iter().map(|a| w * a).collect(), &self.z[conv]));
                }
                Term::Copy { src, coef } => sum.direct.push((vec![self.coef(coef, image); c], &self.x[src])),
                Term::AvgPool3 { src, stride, coef } => {
                    let term = (vec![self.coef(coef, image); c], &self.x[src][..]);
                    add_pooled(&mut sum.pooled, stride, self.program.nodes[src].size, term);
                }
            }
        }
        sum
    }

    /// The sum of a node for every image, or, where it differs from image to image, none: it is made for each.
    pub(super) fn shared_sum(&self, i: NodeId) -> Option<NodeSum<'_>> {
        (!self.by_image[i]).then(|| self.node_sum(i, 0))
    }

    /// The block `x` of node `i` that begins with image `first`; `temporary` as [`Engine::temporary_len`] says.
    pub(super) fn fill(
        &self,
        i: NodeId,
        shared: Option<&NodeSum<'_>>,
        input: &[f32],
        first: usize,
        x: &mut [f32],
        temporary: &mut [f32],
    ) {
        if let Some(sum) = shared {
            return self.fill_with(i, sum, input, first, x, temporary);
        }
        for (image, x) in x.chunks_exact_mut(self.program.nodes[i].size.len()).enumerate() {
            let image = first + image;
            self.fill_with(i, &self.node_sum(i, image), input, image, x, temporary);
        }
    }

    fn fill_with(
        &self,
        i: NodeId,
        sum: &NodeSum<'_>,
        input: &[f32],
        first: usize,
        x: &mut [f32],
        temporary: &mut [f32],
    ) {
        let node = &self.program.nodes[i];
        let n = x.len() / node.size.len();
        let images = |src: NodeId| {
            let size = self.program.nodes[src].size;
            (&self.x[src][first * size.len()..][..n * size.len()], size)
        };
        match node.origin {
            Origin::Input => {
                nhwc(&input[first * node.channels * node.size.h * node.size.w..], node.channels, x, node.size)
            }
            Origin::Sum(_) => {
                linear_sum(x, &sum.t, &slices(&sum.direct, first * node.size.len(), x.len()));
                for pooled in &sum.pooled {
                    pool::avg3_add(pooled.sum(first, n, temporary), x, pooled.size, pooled.stride);
                }
            }
            Origin::AvgPool2(src) => {
                let (from, size) = images(src);
                pool::avg2(from, x, size);
            }
            Origin::MaxPool2(src) => {
                let (from, size) = images(src);
                pool::max2(from, x, size);
            }
            Origin::MaxPool3 { src, stride } => {
                let (from, size) = images(src);
                pool::max3(from, x, size, stride);
            }
            Origin::Halves(src) => {
                let (from, size) = images(src);
                channels::halves(from, x, size, self.program.nodes[src].channels);
            }
            Origin::Concat(ref parts) => {
                let mut at = 0;
                for &part in parts {
                    let c = self.program.nodes[part].channels;
                    channels::put(images(part).0, c, x, node.size.c, at);
                    at += c;
                }
                channels::clear_padding(x, node.channels);
            }
            Origin::Dropout { src, place, behind } => {
                let from = images(src).0;
                match self.dropout.and_then(|values| values.mask(place, behind)) {
                    Some(mask) => mask.apply(from, x, first, node.size.len()),
                    None => x.copy_from_slice(from),
                }
            }
            Origin::First { src, channels } => {
                let (from, size) = images(src);
                channels::first(from, size.c, x, channels);
            }
            Origin::Shuffle { first, rest, groups } => {
                channels::shuffle(images(first).0, images(rest).0, x, node.channels, groups);
            }
        }
    }
}

impl Engine {
    /// Images of the size of node 0, as they come in: `[n, h, w, 8]` to `[n, 3, h, w]`.
    pub(super) fn nchw(&self, x: &[f32]) -> Vec<f32> {
        let node = &self.program.nodes[NodeId(0)];
        let image = |x: &[f32]| {
            (0..node.channels)
                .flat_map(move |c| x.chunks_exact(node.size.c).map(move |x| x[c]).collect::<Vec<f32>>())
                .collect::<Vec<f32>>()
        };
        x.chunks_exact(node.size.len()).flat_map(image).collect()
    }

    /// What the mean of the head is taken of, `[b, h, w, c]`.
    pub fn features(&self) -> Vec<f32> {
        let x = &self.x[self.program.nodes.last()];
        let norm = &self.head_norm;
        match self.program.head.norm {
            None => x.to_vec(),
            Some(_) => normed(x, &narrow(&norm.a), &narrow(&norm.t)).into_iter().map(relu).collect(),
        }
    }
}

/// `[n, 3, h, w]` to `[n, h, w, 8]`.
fn nhwc(input: &[f32], channels: usize, x: &mut [f32], size: pool::Image) {
    let plane = size.h * size.w;
    for (image, x) in input.chunks_exact(channels * plane).zip(x.chunks_exact_mut(size.len())) {
        for (p, x) in x.chunks_exact_mut(size.c).enumerate() {
            for (ch, x) in x.iter_mut().enumerate() {
                *x = if ch < channels { image[ch * plane + p] } else { 0.0 };
            }
        }
    }
}
