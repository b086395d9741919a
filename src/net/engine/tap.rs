//! The tap: the ReLU of a node through an average pool without padding, on its way out and back. A small image late in the
//! network, so plain loops.

use super::Engine;
use crate::net::program::NodeId;
use crate::ops::relu::relu;
use rayon::prelude::*;

impl Engine {
    /// What goes out, `[b, h, w, c]`; nothing without a tap.
    pub(super) fn tapped(&self) -> Vec<f32> {
        let Some(tap) = self.program.tap else { return vec![] };
        let (node, k) = (&self.program.nodes[tap.node], tap.window.kernel);
        let (size, c) = (node.size, node.channels);
        let (oh, ow) = (tap.window.outputs(size.h), tap.window.outputs(size.w));
        let mut out = vec![0.0; self.batch * oh * ow * c];
        let images = out.par_chunks_mut(oh * ow * c).zip(self.x[tap.node].par_chunks(size.len()));
        images.for_each(|(out, x)| {
            for (o, out) in out.chunks_exact_mut(c).enumerate() {
                for p in pixels(o, ow, tap.window.stride, k, size.w) {
                    out.iter_mut().zip(&x[p * size.c..]).for_each(|(o, x)| *o += relu(*x));
                }
                out.iter_mut().for_each(|o| *o /= (k * k) as f32);
            }
        });
        out
    }

    /// Adds its gradient to `dx` of the block of node `i` that begins with image `first`; `x`: the block.
    pub(super) fn tapped_backward(&self, i: NodeId, first: usize, x: &[f32], gradient: &[f32], dx: &mut [f32]) {
        let Some(tap) = self.program.tap.filter(|t| t.node == i) else { return };
        let (node, k) = (&self.program.nodes[i], tap.window.kernel);
        let (size, c) = (node.size, node.channels);
        let (oh, ow) = (tap.window.outputs(size.h), tap.window.outputs(size.w));
        let blocks = dx.chunks_exact_mut(size.len()).zip(x.chunks_exact(size.len()));
        for ((dx, x), dy) in blocks.zip(gradient[first * oh * ow * c..].chunks_exact(oh * ow * c)) {
            for (o, dy) in dy.chunks_exact(c).enumerate() {
                for p in pixels(o, ow, tap.window.stride, k, size.w) {
                    let at = p * size.c..p * size.c + c;
                    for ((dx, x), dy) in dx[at.clone()].iter_mut().zip(&x[at]).zip(dy) {
                        *dx += if *x <= 0.0 { 0.0 } else { dy / (k * k) as f32 };
                    }
                }
            }
        }
    }
}

/// The pixels under the window of output `o`.
fn pixels(o: usize, ow: usize, stride: usize, k: usize, w: usize) -> impl Iterator<Item = usize> {
    let (top, left) = (o / ow * stride, o % ow * stride);
    (0..k * k).map(move |t| (top + t / k) * w + left + t % k)
}
