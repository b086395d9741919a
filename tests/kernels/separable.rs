//! Separable convolutions: forward, and back to their middle, their input and their depthwise weights.

use super::bench::{Try, near, near_beside, zeros_behind};
use super::norm::Forward;
use super::parts::{Arriving, Read, channels, image, pixels, size, taps, up, window};
use super::weights::Weights;
use super::{Check, Outcome, Property};
use isdarts_host::ops::gpu::jobs::{
    PackJob, SeparableForwardJob, SeparableInnerJob, SeparableInputJob, SeparableInputPart, SeparableTapJob, Sums,
    Window,
};

/// Of these kernels.
pub const PROPERTIES: &[(&str, Property)] = &[("forward", forward), ("inner", inner), ("input", input), ("taps", tap)];

struct Shape {
    window: Window,
    real: [usize; 2],
    stored: [usize; 2],
}

impl Shape {
    /// Of a size and channels; windows stand on any side of the image.
    fn over(t: &mut Try, size: [usize; 3], (c, ci): (usize, usize), (oc, co): (usize, usize)) -> Self {
        loop {
            let (k, stride, dilation) = (t.pick(&[1, 3, 3, 5, 5, 7]), t.pick(&[1, 1, 2]), t.int(1, 2));
            let most = dilation * (k - 1) / 2;
            let pad = if t.once_in(4) { t.int(0, most) } else { most };
            if let Some(window) = window([size[0], size[1], size[2], c, oc], k, stride, dilation, pad) {
                return Shape { window, real: [ci, co], stored: [c, oc] };
            }
        }
    }

    fn draw(t: &mut Try) -> Self {
        // Now and then so many channels that tiles are small and gradients made in pieces; or many tiles.
        let (size, most) = match t.int(1, 8) {
            1 => ([t.int(1, 2), t.int(1, 4), t.int(1, 5)], [136, 272]),
            2 => ([5, 16, 15], [16, 16]),
            _ => (size(t, 11), [72, 72]),
        };
        let (inputs, outputs) = (channels(t, most[0]), channels(t, most[1]));
        Shape::over(t, size, inputs, outputs)
    }

    /// The depthwise weights and the pointwise ones.
    fn weights(&self, t: &mut Try) -> [Weights; 2] {
        let ([ci, co], [c, oc]) = (self.real, self.stored);
        [
            Weights::draw(t, 2, self.window.k as usize, [ci, ci], [c, c], false),
            Weights::draw(t, 0, 1, [ci, co], [c, oc], true),
        ]
    }

    /// What stands between the two convolutions, `[pixels, ci]`.
    fn middle(&self, x: &[f64], depthwise: &Weights) -> Vec<f64> {
        let (ci, c) = (self.real[0], self.stored[0]);
        let mut u = vec![0f64; pixels(&self.window)[1] * ci];
        taps(&self.window, |p, q, tap| {
            for i in 0..ci {
                u[p * ci + i] += x[q * c + i] * depthwise.full[tap * ci + i];
            }
        });
        u
    }
}

fn forward(t: &mut Try) -> Outcome {
    let (packs, jobs, check) = drawn_forward(t);
    let launches = [t.launch(&packs), t.launch(&jobs)];
    t.run(&launches)?;
    check(t)
}

/// Jobs, those that pack their weights, and what they should make.
pub fn drawn_forward(t: &mut Try) -> (Vec<PackJob>, Vec<SeparableForwardJob>, Check) {
    let (mut cases, mut packs) = (vec![], vec![]);
    for _ in 0..t.int(1, 3) {
        let shape = Shape::draw(t);
        let ([from, to], [c, oc]) = (pixels(&shape.window), shape.stored);
        let weights = shape.weights(t);
        packs.extend(weights.each_ref().map(|w| w.job));
        let (read, (live, is_live)) = (Read::draw(t, from, c, shape.real[0]), t.live());
        let norm = Forward::draw(t, oc, shape.real[1]);
        let [depthwise, pointwise] = weights.each_ref().map(|w| w.job.forward);
        let (x, window, z) = (read.source, shape.window, t.out::<f32>("z", to * oc));
        let mut job =
            SeparableForwardJob { x, window, depthwise, pointwise, z, norm: norm.norm, live, ..Default::default() }
                .cut(t.pick(&[1, 1000, 100_000]));
        job.sums = Sums { parts: t.out::<f64>("parts", job.sums_len()), done: t.counters(1) };
        cases.push((shape, weights, read, norm, job, is_live));
    }
    let jobs = cases.iter().map(|case| case.4).collect();
    (packs, jobs, Box::new(move |t| check_forward(t, cases)))
}

type ForwardCase = (Shape, [Weights; 2], Read, Forward, SeparableForwardJob, bool);

fn check_forward(t: &Try, cases: Vec<ForwardCase>) -> Outcome {
    for (shape, [depthwise, pointwise], read, norm, job, _) in cases.into_iter().filter(|case| case.5) {
        let ([ci, co], oc, u) = (shape.real, shape.stored[1], shape.middle(&read.all(), &depthwise));
        let mut want = vec![0f64; pixels(&shape.window)[1] * oc];
        for (z, u) in want.chunks_mut(oc).zip(u.chunks(ci)) {
            for (w, u) in pointwise.full.chunks(co).zip(u) {
                z.iter_mut().zip(w).for_each(|(z, w)| *z += u * w);
            }
        }
        let z = t.made::<f32>(job.z);
        near("z", &z, &want, t.tolerance())?;
        zeros_behind("z", &z, oc, co)?;
        norm.check(t, &z)?;
    }
    Ok(())
}

fn inner(t: &mut Try) -> Outcome {
    let (mut cases, mut packs) = (vec![], vec![]);
    for _ in 0..t.int(1, 3) {
        let shape = Shape::draw(t);
        let ([from, to], [c, oc], [ci, co], b) =
            (pixels(&shape.window), shape.stored, shape.real, shape.window.b as usize);
        let weights = shape.weights(t);
        packs.extend(weights.each_ref().map(|w| w.job));
        let (read, arriving) = (Read::draw(t, from, c, ci), Arriving::draw(t, b, to / b, oc, co));
        let (live, is_live) = t.live();
        let mut job = SeparableInnerJob {
            x: read.source,
            dz: arriving.gradient,
            window: shape.window,
            depthwise: weights[0].job.forward,
            pointwise: weights[1].job.backward,
            da: t.out::<f32>("da", to * c),
            ci: ci as i32,
            co: co as i32,
            dw: t.out::<f32>("dw", co * ci),
            live,
            ..Default::default()
        };
        job = job.cut(job.cost());
        let pieces = job.blocks / job.splits;
        job.splits = t.int(1, job.splits as usize) as i32;
        job.blocks = job.splits * pieces;
        (job.parts, job.done) = (t.out::<f32>("parts", job.parts_len()), t.counters(job.counters()));
        cases.push((shape, weights, read, arriving, job, is_live));
    }
    let jobs: Vec<_> = cases.iter().map(|case| case.4).collect();
    let launches = [t.launch(&packs), t.launch(&jobs)];
    t.run(&launches)?;
    for (shape, [depthwise, pointwise], read, arriving, job, _) in cases.into_iter().filter(|case| case.5) {
        let ([ci, co], [c, oc], dz) = (shape.real, shape.stored, arriving.all());
        let u = shape.middle(&read.all(), &depthwise);
        let (mut da, mut dw) = (vec![0f64; pixels(&shape.window)[1] * c], vec![0f64; co * ci]);
        for ((dz, u), da) in dz.chunks(oc).zip(u.chunks(ci)).zip(da.chunks_mut(c)) {
            for i in 0..ci {
                for o in 0..co {
                    da[i] += dz[o] * pointwise.full[i * co + o];
                    dw[o * ci + i] += dz[o] * u[i];
                }
            }
        }
        let made = t.made::<f32>(job.da);
        near("da", &made, &da, t.tolerance())?;
        zeros_behind("da", &made, c, ci)?;
        near("dw", &t.made::<f32>(job.dw), &dw, t.tolerance())?;
    }
    Ok(())
}

fn input(t: &mut Try) -> Outcome {
    let (mut cases, mut packs) = (vec![], vec![]);
    for _ in 0..t.int(1, 3) {
        let ([b, h, w], (c, ci)) = (size(t, 11), channels(t, 72));
        let read = Read::draw(t, b * h * w, c, ci);
        let (mut want, mut parts) = (vec![0f64; b * h * w * c], vec![]);
        for _ in 0..t.int(1, 3) {
            let shape = Shape::over(t, [b, h, w], (c, ci), (8, 8));
            let [depthwise, _] = shape.weights(t);
            let da = image(t, pixels(&shape.window)[1], c, ci);
            let (live, is_live) = t.live();
            taps(&shape.window, |p, q, tap| {
                for i in 0..if is_live { ci } else { 0 } {
                    want[q * c + i] += da[p * c + i] as f64 * depthwise.full[tap * ci + i];
                }
            });
            let (window, da, taps) = (shape.window, t.give(&da), depthwise.job.forward);
            parts.push(SeparableInputPart { window, da, depthwise: taps, live });
            packs.push(depthwise.job);
        }
        read.mask(&mut want);
        let (live, is_live) = t.live();
        let old = t.once_in(2).then(|| image(t, b * h * w, c, ci));
        let dx = match &old {
            Some(old) => t.changed("dx", old),
            None => t.out::<f32>("dx", b * h * w * c),
        };
        want.iter_mut().zip(old.iter().flatten()).for_each(|(dx, old)| *dx += *old as f64);
        let job = SeparableInputJob {
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
        cases.push((job.cut(), want, c, ci, is_live));
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

fn tap(t: &mut Try) -> Outcome {
    let (jobs, check) = drawn_taps(t);
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    check(t)
}

/// Jobs, and what they should make.
pub fn drawn_taps(t: &mut Try) -> (Vec<SeparableTapJob>, Check) {
    let mut cases = vec![];
    for _ in 0..t.int(1, 3) {
        let shape = Shape::draw(t);
        let ([from, to], c, ci, n) = (pixels(&shape.window), shape.stored[0], shape.real[0], shape.window);
        let (read, da) = (Read::draw(t, from, c, ci), image(t, to, c, ci));
        let (count, (live, is_live)) = ((n.k * n.k) as usize, t.live());
        let (x, window, ci_, dw) = (read.source, n, ci as i32, t.out::<f32>("dw", ci * count));
        let mut job = SeparableTapJob { x, window, da: t.give(&da), ci: ci_, dw, live, ..Default::default() };
        job = job.cut(job.cost());
        let (pieces, groups) = (job.blocks / job.splits, (n.b * n.oh) as usize * up(n.ow as usize, 4));
        job.splits = t.int(1, groups.min(40)) as i32;
        job.blocks = job.splits * pieces;
        (job.parts, job.done) = (t.out::<f32>("parts", job.parts_len()), t.counters(job.counters()));
        let (mut want, mut squares, x) = (vec![0f64; ci * count], 0f64, read.all());
        taps(&n, |p, q, tap| {
            for i in 0..ci {
                let term = da[p * c + i] as f64 * x[q * c + i];
                want[i * count + tap] += term;
                squares += term * term;
            }
        });
        // The size of a sum where nothing cancels.
        let one = (squares / want.len() as f64).sqrt();
        cases.push((job, want, is_live, one));
    }
    let jobs = cases.iter().map(|case| case.0).collect();
    let check = move |t: &Try| {
        let live = cases.iter().filter(|case| case.2);
        live.into_iter()
            .try_for_each(|(job, want, _, one)| near_beside("dw", &t.made::<f32>(job.dw), want, *one, t.tolerance()))
    };
    (jobs, Box::new(check))
}
