//! The step of the optimiser, and the running statistics that a pass moved.

use super::bench::{Try, near, require};
use super::parts::up;
use super::{Outcome, Property};
use isdarts_host::ops::gpu::jobs::{CommitJob, SgdJob, SgdState};

/// Of these kernels.
pub const PROPERTIES: &[(&str, Property)] = &[("step", step), ("commit", commit)];

struct Weight {
    job: SgdJob,
    w: Vec<f32>,
    m: Vec<f32>,
    g: Option<Vec<f32>>,
}

fn step(t: &mut Try) -> Outcome {
    t.pass.lr = t.pick(&[0.1, 0.025]);
    t.pass.momentum = t.pick(&[0., 0.9]);
    t.pass.decay = t.pick(&[0., 3e-4]);
    t.pass.clip = t.pick(&[0., 5., 1e6]);
    t.pass.nesterov = t.int(0, 1) as i32;
    let (mut weights, mut all_blocks) = (vec![], 0);
    for _ in 0..t.int(1, 5) {
        let n = t.pick(&[1, 3, 250, 4096, 4097, 9000]);
        let [w, m] = [0., 0.].map(|mean| t.numbers(n, mean, 1.));
        let g = (!t.once_in(4)).then(|| t.numbers(n, 0., 1.));
        // One that is not live has no gradient either, whatever stands there.
        let live = t.pick(&[None, None, Some(0), Some(1)]);
        let job = SgdJob {
            live: live.map_or(0, |live| t.give(&[live])),
            w: t.changed("w", &w),
            m: t.changed("m", &m),
            g: g.as_ref().map_or(0, |g| t.give(g)),
            n: n as i32,
            first: all_blocks,
            blocks: up(n, 4096) as i32,
            ..Default::default()
        };
        all_blocks += job.blocks;
        weights.push(Weight { job, w, m, g: g.filter(|_| live != Some(0)) });
    }
    // Now and then one that is not finite.
    if let Some(g) = weights[0].g.as_mut().filter(|_| t.once_in(5)) {
        *g.last_mut().expect("one") = f32::INFINITY;
        weights[0].job.g = t.give(g);
    }
    let (parts, done, state) =
        (t.out::<f64>("parts", all_blocks as usize), t.counters(1), t.out::<SgdState>("state", 1));
    let jobs: Vec<SgdJob> = weights.iter().map(|w| SgdJob { parts, done, state, all_blocks, ..w.job }).collect();
    let blocks: Vec<u32> = jobs.iter().map(|job| job.blocks as u32).collect();
    let launches = [t.launch_of("sgd_norm", &jobs, &blocks, 256 * 8 + 16), t.launch_of("sgd_step", &jobs, &blocks, 0)];
    t.run(&launches)?;

    let squares = |w: &Weight| w.g.iter().flatten().map(|g| (*g as f64).powi(2)).sum::<f64>();
    let norm = weights.iter().map(squares).sum::<f64>().sqrt();
    let made = t.made::<SgdState>(state)[0];
    near("norm", &[made.norm], &[norm], 1e-12)?;
    require((made.finite != 0) == norm.is_finite(), || format!("finite: {}", made.finite))?;
    let clip = t.pass.clip as f64;
    let scale = if clip > 0. { (clip / (norm + 1e-6)).min(1.) } else { 1. };
    let [lr, momentum, decay] = [t.pass.lr, t.pass.momentum, t.pass.decay].map(f64::from);
    for weight in &weights {
        let (mut w, mut m): (Vec<f64>, Vec<f64>) = (vec![], vec![]);
        for i in 0..weight.w.len() {
            let (w0, m0) = (weight.w[i] as f64, weight.m[i] as f64);
            let d = decay * w0 + weight.g.as_ref().map_or(0., |g| scale * g[i] as f64);
            let next = momentum * m0 + d;
            let by = if t.pass.nesterov == 1 { momentum * next + d } else { next };
            let moved = norm.is_finite();
            m.push(if moved { next } else { m0 });
            w.push(if moved { w0 - lr * by } else { w0 });
        }
        near("w", &t.made::<f32>(weight.job.w), &w, 1e-6)?;
        near("m", &t.made::<f32>(weight.job.m), &m, 1e-6)?;
    }
    Ok(())
}

fn commit(t: &mut Try) -> Outcome {
    let n = t.int(1, 6);
    let lens: Vec<usize> = (0..n).map(|_| t.int(1, 600)).collect();
    let mut from: Vec<Vec<f32>> = lens.iter().map(|n| t.numbers(*n, 0., 1.)).collect();
    let spoiled = t.once_in(3);
    if spoiled {
        let j = t.int(0, n - 1);
        *from[j].last_mut().expect("one") = t.pick(&[f32::NAN, f32::INFINITY]);
    }
    let old: Vec<Vec<f32>> = lens.iter().map(|n| t.numbers(*n, 0., 1.)).collect();
    // Where the gradients were not finite, nothing is taken over.
    let finite = t.pick(&[None, Some(0), Some(1)]);
    let state = finite.map_or(0, |finite| t.give(&[SgdState { finite, ..Default::default() }]));
    let (spoils, done) = (t.counters(1), t.counters(1));
    let job = |t: &mut Try, (from, old): (&Vec<f32>, &Vec<f32>)| {
        let (from, to, n, all) = (t.give(from), t.changed("running statistics", old), old.len() as i32, n as i32);
        CommitJob { from, to, n, all, spoiled: spoils, done, state }
    };
    let jobs: Vec<CommitJob> = from.iter().zip(&old).map(|pair| job(t, pair)).collect();
    let spoiled = spoiled || finite == Some(0);
    let launches = [t.launch_of("commit_check", &jobs, &vec![1; n], 0), t.launch(&jobs)];
    t.run(&launches)?;
    for (job, (from, old)) in jobs.iter().zip(from.iter().zip(&old)) {
        let same = t.made::<f32>(job.to) == *if spoiled { old } else { from };
        require(same, || format!("{} running statistics", if spoiled { "spoiled" } else { "other" }))?;
    }
    Ok(())
}
