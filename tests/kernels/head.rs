//! The head: logits, the loss, the way back, what an auxiliary head reads, and the score of candidates.

use super::bench::{Try, near};
use super::derive::under3;
use super::norm::Back;
use super::parts::{channels, image, pixels, size, up, window};
use super::{Outcome, Property};
use isdarts_host::ops::gpu::jobs::{HeadBackJob, HeadJob, LossJob, ScoreJob, Sums, TapJob, blocks_of};

/// Of these kernels.
pub const PROPERTIES: &[(&str, Property)] =
    &[("head", head), ("back", back), ("tap", tap), ("cross-entropy", cross_entropy)];
/// Of this kernel.
pub const SCORE: &[(&str, Property)] = &[("score", score)];

/// a x + t in f32, by channel; x itself without them.
struct Affine(Option<(Vec<f32>, Vec<f32>)>);

impl Affine {
    fn draw(t: &mut Try, c: usize, real: usize) -> (Self, [u64; 2]) {
        if t.once_in(3) {
            return (Affine(None), [0; 2]);
        }
        let [mut a, mut shift] = [1., 0.2].map(|mean| t.numbers(c, mean, 0.5));
        a[real..].fill(0.);
        shift[real..].fill(0.);
        let addresses = [t.give(&a), t.give(&shift)];
        (Affine(Some((a, shift))), addresses)
    }

    fn of(&self, x: f32, ch: usize) -> f32 {
        self.0.as_ref().map_or(x, |(a, t)| a[ch].mul_add(x, t[ch]))
    }

    /// Behind the ReLU that stands behind a norm.
    fn read(&self, x: f32, ch: usize) -> f64 {
        let v = self.of(x, ch) as f64;
        if self.0.is_some() { v.max(0.) } else { v }
    }
}

fn head(t: &mut Try) -> Outcome {
    let mut cases = vec![];
    for _ in 0..t.int(1, 2) {
        let (b, pixels, (c, real), classes) = (t.int(1, 5), t.int(1, 50), channels(t, 280), t.pick(&[2, 3, 10, 300]));
        let (x, (affine, [a, shift])) = (image(t, b * pixels, c, real), Affine::draw(t, c, real));
        let (weight, bias) = (t.numbers(classes * real, 0., 0.3), t.numbers(classes, 0., 0.3));
        let mut pooled = vec![0f64; b * c];
        for (at, x) in x.iter().enumerate() {
            pooled[at / c / pixels * c + at % c] += affine.read(*x, at % c) / pixels as f64;
        }
        let logit = |at: usize| {
            let (image, k) = (at / classes, at % classes);
            let one = |ch: usize| pooled[image * c + ch] * weight[k * real + ch] as f64;
            bias[k] as f64 + (0..real).map(one).sum::<f64>()
        };
        let logits: Vec<f64> = (0..b * classes).map(logit).collect();
        let job = HeadJob {
            b: b as i32,
            pixels: pixels as i32,
            c: c as i32,
            channels: real as i32,
            classes: classes as i32,
            x: t.give(&x),
            a,
            t: shift,
            weight: t.give(&weight),
            bias: t.give(&bias),
            pooled: t.out::<f32>("pooled", b * c),
            logits: t.out::<f32>("logits", b * classes),
            blocks: b as i32,
            ..Default::default()
        };
        cases.push((job, pooled, logits));
    }
    let jobs: Vec<_> = cases.iter().map(|case| case.0).collect();
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    cases.iter().try_for_each(|(job, pooled, logits)| {
        near("pooled", &t.made::<f32>(job.pooled), pooled, 2e-6)?;
        near("logits", &t.made::<f32>(job.logits), logits, 2e-6)
    })
}

fn back(t: &mut Try) -> Outcome {
    let (b, pixels, (c, real), classes) = (t.int(1, 5), t.int(1, 50), channels(t, 280), t.pick(&[2, 3, 10, 300]));
    let (x, (affine, [a, shift])) = (image(t, b * pixels, c, real), Affine::draw(t, c, real));
    let (weight, pooled) = (t.numbers(classes * real, 0., 0.3), t.numbers(b * c, 0., 1.));
    let (dlogits, norm) = (t.numbers(b * classes, 0., 1.), Back::draw(t, c, real, 0));
    let weight_blocks = up(classes * (real + 1), 256);
    let job = HeadBackJob {
        b: b as i32,
        pixels: pixels as i32,
        c: c as i32,
        channels: real as i32,
        classes: classes as i32,
        x: t.give(&x),
        a,
        t: shift,
        weight: t.give(&weight),
        pooled: t.give(&pooled),
        dlogits: t.give(&dlogits),
        dn: t.out::<f32>("dn", b * pixels * c),
        dweight: t.out::<f32>("dweight", classes * real),
        dbias: t.out::<f32>("dbias", classes),
        sums: Sums { parts: t.out::<f64>("parts", 2 * b * c), done: t.counters(1) },
        norm: norm.norm,
        weight_blocks: weight_blocks as i32,
        blocks: (b + weight_blocks) as i32,
        ..Default::default()
    };
    let launch = t.launch(&[job]);
    t.run(&[launch])?;
    let d = |image: usize, k: usize| dlogits[image * classes + k] as f64;
    let arrives = |at: usize| {
        let (image, ch) = (at / c / pixels, at % c);
        let seen = ch < real && (affine.0.is_none() || affine.of(x[at], ch) > 0.);
        let dp = |k: usize| d(image, k) * weight[k * real + ch] as f64;
        if seen { (0..classes).map(dp).sum::<f64>() / pixels as f64 } else { 0. }
    };
    let want: Vec<f64> = (0..x.len()).map(arrives).collect();
    let dn = t.made::<f32>(job.dn);
    near("dn", &dn, &want, 1e-6)?;
    let of_images = |f: &dyn Fn(usize) -> f64| (0..b).map(f).sum::<f64>();
    let dweight = |at: usize| of_images(&|i| d(i, at / real) * pooled[i * c + at % real] as f64);
    near("dweight", &t.made::<f32>(job.dweight), &(0..classes * real).map(dweight).collect::<Vec<_>>(), 1e-6)?;
    near("dbias", &t.made::<f32>(job.dbias), &(0..classes).map(|k| of_images(&|i| d(i, k))).collect::<Vec<_>>(), 1e-6)?;
    let (mut sum, mut along) = (vec![0f64; c], vec![0f64; c]);
    for (at, d) in dn.iter().enumerate() {
        sum[at % c] += *d as f64;
        along[at % c] += *d as f64 * (x[at] as f64 - norm.mean[at % c]);
    }
    norm.check(t, &sum, &along, (b * pixels) as f64, 1e-6)
}

fn tap(t: &mut Try) -> Outcome {
    let ([b, h, w], (c, real), k, stride) = (size(t, 9), channels(t, 24), t.int(1, 5), t.int(1, 3));
    let Some(n) = window([b, h.max(k), w.max(k), c, c], k, stride, 1, 0) else { return Ok(()) };
    let [from, to] = pixels(&n);
    let (h, w, oh, ow) = (n.h as usize, n.w as usize, n.oh as usize, n.ow as usize);
    let x = image(t, from, c, real);
    let of = |at: usize| {
        let (ch, ox, oy, image) = (at % real, at / real % ow, at / real / ow % oh, at / real / ow / oh);
        let one = |i: usize| x[((image * h + oy * stride + i / k) * w + ox * stride + i % k) * c + ch].max(0.) as f64;
        (0..k * k).map(one).sum::<f64>() / (k * k) as f64
    };
    let want: Vec<f64> = (0..to * real).map(of).collect();
    let (y, x) = (t.out::<f32>("y", to * real), t.give(&x));
    let blocks = blocks_of(to * real, 256);
    let launch = t.launch(&[TapJob { x, window: n, channels: real as i32, y, blocks, ..Default::default() }]);
    t.run(&[launch])?;
    near("y", &t.made::<f32>(y), &want, 1e-6)
}

fn cross_entropy(t: &mut Try) -> Outcome {
    let (b, classes, smoothing) = (t.int(1, 300), t.int(2, 12), t.pick(&[0f32, 0.1]));
    t.pass.smoothing = smoothing;
    let logits = t.numbers(b * classes, 0., 4.);
    let labels: Vec<i32> = (0..b).map(|_| t.int(0, classes - 1) as i32).collect();
    let (mut loss, mut right, mut dlogits) = (0., 0., vec![]);
    for (y, label) in logits.chunks(classes).zip(&labels) {
        let log_sum = y.iter().map(|v| (*v as f64).exp()).sum::<f64>().ln();
        for (k, v) in y.iter().enumerate() {
            let s = smoothing as f64;
            let q = s / classes as f64 + if k == *label as usize { 1. - s } else { 0. };
            loss += q * (log_sum - *v as f64) / b as f64;
            dlogits.push(((*v as f64 - log_sum).exp() - q) / b as f64);
        }
        right += y.iter().all(|v| *v <= y[*label as usize]) as u8 as f64;
    }
    let job = LossJob {
        b: b as i32,
        classes: classes as i32,
        logits: t.give(&logits),
        labels: t.give(&labels),
        dlogits: t.out::<f32>("dlogits", b * classes),
        loss: t.out::<f64>("loss", 2),
        blocks: 1,
        ..Default::default()
    };
    let launch = t.launch(&[job]);
    t.run(&[launch])?;
    near("dlogits", &t.made::<f32>(job.dlogits), &dlogits, 1e-6)?;
    let made = t.made::<f64>(job.loss);
    near("loss", &made[..1], &[loss], 1e-9)?;
    near("right", &made[1..], &[right], 0.)
}

fn score(t: &mut Try) -> Outcome {
    let mut cases = vec![];
    for _ in 0..t.int(1, 3) {
        let (small, c, stride) = (size(t, 12), t.pick(&[4, 8, 16, 24]), t.int(0, 2));
        let real = c - t.int(0, 3.min(c - 2));
        // Now and then several blocks.
        let [b, h, w] = if t.once_in(4) { [3, 25, 24] } else { small };
        let (sh, sw) = if stride == 2 { (2 * h - t.int(0, 1), 2 * w) } else { (h, w) };
        let (mut x, (affine, [a, shift])) = (image(t, b * sh * sw, c, real), Affine::draw(t, c, real));
        // Sums of them are exact: a small variance tells of each rounding before it.
        x.iter_mut().for_each(|v| *v = (16. * *v).round() / 16.);
        // Candidates whose channels are equal or not numbers are infinitely bad.
        match t.int(0, 6) {
            0 => x[0] = f32::NAN,
            1 => x.chunks_mut(c).for_each(|pixel| pixel[..real].fill(0.5)),
            _ => {}
        }
        let mut want = 0.;
        for p in 0..b * h * w {
            let (image, y, q) = (p / h / w, p / w % h, p % w);
            let under = under3([sh, sw], y * stride, q * stride);
            let value = |ch: usize| {
                let one = |at: &usize| x[(image * sh * sw + at) * c + ch] as f64;
                let sum = || under.iter().map(|(_, at)| one(at)).sum::<f64>() as f32 * (1. / under.len() as f32);
                affine.of(if stride == 0 { one(&(y * w + q)) as f32 } else { sum() }, ch) as f64
            };
            let mean = (0..real).map(value).sum::<f64>() / real as f64;
            let variance = (0..real).map(|ch| (value(ch) - mean).powi(2)).sum::<f64>() / (real - 1) as f64;
            want += if variance.powi(3) > 1e-45 { variance.powi(-2) } else { f64::INFINITY };
        }
        want *= 3. * (real - 1) as f64 / real as f64 / (h * w) as f64;
        let blocks = blocks_of(b * h * w, 1024);
        let job = ScoreJob {
            x: t.give(&x),
            a,
            t: shift,
            b: b as i32,
            h: h as i32,
            w: w as i32,
            c: c as i32,
            channels: real as i32,
            stride: stride as i32,
            sh: sh as i32,
            sw: sw as i32,
            parts: t.out::<f64>("parts", blocks as usize),
            done: t.counters(1),
            score: t.out::<f64>("score", 1),
            blocks,
            ..Default::default()
        };
        cases.push((job, want));
    }
    let jobs: Vec<_> = cases.iter().map(|case| case.0).collect();
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    cases.iter().try_for_each(|(job, want)| near("score", &t.made::<f64>(job.score), &[*want], 1e-4))
}
