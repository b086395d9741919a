//! What arrives at a node from all that reads it, but for the convolutions.

use super::{BackwardPass, FromHead};
use crate::net::engine::Engine;
use crate::net::engine::fill::{Pooled, Scaled, add_pooled, slices};
use crate::net::engine::forward::same_stride;
use crate::net::program::{NodeId, Origin};
use crate::ops::linear_sum::{dot, linear_sum};
use crate::ops::{channels, pool};

/// `dx = t + sum of a dy`, and sums that come back through a 3x3 average.
pub(super) struct Arriving<'a> {
    t: Vec<f64>,
    direct: Vec<Scaled<'a>>,
    pooled: Vec<Pooled<'a>>,
}

impl Engine {
    /// What arrives at node `i` from its copies and pools, and from the head, as coefficients per channel, for one image.
    pub(super) fn arriving<'a>(
        &'a self,
        i: NodeId,
        image: usize,
        head: &'a FromHead,
        pass: &'a BackwardPass<'_>,
    ) -> Arriving<'a> {
        let node = &self.program.nodes[i];
        let live = |dst: NodeId| Some(&pass.dy[dst][..]).filter(|dy| !dy.is_empty());
        let mut arriving = Arriving { t: vec![0.0; node.size.c], direct: Vec::new(), pooled: Vec::new() };
        for &(dst, coef) in &node.copies {
            arriving.direct.extend(live(dst).map(|dy| (vec![self.coef(coef, image); node.size.c], dy)));
        }
        for &(dst, stride, coef) in &node.pools3 {
            if let Some(dy) = live(dst) {
                let term = (vec![self.coef(coef, image); node.size.c], dy);
                add_pooled(&mut arriving.pooled, stride, self.program.nodes[dst].size, term);
            }
        }
        if i == self.program.nodes.last() {
            let FromHead { dn, gradient } = head;
            arriving.t.clone_from(&gradient.g);
            arriving.direct.push((gradient.a.clone(), dn));
            arriving.direct.push((gradient.b.clone(), &self.x[i]));
        }
        arriving
    }

    /// `dx = ` everything that does not come through a convolution, for the images of x, of which `first` is the first; to `dots`
    /// the gradients of those weights are added.
    pub(super) fn gather(
        &self,
        x: &[f32],
        arriving: &Arriving<'_>,
        pass: &BackwardPass<'_>,
        (i, first): (NodeId, usize),
        (dx, dots): (&mut [f32], &mut [f64]),
        scratch: &mut [f32],
    ) {
        let node = &self.program.nodes[i];
        let (size, len) = (node.size, dx.len());
        let (n, at) = (len / size.len(), first * size.len());
        linear_sum(dx, &arriving.t, &slices(&arriving.direct, at, len));
        for pooled in &arriving.pooled {
            pool::avg3_backward_add(pooled.sum(first, n, scratch), dx, size, pooled.stride);
        }
        let dy = |dst: NodeId| {
            let len = self.program.nodes[dst].size.len();
            pass.dy[dst].get(first * len..(first + n) * len)
        };
        for &dst in &node.derived {
            let (Some(dy), to) = (dy(dst), &self.program.nodes[dst]) else { continue };
            match to.origin {
                Origin::AvgPool2(_) => pool::avg2_backward_add(dy, dx, size),
                Origin::MaxPool2(_) => pool::max2_backward_add(x, dy, dx, size),
                Origin::MaxPool3 { stride, .. } => pool::max3_backward_add(x, dy, dx, size, stride),
                Origin::Halves(_) => channels::halves_backward_add(dy, dx, size, node.channels),
                Origin::Concat(ref parts) => {
                    let mut at = 0;
                    for &part in parts {
                        if part == i {
                            channels::take_add(dy, to.size.c, at, dx, node.channels);
                        }
                        at += self.program.nodes[part].channels;
                    }
                }
                Origin::Dropout { place, behind, .. } => {
                    match self.dropout.and_then(|values| values.mask(place, behind)) {
                        Some(mask) => mask.backward_add(dy, dx, first, size.len()),
                        None => dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy),
                    }
                }
                Origin::First { channels, .. } => channels::first_backward_add(dy, channels, dx, size.c),
                Origin::Shuffle { first, rest, groups } => {
                    let (c, runs) = (to.channels, [first, rest].map(|part| part == i));
                    channels::shuffle_backward_add(dy, dx, c, groups, runs);
                }
                Origin::Input | Origin::Sum(_) => {}
            }
        }
        self.tapped_backward(i, first, x, pass.tapped, dx);
        if pass.want.mix {
            // Where there is a scale, the images come one at a time.
            for (d, &(dst, coef)) in dots.iter_mut().zip(&node.copies) {
                *d += self.scale(coef, first) * dy(dst).map_or(0.0, |dy| dot(x, dy));
            }
            let mut at = node.copies.len();
            for pools in same_stride(&node.pools3) {
                let temporary = &mut scratch[..n * size.strided(pools[0].1).len()];
                temporary.fill(0.0);
                pool::avg3_add(x, temporary, size, pools[0].1);
                for (dst, _, coef) in pools {
                    dots[at] += self.scale(coef, first) * dy(dst).map_or(0.0, |dy| dot(temporary, dy));
                    at += 1;
                }
            }
        }
    }
}
