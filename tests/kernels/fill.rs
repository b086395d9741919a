//! Nodes as sums of terms, and gradients of mixing weights.

use super::bench::{Try, near};
use super::derive::under3;
use super::parts::{channels, image, size, up};
use super::{Outcome, Property};
use isdarts_host::ops::gpu::jobs::{Address, FillJob, FillTerm, MixJob, blocks_of};

/// Of these kernels.
pub const PROPERTIES: &[(&str, Property)] = &[("fill", fill)];
/// Of these kernels.
pub const MIX: &[(&str, Property)] = &[("mix", mix)];

fn fill(t: &mut Try) -> Outcome {
    let mut cases = vec![];
    t.pass.drawn = t.int(0, 1) as i32;
    for _ in 0..t.int(1, 3) {
        let ([b, h, w], (c, real)) = (size(t, 12), channels(t, 40));
        let (mut want, mut terms) = (vec![0f64; b * h * w * c], vec![]);
        for _ in 0..t.int(0, 5) {
            let (kind, stride) = (t.int(0, 2), t.int(1, 2));
            let (sh, sw) =
                if kind == 2 { (stride * h - t.int(0, stride - 1), stride * w - t.int(0, stride - 1)) } else { (h, w) };
            let mut x = image(t, b * sh * sw, c, real);
            let [a, shift, scale] = [1., 0.3, 1.].map(|mean| t.numbers(c.max(b), mean, 0.5));
            let (mut mix, with_mix, with_scale) = (t.numbers(1, 0.5, 0.5), t.once_in(2), t.once_in(2));
            // A term that is not drawn is not computed, either.
            let left_out = t.pass.drawn == 1 && with_mix && t.once_in(2);
            if left_out {
                mix[0] = 0.;
                x.fill(f32::NAN);
            }
            for (at, v) in want.iter_mut().enumerate() {
                let (ch, p) = (at % c, at / c);
                let (image, y, q) = (p / h / w, p / w % h * stride, p % w * stride);
                let term = match kind {
                    0 => a[ch] as f64 * x[at] as f64 + shift[ch] as f64,
                    1 => x[at] as f64,
                    _ => {
                        let under = under3([sh, sw], y, q);
                        let one = |(_, at): &(usize, usize)| x[(image * sh * sw + at) * c + ch] as f64;
                        under.iter().map(one).sum::<f64>() / under.len() as f64
                    }
                };
                let weight =
                    if with_mix { mix[0] as f64 } else { 1. } * if with_scale { scale[image] as f64 } else { 1. };
                *v += if left_out { 0. } else { weight * term };
            }
            let [x, a, shift, mix, scale]: [Address; 5] = [&x, &a, &shift, &mix, &scale].map(|values| t.give(values));
            terms.push(FillTerm {
                kind: kind as i32,
                h: sh as i32,
                w: sw as i32,
                stride: stride as i32,
                x,
                a: if kind == 0 { a } else { 0 },
                t: if kind == 0 { shift } else { 0 },
                mix: if with_mix { mix } else { 0 },
                scale: if with_scale { scale } else { 0 },
            });
        }
        let (live, is_live) = t.live();
        let (x, blocks) = (t.out::<f32>("x", b * h * w * c), blocks_of(b * h * w * c / 4, 256));
        let [b, h, w, c, n_terms] = [b, h, w, c, terms.len()].map(|n| n as i32);
        cases.push((FillJob { b, h, w, c, x, terms: t.give(&terms), n_terms, blocks, live }, want, is_live));
    }
    let jobs: Vec<_> = cases.iter().map(|case| case.0).collect();
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    cases.iter().filter(|case| case.2).try_for_each(|(job, want, _)| near("x", &t.made::<f32>(job.x), want, 1e-6))
}

fn mix(t: &mut Try) -> Outcome {
    let (n, len) = (t.int(1, 300), t.int(1, 50));
    let values: Vec<f64> = t.numbers(len, 0., 1.).into_iter().map(|v| v as f64 / 3.).collect();
    let (mut start, mut slots) = (vec![0], vec![]);
    for _ in 0..n {
        (0..t.int(0, 4)).for_each(|_| slots.push(t.int(0, len - 1) as i32));
        start.push(slots.len() as i32);
    }
    let sum = |ends: &[i32]| slots[ends[0] as usize..ends[1] as usize].iter().map(|slot| values[*slot as usize]).sum();
    let want: Vec<f64> = start.windows(2).map(sum).collect();
    let out = t.out::<f32>("out", n);
    let [start, slots, values] = [t.give(&start), t.give(&slots), t.give(&values)];
    let launch = t.launch(&[MixJob { start, slots, values, out, n: n as i32, blocks: up(n, 256) as i32 }]);
    t.run(&[launch])?;
    near("out", &t.made::<f32>(out), &want, 1e-7)
}
