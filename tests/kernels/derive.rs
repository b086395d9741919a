//! Nodes made of another node; pools and norms of an image's channels.

use super::bench::{Try, near, require};
use super::norm::Forward;
use super::parts::{channels, image, pixels, size, up, window};
use super::{Check, Outcome, Property};
use isdarts_host::ops::gpu::jobs::{Address, DeriveJob, Groups, MomentsJob, PoolForwardJob, Sums, blocks_of};
use isdarts_host::ops::padded;

/// Of these kernels.
pub const DERIVE: &[(&str, Property)] = &[("derive", derive), ("parts of one", concatenation), ("shuffled", shuffle)];
/// Of these kernels.
pub const POOL: &[(&str, Property)] = &[("pool", pool)];
/// Of these kernels.
pub const MOMENTS: &[(&str, Property)] = &[("moments", moments)];

/// An image with ties, for maxima.
pub fn coarse(t: &mut Try, pixels: usize, c: usize, real: usize) -> Vec<f32> {
    let mut x = image(t, pixels, c, real);
    x.iter_mut().for_each(|v| *v = (2. * *v).round());
    if t.once_in(3) {
        let (pixel, ch) = (t.int(0, pixels - 1), t.int(0, real - 1));
        x[pixel * c + ch] = f32::NAN;
    }
    x
}

/// The pixels of the image under the 3x3 window at pixel (y, x) of an image of h x w: each one's place in the window, and where it is.
pub fn under3([h, w]: [usize; 2], y: usize, x: usize) -> Vec<(usize, usize)> {
    let inside = |i: usize| (y + i / 3).checked_sub(1).zip((x + i % 3).checked_sub(1));
    let there = |i| inside(i).filter(|(r, q)| *r < h && *q < w).map(|(r, q)| (i, r * w + q));
    (0..9).filter_map(there).collect()
}

/// The maximum of these, and its place: the first of equal ones, the last NaN.
pub fn maximum(values: impl Iterator<Item = (usize, f32)>) -> (u8, f32) {
    let better = |best: (usize, f32), v: (usize, f32)| if v.1 > best.1 || v.1.is_nan() { v } else { best };
    values.reduce(better).map(|(place, v)| (place as u8, v)).expect("the pixel itself")
}

fn derive(t: &mut Try) -> Outcome {
    let (jobs, check) = drawn(t);
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    check(t)
}

/// Jobs, and what they should make.
pub fn drawn(t: &mut Try) -> (Vec<DeriveJob>, Check) {
    let mut cases: Vec<(DeriveJob, Vec<f64>, Vec<u8>, bool)> = vec![];
    for kind in [0, 1, 2, 3, 5] {
        let ([b, sh, sw], (sc, real)) = (size(t, 17), channels(t, 24));
        let (sh, sw) = if kind == 1 || kind == 5 { (sh + 1, sw + 1) } else { (sh, sw) };
        let stride = t.int(1, 2);
        let (h, w, c) = match kind {
            0 => (sh, sw, sc),
            1 | 5 => (sh / 2, sw / 2, sc),
            2 => (up(sh, stride), up(sw, stride), sc),
            _ => (up(sh, 2), up(sw, 2), padded(2 * real)),
        };
        let from = if kind == 0 { t.numbers(b * real * sh * sw, 0., 1.) } else { coarse(t, b * sh * sw, sc, real) };
        let (mut want, mut choice) = (vec![0f64; b * h * w * c], vec![]);
        for (at, v) in want.iter_mut().enumerate() {
            let (ch, x, y, image) = (at % c, at / c % w, at / c / w % h, at / c / w / h);
            let pixel = |r: usize, q: usize, ch: usize| from[((image * sh + r) * sw + q) * sc + ch];
            *v = match kind {
                0 if ch < real => from[((image * real + ch) * h + y) * w + x] as f64,
                1 => (0..4).map(|i| pixel(2 * y + i / 2, 2 * x + i % 2, ch) as f64 / 4.).sum(),
                2 => {
                    let under = under3([sh, sw], y * stride, x * stride);
                    let (place, most) = maximum(under.iter().map(|(i, at)| (*i, pixel(at / sw, at % sw, ch))));
                    choice.push(place);
                    most as f64
                }
                5 => {
                    let four = (0..4).map(|i| (i, pixel(2 * y + i / 2, 2 * x + i % 2, ch)));
                    let (place, most) = maximum(four);
                    choice.push(place);
                    most as f64
                }
                3 if ch < 2 * real => {
                    let half = ch / real;
                    let (r, q) = (2 * y + half, 2 * x + half);
                    if r < sh && q < sw { pixel(r, q, ch % real) as f64 } else { 0. }
                }
                _ => 0.,
            };
        }
        let [b_, h_, w_, c_, sh, sw, sc, channels, stride] = [b, h, w, c, sh, sw, sc, real, stride].map(|n| n as i32);
        let (live, is_live) = t.live();
        let job = DeriveJob {
            kind,
            b: b_,
            h: h_,
            w: w_,
            c: c_,
            sh,
            sw,
            sc,
            channels,
            stride,
            at: 0,
            width: c_,
            x: t.give(&from),
            y: t.out::<f32>("y", b * h * w * c),
            choice: if kind == 2 || kind == 5 { t.out::<u8>("choice", choice.len()) } else { 0 },
            blocks: blocks_of(b * h * w * c, 1024),
            live,
            ..Default::default()
        };
        cases.push((job, want, choice, is_live));
    }
    let jobs = cases.iter().map(|case| case.0).collect();
    let check = move |t: &Try| {
        cases.iter().filter(|case| case.3).try_for_each(|(job, want, choice, _)| {
            near(&format!("kind {}", job.kind), &t.made::<f32>(job.y), want, 1e-7)?;
            let same = !(job.kind == 2 || job.kind == 5) || t.made::<u8>(job.choice) == *choice;
            require(same, || "another pixel was the maximum".into())
        })
    };
    (jobs, Box::new(check))
}

fn concatenation(t: &mut Try) -> Outcome {
    let ([b, h, w], n) = (size(t, 9), t.int(1, 4));
    let widths: Vec<(usize, usize)> = (0..n).map(|_| channels(t, 16)).collect();
    let all: usize = widths.iter().map(|(_, real)| real).sum();
    let c = padded(all);
    let (mut want, y) = (vec![0f64; b * h * w * c], t.out::<f32>("y", b * h * w * c));
    let (mut jobs, mut at): (Vec<DeriveJob>, usize) = (vec![], 0);
    for (i, (sc, real)) in widths.into_iter().enumerate() {
        let from = image(t, b * h * w, sc, real);
        for (whole, part) in want.chunks_mut(c).zip(from.chunks(sc)) {
            whole[at..].iter_mut().zip(&part[..real]).for_each(|(v, part)| *v = *part as f64);
        }
        // The last one writes the zeros behind them all.
        let width = if i + 1 == n { c - at } else { real };
        let blocks = blocks_of(b * h * w * width, 1024);
        let x = t.give(&from);
        let [b, h, w, c, sc, channels, at_, width] = [b, h, w, c, sc, real, at, width].map(|n| n as i32);
        let part = DeriveJob {
            kind: 4,
            b,
            h,
            w,
            c,
            sh: h,
            sw: w,
            sc,
            channels,
            at: at_,
            width,
            x,
            y,
            blocks,
            ..Default::default()
        };
        jobs.push(part);
        at += real;
    }
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    near("y", &t.made::<f32>(y), &want, 0.)
}

/// Runs of channels, the first of another image: the first ones of all, then the second ones, and so on.
fn shuffle(t: &mut Try) -> Outcome {
    let ([b, h, w], n, groups) = (size(t, 9), t.int(1, 9), t.int(1, 5));
    let (real, c, c_n) = (n * groups, padded(n * groups), padded(n));
    let (first, rest) = (image(t, b * h * w, c_n, n), image(t, b * h * w, c, real));
    let (mut want, y) = (vec![0f64; b * h * w * c], t.out::<f32>("y", b * h * w * c));
    for ((to, first), rest) in want.chunks_mut(c).zip(first.chunks(c_n)).zip(rest.chunks(c)) {
        for q in 0..real {
            to[q % n * groups + q / n] = if q < n { first[q] } else { rest[q] } as f64;
        }
    }
    let parts = [(t.give(&first), c_n, 0, n), (t.give(&rest), c, n, c - n)];
    let jobs = parts.map(|(x, sc, at, width)| {
        let blocks = blocks_of(b * h * w * width, 1024);
        let [b, h, w, c, sc, at, width, channels, stride] = [b, h, w, c, sc, at, width, n, groups].map(|n| n as i32);
        let (sh, sw) = (h, w);
        DeriveJob { kind: 6, b, h, w, c, sh, sw, sc, channels, stride, at, width, x, y, blocks, ..Default::default() }
    });
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    near("y", &t.made::<f32>(y), &want, 0.)
}

/// Sums of groups of channels: their parts and counters; blocks, and pixels of one, which are many where many jobs are side by side.
pub fn group_sums(t: &mut Try, all_pixels: usize, c: usize, rows: usize, most: usize) -> (Sums, i32, i32) {
    let groups = Groups::of(all_pixels, c, t.pick(&[1, 1, 300]), most);
    let parts: Address = t.out::<f64>("parts", groups.blocks * rows * c);
    (Sums { parts, done: t.counters(groups.counters) }, groups.all(), groups.pixels as i32)
}

fn pool(t: &mut Try) -> Outcome {
    let (jobs, check) = drawn_pools(t);
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    check(t)
}

/// Jobs, and what they should make.
pub fn drawn_pools(t: &mut Try) -> (Vec<PoolForwardJob>, Check) {
    let mut cases = vec![];
    for kind in [0, 1, t.int(0, 1) as i32, 2] {
        let (small, (c, real), stride) = (size(t, 12), channels(t, 136), t.int(1, 2));
        // Now and then so many pixels that their blocks come in bunches.
        let ([b, h, w], stride) = if t.once_in(4) { ([3, 13, 12], 1) } else { (small, stride) };
        // The image itself has a window of its own.
        let (k, stride, pad) = if kind == 2 { (1, 1, 0) } else { (3, stride, 1) };
        let n = window([b, h, w, c, c], k, stride, 1, pad).expect("any image");
        let [from, to] = pixels(&n);
        let x = if kind == 1 { coarse(t, from, c, real) } else { image(t, from, c, real) };
        let (mut want, mut choice) = (vec![], vec![]);
        for p in 0..to {
            let (oh, ow) = (n.oh as usize, n.ow as usize);
            let under = under3([h, w], p / ow % oh * stride, p % ow * stride);
            let pixel = |at: usize, ch: usize| x[(p / ow / oh * h * w + at) * c + ch];
            for ch in 0..c {
                let (place, most) = maximum(under.iter().map(|(i, at)| (*i, pixel(*at, ch))));
                let sum: f64 = under.iter().map(|(_, at)| pixel(*at, ch) as f64).sum();
                want.push(match kind {
                    0 => sum / under.len() as f64,
                    1 => most as f64,
                    _ => x[p * c + ch] as f64,
                });
                choice.push(place);
            }
        }
        let (live, is_live) = t.live();
        let norm = Forward::draw(t, c, real);
        let (sums, blocks, each) = group_sums(t, to, c, 2, usize::MAX);
        let job = PoolForwardJob {
            x: t.give(&x),
            window: n,
            kind,
            z: t.out::<f32>("z", to * c),
            choice: if kind == 1 { t.out::<u8>("choice", to * c) } else { 0 },
            sums,
            norm: norm.norm,
            blocks,
            each,
            live,
            ..Default::default()
        };
        cases.push((job, norm, want, choice, is_live));
    }
    let jobs = cases.iter().map(|case| case.0).collect();
    let check = move |t: &Try| {
        cases.iter().filter(|case| case.4).try_for_each(|(job, norm, want, choice, _)| {
            let z = t.made::<f32>(job.z);
            near("z", &z, want, 1e-6)?;
            let same = job.kind != 1 || t.made::<u8>(job.choice) == *choice;
            require(same, || "another pixel was the maximum".into())?;
            norm.check(t, &z)
        })
    };
    (jobs, Box::new(check))
}

fn moments(t: &mut Try) -> Outcome {
    let mut cases = vec![];
    for _ in 0..t.int(1, 3) {
        let (pixels, (c, real)) = (t.int(1, 400), channels(t, 136));
        let (x, norm) = (image(t, pixels, c, real), Forward::draw(t, c, real));
        let (sums, blocks, each) = group_sums(t, pixels, c, 2, usize::MAX);
        let (pixels, c) = (pixels as i32, c as i32);
        let job = MomentsJob { x: t.give(&x), pixels, c, sums, norm: norm.norm, blocks, each };
        cases.push((job, norm, x));
    }
    let jobs: Vec<_> = cases.iter().map(|case| case.0).collect();
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    cases.iter().try_for_each(|(_, norm, x)| norm.check(t, x))
}
