//! Dense convolutions and those of two halves: packed weights, forward, the gradients of inputs and of weights.

use super::bench::{Try, near, zeros_behind};
use super::norm::Forward;
use super::parts::{Arriving, Read, channels, image, pixels, size, taps, window};
use super::weights::{Weights, lens, place};
use super::{Outcome, Property};
use isdarts_host::ops::gpu::jobs::{
    ConvForwardJob, ConvForwardOf, ConvInputJob, ConvInputPart, ConvWeightJob, Sums, Window,
};

/// Of these kernels.
pub const PROPERTIES: &[(&str, Property)] = &[("forward", forward), ("input", input), ("weight", weight)];

struct Shape {
    kind: i32,
    window: Window,
    real: [usize; 2],
    stored: [usize; 2],
}

impl Shape {
    /// Over images of this size and these channels, real ones and as stored.
    fn over(t: &mut Try, size: [usize; 3], (c, ci): (usize, usize), stride: Option<usize>) -> Self {
        loop {
            let kind = t.once_in(5) as i32;
            let k = if kind == 1 { 1 } else { t.pick(&[1, 3, 3, 5, 7]) };
            // Now and then more sums than threads.
            let most = if k == 1 && t.once_in(3) { 200 } else { 72 };
            let (oc, co) = channels(t, if k > 3 { 24 } else { most });
            let (stride, dilation) = (stride.unwrap_or(if kind == 1 { 1 } else { t.int(1, 2) }), t.int(1, 2));
            let pad = (k - 1) / 2 * dilation;
            if let Some(window) = window([size[0], size[1], size[2], c, oc], k, stride, dilation, pad) {
                return Shape { kind, window, real: [ci, co], stored: [c, oc] };
            }
        }
    }

    fn draw(t: &mut Try) -> Self {
        let (size, channels) = (size(t, 10), channels(t, 72));
        let channels =
            if size[0] * size[1] * size[2] > 150 { (channels.0.min(24), channels.1.min(19)) } else { channels };
        Shape::over(t, size, channels, None)
    }

    fn weights(&self, t: &mut Try, back: bool) -> Weights {
        Weights::draw(t, self.kind, self.window.k as usize, self.real, self.stored, back)
    }

    /// `[taps, ci, co]` of the weights.
    fn dims(&self) -> [usize; 3] {
        [(self.window.k * self.window.k) as usize, self.real[0], self.real[1]]
    }
}

/// One of the numbers of jobs side by side that make `split` of a cut 1, 2, 4 or 8, so that all of them come about.
fn cut<J>(t: &mut Try, cut: impl Fn(usize) -> J, split: impl Fn(&J) -> i32) -> J {
    let wanted = t.pick(&[1, 2, 4, 8]);
    (1..=300).map(&cut).find(|job| split(job) == wanted).unwrap_or_else(|| cut(1))
}

/// One of the convolutions of a job.
struct Of {
    weights: Weights,
    norm: Forward,
    job: ConvForwardOf,
    is_live: bool,
}

impl Of {
    fn draw(t: &mut Try, shape: &Shape) -> Self {
        let back = t.once_in(2);
        let (weights, (live, is_live)) = (shape.weights(t, back), t.live());
        let norm = Forward::draw(t, shape.stored[1], shape.real[1]);
        let z = t.out::<f32>("z", pixels(&shape.window)[1] * shape.stored[1]);
        let job = ConvForwardOf { weights: weights.job.forward, z, norm: norm.norm, live };
        Of { weights, norm, job, is_live }
    }

    fn check(&self, t: &Try, shape: &Shape, x: &[f64]) -> Outcome {
        let ([ci, co], [c, oc]) = (shape.real, shape.stored);
        let mut want = vec![0f64; pixels(&shape.window)[1] * oc];
        taps(&shape.window, |p, q, tap| {
            for i in 0..ci {
                let w = &self.weights.full[(tap * ci + i) * co..][..co];
                want[p * oc..].iter_mut().zip(w).for_each(|(z, w)| *z += x[q * c + i] * w);
            }
        });
        let z = t.made::<f32>(self.job.z);
        near("z", &z, &want, t.tolerance())?;
        zeros_behind("z", &z, oc, co)?;
        self.norm.check(t, &z)
    }
}

fn forward(t: &mut Try) -> Outcome {
    let mut cases = vec![];
    for _ in 0..t.int(1, 3) {
        let shape = Shape::draw(t);
        let read = Read::draw(t, pixels(&shape.window)[0], shape.stored[0], shape.real[0]);
        let several = if shape.stored[1] <= 16 { t.int(1, 3) } else { 1 };
        let of: Vec<Of> = (0..several).map(|_| Of::draw(t, &shape)).collect();
        if of.iter().any(|of| of.is_live) {
            // The sums of all are one.
            t.always();
        }
        let (x, window, n_of) = (read.source, shape.window, several as i32);
        let table = t.give(&of.iter().map(|of| of.job).collect::<Vec<_>>());
        let mut job = ConvForwardJob { x, window, of: table, n_of, ..Default::default() };
        job = cut(t, |jobs| job.cut(jobs), |job| job.split);
        if t.once_in(3) {
            job.staged = 0;
        }
        job.sums = Sums { parts: t.out::<f64>("parts", job.sums_len()), done: t.counters(1) };
        cases.push((shape, read, of, job));
    }
    let packs: Vec<_> = cases.iter().flat_map(|case| case.2.iter().map(|of| of.weights.job)).collect();
    let jobs: Vec<_> = cases.iter().map(|case| case.3).collect();
    let launches = [t.launch(&packs), t.launch(&jobs)];
    t.run(&launches)?;
    for (shape, read, of, _) in cases {
        let x = read.all();
        of.iter().filter(|of| of.is_live).try_for_each(|of| of.check(t, &shape, &x))?;
    }
    Ok(())
}

fn input(t: &mut Try) -> Outcome {
    let (mut cases, mut packs) = (vec![], vec![]);
    for _ in 0..t.int(1, 2) {
        let ([b, h, w], (c, ci)) = (size(t, 9), channels(t, 40));
        let read = Read::draw(t, b * h * w, c, ci);
        let stride = t.once_in(3).then_some(2);
        let (mut want, mut parts) = (vec![0f64; b * h * w * c], vec![]);
        for _ in 0..t.int(1, 3) {
            let shape = Shape::over(t, [b, h, w], (c, ci), stride);
            let ([_, to], [_, co], oc) = (pixels(&shape.window), shape.real, shape.stored[1]);
            let weights = shape.weights(t, true);
            let arriving = Arriving::draw(t, b, to / b, oc, co);
            let dz = arriving.all();
            let (live, is_live) = t.live();
            taps(&shape.window, |p, q, tap| {
                for i in 0..if is_live { ci } else { 0 } {
                    let w = &weights.full[(tap * ci + i) * co..][..co];
                    want[q * c + i] += w.iter().zip(&dz[p * oc..]).map(|(w, d)| w * d).sum::<f64>();
                }
            });
            let (dz, window, weights) = (arriving.gradient, shape.window, {
                packs.push(weights.job);
                weights.job.backward
            });
            parts.push(ConvInputPart { dz, window, weights, live });
        }
        read.mask(&mut want);
        let (live, is_live) = t.live();
        let old = t.once_in(2).then(|| image(t, b * h * w, c, ci));
        let dx = match &old {
            Some(old) => t.changed("dx", old),
            None => t.out::<f32>("dx", b * h * w * c),
        };
        want.iter_mut().zip(old.iter().flatten()).for_each(|(dx, old)| *dx += *old as f64);
        let job = ConvInputJob {
            x: read.source,
            b: b as i32,
            h: h as i32,
            w: w as i32,
            c: c as i32,
            dx,
            parts: t.give(&parts),
            n_parts: parts.len() as i32,
            add: old.is_some() as i32,
            live,
            ..Default::default()
        };
        let mut job = cut(t, |jobs| job.cut(jobs, &parts), |job| job.split);
        if t.once_in(3) {
            job.staged = 0;
        }
        cases.push((job, want, c, ci, is_live));
    }
    let jobs: Vec<_> = cases.iter().map(|case| case.0).collect();
    let launches = [t.launch(&packs), t.launch(&jobs)];
    t.run(&launches)?;
    cases.iter().filter(|case| case.4).try_for_each(|(job, want, c, ci, _)| {
        let dx = t.made::<f32>(job.dx);
        near("dx", &dx, want, t.tolerance())?;
        zeros_behind("dx", &dx, *c, *ci)
    })
}

fn weight(t: &mut Try) -> Outcome {
    let mut cases = vec![];
    for _ in 0..t.int(1, 3) {
        let shape = Shape::draw(t);
        let ([from, to], [c, oc], [ci, co]) = (pixels(&shape.window), shape.stored, shape.real);
        let read = Read::draw(t, from, c, ci);
        let arriving = Arriving::draw(t, shape.window.b as usize, to / shape.window.b as usize, oc, co);
        let (live, is_live) = t.live();
        let dw = lens(shape.kind, shape.dims()).map(|n| t.out::<f32>("dw", n));
        let (x, dz, window, kind) = (read.source, arriving.gradient, shape.window, shape.kind);
        let (ci, co) = (ci as i32, co as i32);
        let job = ConvWeightJob { x, dz, window, kind, ci, co, dw, live, ..Default::default() };
        let mut job = job.cut(job.cost());
        // More parts than a small image would be cut into, be it read through shared memory or straight from the image.
        let groups = job.blocks / job.splits;
        if t.once_in(2) {
            job.staged = 0;
        }
        // Fewer pixels at a time need no more room.
        if t.once_in(2) {
            job.pixels = job.pixels.min(32);
        }
        let run = if job.staged > 0 { job.pixels as usize } else { 8 };
        let most = t.pick(&[1, 3, 20]);
        job.splits = t.int(1, to.div_ceil(run).min(most)) as i32;
        job.blocks = job.splits * groups;
        (job.parts, job.done) = (t.out::<f32>("parts", job.parts_len()), t.counters(job.counters()));
        cases.push((shape, read, arriving, job, is_live));
    }
    let jobs: Vec<_> = cases.iter().map(|case| case.3).collect();
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    for (shape, read, arriving, job, _) in cases.into_iter().filter(|case| case.4) {
        let ([c, oc], [ci, co], x, dz) = (shape.stored, shape.real, read.all(), arriving.all());
        let mut full = vec![0f64; shape.dims().iter().product()];
        taps(&shape.window, |p, q, tap| {
            for i in 0..ci {
                let dw = &mut full[(tap * ci + i) * co..][..co];
                dw.iter_mut().zip(&dz[p * oc..]).for_each(|(dw, d)| *dw += x[q * c + i] * d);
            }
        });
        let mut want = lens(shape.kind, shape.dims()).map(|n| vec![0f64; n]);
        for (at, v) in full.iter().enumerate() {
            let (o, i, tap) = (at % co, at / co % ci, at / co / ci);
            if let Some((half, place)) = place(shape.kind, shape.dims(), o, i, tap) {
                want[half][place] = *v;
            }
        }
        for (dw, want) in job.dw.iter().zip(&want) {
            near("dw", &t.made::<f32>(*dw), want, t.tolerance())?;
        }
    }
    Ok(())
}
