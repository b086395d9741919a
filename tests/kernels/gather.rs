//! The gradient of a node: what arrives from all kinds of nodes made of it, and what it makes of the norms of its terms.

use super::bench::{Try, near, near_beside};
use super::derive::{group_sums, maximum, under3};
use super::norm::Back;
use super::parts::{Arriving, channels, image, size, up};
use super::{Check, Outcome, Property};
use isdarts_host::ops::gpu::jobs::{Address, GatherDot, GatherJob, GatherRow, GatherSource, GatherTerm, Groups};
use isdarts_host::ops::padded;

/// Of this kernel.
pub const PROPERTIES: &[(&str, Property)] = &[("gather", gather)];

/// The node.
#[derive(Clone, Copy)]
struct Node {
    b: usize,
    h: usize,
    w: usize,
    c: usize,
    real: usize,
}

/// What arrives from one source, with its weight apart: `[b, h, w, c]`.
struct Arrived {
    source: GatherSource,
    whole: Vec<f64>,
    mix: f64,
    left_out: bool,
    /// Whether it is an average of stride 1 without a norm.
    averages: bool,
    /// Whether it arrives as it is, without a norm.
    plain: bool,
}

fn arrived(t: &mut Try, node: Node, kind: usize, x: &[f32]) -> Option<Arrived> {
    let Node { b, h, w, c, real } = node;
    let (stride, k) = (t.int(1, 2), t.int(1, 5));
    let at = t.int(0, 5);
    // Of a shuffle the node is the first run, or holds the others.
    let (groups, is_rest) = (t.int(1, 4), t.once_in(2));
    let run = if is_rest { real / groups } else { real };
    let (sh, sw, sc, there) = match kind {
        1 | 2 => (up(h, stride), up(w, stride), c, real),
        3 | 7 => (h / 2, w / 2, c, real),
        8 if is_rest && (run == 0 || !real.is_multiple_of(groups)) => return None,
        8 => (h, w, padded(groups * run), groups * run),
        4 => (up(h, 2), up(w, 2), padded(2 * real), 2 * real),
        5 => (h, w, padded(at + real), at + real),
        6 => (h.checked_sub(k)? / stride + 1, w.checked_sub(k)? / stride + 1, real, real),
        _ => (h, w, c, real),
    };
    if sh == 0 || sw == 0 {
        return None;
    }
    let mut arriving = Arriving::draw(t, b, sh * sw, sc, there);
    // A pool may have a norm behind it, and the image itself, nothing else.
    let plain = !(0..=2).contains(&kind) || t.once_in(2);
    if plain {
        arriving = arriving.plain();
    }
    let (dz, mut whole) = (arriving.all(), vec![0f64; b * h * w * c]);
    let mut choices = vec![];
    for (from, d) in dz.iter().enumerate() {
        let (ch, ox, oy, image) = (from % sc, from / sc % sw, from / sc / sw % sh, from / sc / sw / sh);
        let mut add = |y: usize, q: usize, ch: usize, v: f64| {
            if y < h && q < w {
                whole[((image * h + y) * w + q) * c + ch] += v;
            }
        };
        match kind {
            1 | 2 => {
                let under = under3([h, w], oy * stride, ox * stride);
                let most = maximum(under.iter().map(|(i, at)| (*i, x[(image * h * w + at) * c + ch]))).0;
                choices.push(most);
                for (place, at) in &under {
                    let part = if kind == 1 { 1. / under.len() as f64 } else { (*place == most as usize) as u8 as f64 };
                    add(at / w, at % w, ch, part * d);
                }
            }
            7 => {
                let four = (0..4).map(|i| (i, (2 * oy + i / 2) * w + 2 * ox + i % 2));
                let most = maximum(four.clone().map(|(i, at)| (i, x[(image * h * w + at) * c + ch]))).0;
                choices.push(most);
                add(2 * oy + most as usize / 2, 2 * ox + most as usize % 2, ch, *d);
            }
            8 => {
                let (group, i) = (ch % groups, ch / groups);
                if ch < groups * run && (group > 0) == is_rest {
                    add(oy, ox, group * run + i, *d);
                }
            }
            3 => (0..4).for_each(|i| add(2 * oy + i / 2, 2 * ox + i % 2, ch, d / 4.)),
            4 if ch < 2 * real => add(2 * oy + ch / real, 2 * ox + ch / real, ch % real, *d),
            5 if (at..at + real).contains(&ch) => add(oy, ox, ch - at, *d),
            6 => {
                for i in 0..k * k {
                    let (y, q) = (oy * stride + i / k, ox * stride + i % k);
                    if x[((image * h + y) * w + q) * c + ch] > 0. {
                        add(y, q, ch, d / (k * k) as f64);
                    }
                }
            }
            4 | 5 => {}
            _ => add(oy, ox, ch, *d),
        }
    }
    let mut mix = t.once_in(2).then(|| t.numbers(1, 0.5, 0.5));
    // A node that is not computed has a gradient that is nobody's.
    let (live, is_live) = t.live();
    t.always();
    let mut left_out = !is_live;
    if let Some(mix) = mix.as_mut().filter(|_| t.pass.drawn == 1 && t.once_in(2)) {
        (mix[0], left_out) = (0., true);
    }
    if left_out {
        whole.fill(0.);
        arriving.gradient.dy = t.give(&vec![f32::NAN; dz.len()]);
    }
    let source = GatherSource {
        kind: kind as i32,
        h: sh as i32,
        w: sw as i32,
        c: sc as i32,
        stride: if kind == 8 { groups } else { stride } as i32,
        at: match kind {
            6 => k,
            8 => usize::from(is_rest) * run,
            _ => at,
        } as i32,
        channels: real as i32,
        dz: arriving.gradient,
        mix: mix.as_ref().map_or(0, |mix| t.give(mix)),
        choice: if kind == 2 || kind == 7 { t.give(&choices) } else { 0 },
        live,
        ..Default::default()
    };
    Some(Arrived {
        source,
        whole,
        mix: mix.map_or(1., |mix| mix[0] as f64),
        left_out,
        averages: kind == 1 && stride == 1 && plain,
        plain: kind == 0 && plain,
    })
}

/// A row of sums by channel over the pixels: `left right`, for each number of the node; `left` is the gradient that was made where
/// it is not said.
struct Row {
    row: GatherRow,
    left: Option<Vec<f64>>,
    right: Vec<f64>,
}

/// By image, and that for each number of the node.
fn scale(t: &mut Try, node: Node) -> (Address, Vec<f64>) {
    let each = node.h * node.w * node.c;
    if t.once_in(2) {
        return (0, vec![1.; node.b * each]);
    }
    let r = t.numbers(node.b, 1., 0.5);
    (t.give(&r), (0..node.b * each).map(|at| r[at / each] as f64).collect())
}

struct Case {
    job: GatherJob,
    node: Node,
    want: Vec<f64>,
    rows: Vec<Row>,
    terms: Vec<(GatherTerm, Back)>,
    dots: Vec<GatherDot>,
    is_live: bool,
}

fn draw(t: &mut Try) -> Case {
    let ([b, h, w], (c, real)) = (size(t, 11), channels(t, 88));
    let node = Node { b, h, w, c, real };
    let (len, of_channels) = (b * h * w * c, Groups::of(b * h * w, c, 1, 1).groups);
    let x = image(t, b * h * w, c, real);
    let kinds: Vec<usize> = (0..t.int(0, 4)).map(|_| t.pick(&[0, 1, 1, 2, 3, 4, 5, 6, 7, 8])).collect();
    let mut sources: Vec<Arrived> = kinds.into_iter().filter_map(|kind| arrived(t, node, kind, &x)).collect();
    // Averages that may be taken together go first, then what arrives as it is; each may also be taken by itself.
    sources.sort_by_key(|source| (!source.averages, !source.plain));
    let count = |is: fn(&Arrived) -> bool| sources.iter().filter(|source| is(source)).count();
    let (all_averages, all_plain) = (count(|s| s.averages), count(|s| s.plain));
    let n_averages = if t.once_in(4) { 0 } else { all_averages };
    let n_plain = if n_averages < all_averages || t.once_in(4) { 0 } else { all_plain };
    let base = (!t.once_in(4)).then(|| image(t, b * h * w, c, real));
    let mut want: Vec<f64> = base.as_ref().map_or(vec![0.; len], |base| base.iter().map(|v| *v as f64).collect());
    for source in &sources {
        want.iter_mut().zip(&source.whole).for_each(|(v, d)| *v += source.mix * d);
    }
    let (live, is_live) = t.live();
    // What came through convolutions may stand where the whole is wanted.
    let in_place = base.is_some() && t.once_in(2);
    let dx = match &base {
        Some(base) if in_place => t.changed("dx", base),
        _ => t.out::<f32>("dx", len),
    };
    let (mut rows, mut terms, mut dots) = (vec![], vec![], vec![]);
    let none = GatherRow { source: -1, ..Default::default() };
    for _ in 0..t.int(0, 3) {
        let (norm, z, (r_, r)) = (Back::draw(t, c, real, of_channels), image(t, b * h * w, c, real), scale(t, node));
        rows.push(Row { row: GatherRow { r: r_, ..none }, left: None, right: r.clone() });
        let row = GatherRow { r: r_, right: t.give(&z), mean: norm.norm.mean, ..none };
        let less = |(at, z): (usize, &f32)| (z - norm.mean[at % c] as f32) as f64 * r[at];
        rows.push(Row { row, left: None, right: z.iter().enumerate().map(less).collect() });
        let (sum, dot) = (rows.len() as i32 - 2, rows.len() as i32 - 1);
        terms.push((GatherTerm { sum, dot, norm: norm.norm }, norm));
    }
    let wide: Vec<f64> = x.iter().map(|v| *v as f64).collect();
    let dot = |t: &mut Try, row: i32| GatherDot { row, dmix: t.out::<f64>("dmix", of_channels), ..Default::default() };
    for source in (0..sources.len()).filter(|source| !sources[*source].left_out) {
        let row = GatherRow { left: 1, source: source as i32, ..none };
        rows.push(Row { row, left: Some(wide.clone()), right: sources[source].whole.clone() });
        dots.push(dot(t, rows.len() as i32 - 1));
    }
    for _ in 0..t.int(0, 2) {
        let (left, (r_, r), other) = (t.int(1, 2), scale(t, node), image(t, b * h * w, c, real));
        let row = GatherRow { left: left as i32, r: r_, right: t.give(&other), ..none };
        let average = |at: usize| {
            let (ch, p) = (at % c, at / c);
            let under = under3([h, w], p / w % h, p % w);
            under.iter().map(|(_, at)| wide[(p / h / w * h * w + at) * c + ch]).sum::<f64>() / under.len() as f64
        };
        let left = if left == 1 { wide.clone() } else { (0..len).map(average).collect() };
        rows.push(Row { row, left: Some(left), right: other.iter().zip(&r).map(|(v, r)| *v as f64 * r).collect() });
        dots.push(dot(t, rows.len() as i32 - 1));
    }
    let tiles = 1 + rows.iter().map(|row| row.row.left).max().unwrap_or(0);
    let ghost = !rows.is_empty() && t.once_in(2);
    let lists: [Address; 4] = [
        t.give(&sources.iter().map(|s| s.source).collect::<Vec<_>>()),
        t.give(&rows.iter().map(|r| r.row).collect::<Vec<_>>()),
        t.give(&terms.iter().map(|t| t.0).collect::<Vec<_>>()),
        t.give(&dots),
    ];
    let mut job = GatherJob {
        b: b as i32,
        h: h as i32,
        w: w as i32,
        c: c as i32,
        channels: real as i32,
        base: if in_place { dx } else { base.map_or(0, |base| t.give(&base)) },
        x: t.give(&x),
        dx,
        sources: lists[0],
        rows: lists[1],
        terms: lists[2],
        dots: lists[3],
        ghost: if ghost { t.out::<f64>("ghost", of_channels) } else { 0 },
        n_sources: sources.len() as i32,
        n_rows: rows.len() as i32,
        n_terms: terms.len() as i32,
        n_dots: dots.len() as i32,
        n_averages: n_averages as i32,
        n_plain: n_plain as i32,
        tiles,
        live,
        ..Default::default()
    };
    (job.sums, job.blocks, job.each) = group_sums(t, b * h * w, c, rows.len(), job.most());
    Case { job, node, want, rows, terms, dots, is_live }
}

impl Case {
    /// Sums by channel of a row over the gradient that was made.
    fn sums(&self, row: &Row, dx: &[f32]) -> Vec<f64> {
        let mut sums = vec![0f64; self.node.c];
        Case::terms(row, dx).enumerate().for_each(|(at, term)| sums[at % self.node.c] += term);
        sums
    }

    /// What a row adds up.
    fn terms<'a>(row: &'a Row, dx: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        let left = |at: usize| row.left.as_ref().map_or(dx[at] as f64, |left| left[at]);
        row.right.iter().enumerate().map(move |(at, right)| right * left(at))
    }

    /// The size of the sum of a row's terms where nothing cancels.
    fn size(row: &Row, dx: &[f32]) -> f64 {
        Case::terms(row, dx).map(|term| term * term).sum::<f64>().sqrt()
    }

    fn by_group(sums: &[f64]) -> Vec<f64> {
        sums.chunks(64).map(|group| group.iter().sum()).collect()
    }

    fn check(&self, t: &Try) -> Outcome {
        let Node { b, h, w, c, .. } = self.node;
        let (dx, count) = (t.made::<f32>(self.job.dx), (b * h * w) as f64);
        near("dx", &dx, &self.want, 2e-6)?;
        let rows: Vec<Vec<f64>> = self.rows.iter().map(|row| self.sums(row, &dx)).collect();
        for (term, norm) in &self.terms {
            let (sum, dot) = (&rows[term.sum as usize], &rows[term.dot as usize]);
            // The row has the f32 of the mean taken away.
            let rest = |ch: usize| (norm.mean[ch] as f32 as f64 - norm.mean[ch]) * sum[ch];
            let along: Vec<f64> = (0..c).map(|ch| dot[ch] + rest(ch)).collect();
            norm.check(t, sum, &along, count, 2e-5)?;
        }
        for dot in &self.dots {
            let (want, one) = (Case::by_group(&rows[dot.row as usize]), Case::size(&self.rows[dot.row as usize], &dx));
            near_beside("dmix", &t.made::<f64>(dot.dmix), &want, one, 2e-5)?;
        }
        if self.job.ghost == 0 {
            Ok(())
        } else {
            let (want, one) = (Case::by_group(&rows[0]), Case::size(&self.rows[0], &dx));
            near_beside("ghost", &t.made::<f64>(self.job.ghost), &want, one, 2e-5)
        }
    }
}

fn gather(t: &mut Try) -> Outcome {
    let (jobs, check) = drawn(t);
    let launch = t.launch(&jobs);
    t.run(&[launch])?;
    check(t)
}

/// Jobs, and what they should make.
pub fn drawn(t: &mut Try) -> (Vec<GatherJob>, Check) {
    t.pass.drawn = t.int(0, 1) as i32;
    let cases: Vec<Case> = (0..t.int(1, 3)).map(|_| draw(t)).collect();
    let jobs = cases.iter().map(|case| case.job).collect();
    let check = move |t: &Try| cases.iter().filter(|case| case.is_live).try_for_each(|case| case.check(t));
    (jobs, Box::new(check))
}
