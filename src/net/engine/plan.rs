//! The convolutions of a program, dense or separable, and its pools with a norm, under one roof.

use super::Values;
use crate::net::graph::PoolKind;
use crate::net::ids::Table;
use crate::net::program::{ConvId, Filter, ParamId};
use crate::ops::conv::{self, ConvPlan, Dz, PackedFilter};
use crate::ops::depthwise::{self, SeparableFilter, SeparablePlan};
use crate::ops::linear_sum::{Source, linear_sum, sums};
use crate::ops::pool::{self, Image};
use crate::ops::vectorized;
use std::sync::Arc;

/// How a convolution is computed.
#[allow(clippy::large_enum_variant, reason = "one a convolution, and shared by those of one shape")]
pub(super) enum Plan {
    Dense(ConvPlan),
    Separable(SeparablePlan),
    Pool(NormedPool),
}

/// The weights of a convolution, packed.
pub(super) enum Packed {
    Dense(PackedFilter),
    Separable(SeparableFilter),
    Nothing,
}

impl Plan {
    /// The plan of a convolution for batches of `images`.
    pub fn new(filter: &Filter, images: usize, strict: bool) -> Self {
        match *filter {
            Filter::Dense { shape, .. } | Filter::Halves { shape, .. } => {
                Plan::Dense(ConvPlan::new(shape, images, strict))
            }
            Filter::Separable { shape, .. } => Plan::Separable(SeparablePlan::new(shape, images, strict)),
            Filter::Pool { kind, size, stride } => Plan::Pool(NormedPool { kind, size, stride }),
        }
    }

    /// f32s of the weight gradient of a block.
    pub fn dw_len(&self) -> usize {
        match self {
            Plan::Dense(plan) => plan.dw_len(),
            Plan::Separable(plan) => plan.dw_len(),
            Plan::Pool(_) => 0,
        }
    }

    /// The gradients of the weights, from the sum of the blocks' ones.
    pub fn unpack(&self, filter: &Filter, dw: &[f32], values: Values<'_>) -> Vec<(ParamId, Vec<f32>)> {
        let zeros = |id: ParamId| vec![0.0; values[id].len()];
        match (self, *filter) {
            (Plan::Dense(plan), Filter::Dense { weight, .. }) => {
                let mut gradient = zeros(weight);
                conv::unpack_dw(plan, dw, &mut gradient);
                vec![(weight, gradient)]
            }
            (Plan::Dense(plan), Filter::Halves { shape, weights }) => {
                let mut both = vec![0.0; shape.c_out * shape.c_in];
                conv::unpack_dw(plan, dw, &mut both);
                let mut gradients = weights.map(zeros);
                for (o, i, at) in blocks(shape.c_in, gradients.each_ref().map(Vec::len)) {
                    gradients[i][at..at + shape.c_in / 2].copy_from_slice(&both[o..o + shape.c_in / 2]);
                }
                weights.into_iter().zip(gradients).collect()
            }
            (Plan::Separable(plan), Filter::Separable { depthwise, pointwise, .. }) => {
                let (mut v, mut w) = (zeros(depthwise), zeros(pointwise));
                plan.unpack_dw(dw, &mut v, &mut w);
                vec![(depthwise, v), (pointwise, w)]
            }
            (Plan::Pool(_), Filter::Pool { .. }) => vec![],
            _ => unreachable!("a plan is made from its filter"),
        }
    }
}

/// The blocks of the matrix `[c_out, c_in]` of a [`Filter::Halves`] that are not zero, row by row: where a row begins in the
/// matrix, which of the two weights it is of, and where it begins there.
fn blocks(c_in: usize, lens: [usize; 2]) -> impl Iterator<Item = (usize, usize, usize)> {
    let half = c_in / 2;
    let first = lens[0] / half;
    let row = move |o: usize| {
        let i = usize::from(o >= first);
        (o * c_in + i * half, i, (o - i * first) * half)
    };
    (0..(lens[0] + lens[1]) / half).map(row)
}

impl Packed {
    pub fn new(plan: &Plan) -> Self {
        match plan {
            Plan::Dense(plan) => Packed::Dense(PackedFilter::new(plan)),
            Plan::Separable(plan) => Packed::Separable(SeparableFilter::new(plan)),
            Plan::Pool(_) => Packed::Nothing,
        }
    }

    /// Take over the weights of `filter`.
    pub fn pack(&mut self, plan: &Plan, filter: &Filter, values: Values<'_>) {
        match (self, plan, *filter) {
            (Packed::Dense(packed), Plan::Dense(plan), Filter::Dense { weight, .. }) => {
                packed.pack(plan, values[weight]);
            }
            (Packed::Dense(packed), Plan::Dense(plan), Filter::Halves { shape, weights }) => {
                let (parts, half) = (weights.map(|w| values[w]), shape.c_in / 2);
                let mut both = vec![0.0; shape.c_out * shape.c_in];
                for (o, i, at) in blocks(shape.c_in, parts.map(<[f32]>::len)) {
                    both[o..o + half].copy_from_slice(&parts[i][at..at + half]);
                }
                packed.pack(plan, &both);
            }
            (Packed::Separable(packed), Plan::Separable(plan), Filter::Separable { depthwise, pointwise, .. }) => {
                packed.pack(plan, values[depthwise], values[pointwise]);
            }
            (Packed::Nothing, Plan::Pool(_), Filter::Pool { .. }) => {}
            _ => unreachable!("packed weights are made from their plan"),
        }
    }
}

/// Siblings, which are computed together: all dense, or all separable; a pool is alone.
pub(super) enum Group<'a> {
    Dense(&'a ConvPlan, Vec<&'a PackedFilter>),
    Separable(Vec<&'a SeparablePlan>, Vec<&'a SeparableFilter>),
    Pool(&'a NormedPool),
}

impl<'a> Group<'a> {
    pub fn new(convs: &[ConvId], plans: &'a Table<ConvId, Arc<Plan>>, filters: &'a Table<ConvId, Packed>) -> Self {
        match &*plans[convs[0]] {
            Plan::Dense(plan) => {
                let packed = |&c: &ConvId| if let Packed::Dense(f) = &filters[c] { Some(f) } else { None };
                return Group::Dense(plan, convs.iter().filter_map(packed).collect());
            }
            Plan::Pool(pool) => return Group::Pool(pool),
            Plan::Separable(_) => {}
        }
        let plan = |&c: &ConvId| if let Plan::Separable(p) = &*plans[c] { Some(p) } else { None };
        let packed = |&c: &ConvId| if let Packed::Separable(f) = &filters[c] { Some(f) } else { None };
        Group::Separable(convs.iter().filter_map(plan).collect(), convs.iter().filter_map(packed).collect())
    }

    /// Scratch for a block of up to `images`, either direction.
    pub fn scratch_len(&self, images: usize) -> usize {
        match self {
            Group::Dense(plan, filters) => plan.scratch_len(images, filters.len()),
            Group::Separable(plans, _) => depthwise::scratch_len(plans, true).max(depthwise::scratch_len(plans, false)),
            Group::Pool(pool) => images * pool.size.strided(pool.stride).len(),
        }
    }

    pub fn forward(
        &self,
        relu: bool,
        n: usize,
        x: &[f32],
        z: &mut [&mut [f32]],
        stats: &mut [&mut [f64]],
        scratch: &mut [f32],
    ) {
        match self {
            Group::Dense(plan, filters) => conv::forward(plan, filters, relu, n, x, z, stats, scratch),
            Group::Separable(plans, filters) => depthwise::forward(plans, filters, relu, n, x, z, stats, scratch),
            Group::Pool(pool) => pool.forward(x, z[0], stats[0]),
        }
    }

    pub fn backward(
        &self,
        relu: bool,
        n: usize,
        x: &[f32],
        dz: &[Dz<'_>],
        dx: Option<&mut [f32]>,
        dw: &mut [&mut [f32]],
        scratch: &mut [f32],
    ) {
        match self {
            Group::Dense(plan, filters) => conv::backward(plan, filters, relu, n, x, dz, dx, dw, scratch),
            Group::Separable(plans, filters) => depthwise::backward(plans, filters, relu, n, x, dz, dx, dw, scratch),
            Group::Pool(pool) => {
                if let (Some(dz), Some(dx)) = (dz.first(), dx) {
                    pool.backward(x, dz, dx, scratch);
                }
            }
        }
    }
}

/// A 3x3 pool, or none, whose output goes through a batch norm.
pub(super) struct NormedPool {
    kind: Option<PoolKind>,
    size: Image,
    stride: usize,
}

impl NormedPool {
    /// z = pool(x); `stats`: the sum, then the sum of squares, of each channel of it.
    fn forward(&self, x: &[f32], z: &mut [f32], stats: &mut [f64]) {
        match self.kind {
            None => z.copy_from_slice(x),
            Some(PoolKind::Average) => {
                z.fill(0.0);
                pool::avg3_add(x, z, self.size, self.stride);
            }
            Some(PoolKind::Maximum) => pool::max3(x, z, self.size, self.stride),
        }
        sums(z, &[z], self.size.c, stats);
    }

    /// `dx += pool^T(dz)`; `dz` is formed in the scratch.
    fn backward(&self, x: &[f32], dz: &Dz<'_>, dx: &mut [f32], scratch: &mut [f32]) {
        let (a, b, g) = (wide(dz.a), wide(dz.b), wide(dz.g));
        let formed = &mut scratch[..dz.dy.len()];
        let z = dz.z.map(|z| Source { a: &b, x: z });
        let sources: Vec<Source<'_>> = std::iter::once(Source { a: &a, x: dz.dy }).chain(z).collect();
        linear_sum(formed, &g, &sources);
        match self.kind {
            None => vectorized!(dx.iter_mut().zip(&*formed).for_each(|(dx, d)| *dx += d)),
            Some(PoolKind::Average) => pool::avg3_backward_add(formed, dx, self.size, self.stride),
            Some(PoolKind::Maximum) => pool::max3_backward_add(x, formed, dx, self.size, self.stride),
        }
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}
