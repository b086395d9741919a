//! Images side by side along the channels, `[n, h, w, c]`: copies in one direction, sums in the other.
//!
//! - [`put`] / [`take_add`]: the part of a concatenation that begins at channel `at`, and its gradient.
//! - [`halves`] / [`halves_backward_add`]: `y[i, j] = x[2i, 2j]` beside `x[2i + 1, 2j + 1]` (zero beyond the border), what the
//!   two 1x1 convolutions of a factorised reduction read.
//! - [`first`] / [`first_backward_add`]: the first channels of an image.
//! - [`shuffle`] / [`shuffle_backward_add`]: channels in runs, of which the first comes from another image; the first ones of all
//!   runs, then the second ones, and so on (`channel_shuffle` of ShuffleNet; partial channels of PC-DARTS).
//!
//! Parts stand at their true channels, without padding between them; the padding behind the last one is zero.

pub mod tensor;

use super::pool::Image;
use super::{padded, vectorized};

/// `each(to[i], from[i])`, in runs of lengths that the compiler knows: a pixel's channels are few.
#[inline(always)]
fn each(to: &mut [f32], from: &[f32], each: impl Fn(&mut f32, f32)) {
    let ((to8, to), (from8, from)) = (to.as_chunks_mut::<8>(), from.as_chunks::<8>());
    for (to, from) in to8.iter_mut().zip(from8) {
        for q in 0..8 {
            each(&mut to[q], from[q]);
        }
    }
    let ((to4, to), (from4, from)) = (to.as_chunks_mut::<4>(), from.as_chunks::<4>());
    for (to, from) in to4.iter_mut().zip(from4) {
        for q in 0..4 {
            each(&mut to[q], from[q]);
        }
    }
    to.iter_mut().zip(from).for_each(|(to, from)| each(to, *from));
}

/// `to[..n] = from[..n]`
#[inline(always)]
fn copy(to: &mut [f32], from: &[f32]) {
    each(to, from, |to, from| *to = from);
}

#[inline(always)]
fn add(to: &mut [f32], from: &[f32]) {
    each(to, from, |to, from| *to += from);
}

/// `wide[p, at..at + c] = x[p, ..c]` for every pixel; channels as stored: `c_p` of x, `wide_p` of `wide`.
pub fn put(x: &[f32], c: usize, wide: &mut [f32], wide_p: usize, at: usize) {
    vectorized!({
        for (x, wide) in x.chunks_exact(padded(c)).zip(wide.chunks_exact_mut(wide_p)) {
            copy(&mut wide[at..at + c], &x[..c]);
        }
    });
}

/// Zeros in the channels from `c` on.
pub fn clear_padding(x: &mut [f32], c: usize) {
    let c_p = padded(c);
    if c < c_p {
        x.chunks_exact_mut(c_p).for_each(|x| x[c..].fill(0.0));
    }
}

/// `dx[p, ..c] += wide[p, at..at + c]` for every pixel.
pub fn take_add(wide: &[f32], wide_p: usize, at: usize, dx: &mut [f32], c: usize) {
    vectorized!({
        for (dx, wide) in dx.chunks_exact_mut(padded(c)).zip(wide.chunks_exact(wide_p)) {
            add(&mut dx[..c], &wide[at..at + c]);
        }
    });
}

/// The pixels that the two halves of output (i, j) read, where they are inside the image.
fn sources(size: Image, p: usize) -> [Option<usize>; 2] {
    let out = size.strided(2);
    let (i, j) = (p / out.w * 2, p % out.w * 2);
    [Some(i * size.w + j), (i + 1 < size.h && j + 1 < size.w).then(|| (i + 1) * size.w + j + 1)]
}

/// `y: [n, ceil(h / 2), ceil(w / 2), padded(2 c)]`, overwritten; `size` is that of `x`, with `c` true channels.
pub fn halves(x: &[f32], y: &mut [f32], size: Image, c: usize) {
    let (out, wide) = (size.strided(2), padded(2 * c));
    for (x, y) in x.chunks_exact(size.len()).zip(y.chunks_exact_mut(out.h * out.w * wide)) {
        vectorized!({
            for (p, y) in y.chunks_exact_mut(wide).enumerate() {
                for (half, from) in sources(size, p).into_iter().enumerate() {
                    let y = &mut y[half * c..][..c];
                    match from {
                        Some(from) => copy(y, &x[from * size.c..][..c]),
                        None => y.fill(0.0),
                    }
                }
                y[2 * c..].fill(0.0);
            }
        });
    }
}

/// `dx += transpose of halves (dy)`.
pub fn halves_backward_add(dy: &[f32], dx: &mut [f32], size: Image, c: usize) {
    let (out, wide) = (size.strided(2), padded(2 * c));
    for (dy, dx) in dy.chunks_exact(out.h * out.w * wide).zip(dx.chunks_exact_mut(size.len())) {
        vectorized!({
            for (p, dy) in dy.chunks_exact(wide).enumerate() {
                for (half, to) in sources(size, p).into_iter().enumerate() {
                    if let Some(to) = to {
                        add(&mut dx[to * size.c..][..c], &dy[half * c..][..c]);
                    }
                }
            }
        });
    }
}

/// `y[p, ..c] = x[p, ..c]` for every pixel, zeros behind; `x_p`: channels of x as stored.
pub fn first(x: &[f32], x_p: usize, y: &mut [f32], c: usize) {
    vectorized!({
        for (x, y) in x.chunks_exact(x_p).zip(y.chunks_exact_mut(padded(c))) {
            copy(&mut y[..c], &x[..c]);
            y[c..].fill(0.0);
        }
    });
}

/// `dx[p, ..c] += dy[p, ..c]` for every pixel; `dx_p`: channels of dx as stored.
pub fn first_backward_add(dy: &[f32], c: usize, dx: &mut [f32], dx_p: usize) {
    vectorized!({
        for (dx, dy) in dx.chunks_exact_mut(dx_p).zip(dy.chunks_exact(padded(c))) {
            add(&mut dx[..c], &dy[..c]);
        }
    });
}

/// `y[p, i groups + g] = (first if g = 0, else rest)[p, g n + i]` with `n = c / groups`, for every pixel; c: channels of y and of
/// `rest`.
pub fn shuffle(first: &[f32], rest: &[f32], y: &mut [f32], c: usize, groups: usize) {
    let (n, c_p) = (c / groups, padded(c));
    vectorized!({
        for ((first, rest), y) in first.chunks_exact(padded(n)).zip(rest.chunks_exact(c_p)).zip(y.chunks_exact_mut(c_p))
        {
            for (i, y) in y[..c].chunks_exact_mut(groups).enumerate() {
                y[0] = first[i];
                for (g, y) in y.iter_mut().enumerate().skip(1) {
                    *y = rest[g * n + i];
                }
            }
            y[c..].fill(0.0);
        }
    });
}

/// The gradient of [`shuffle`] at `first`, at `rest`, or at an image that is both, as `parts` says: `dx += `.
pub fn shuffle_backward_add(dy: &[f32], dx: &mut [f32], c: usize, groups: usize, parts: [bool; 2]) {
    let n = c / groups;
    let runs = usize::from(!parts[0])..if parts[1] { groups } else { 1 };
    let dx_p = if parts[1] { padded(c) } else { padded(n) };
    vectorized!({
        for (dx, dy) in dx.chunks_exact_mut(dx_p).zip(dy.chunks_exact(padded(c))) {
            for g in runs.clone() {
                for (i, dx) in dx[g * n..][..n].iter_mut().enumerate() {
                    *dx += dy[i * groups + g];
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Different numbers in the true channels, zeros in the padded ones.
    fn image(n: usize, size: Image, c: usize, from: usize) -> Vec<f32> {
        let value = |i: usize| if i % size.c < c { (from + i) as f32 } else { 0.0 };
        (0..n * size.len()).map(value).collect()
    }

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    }

    proptest! {
        #[test]
        fn halves_hold_the_pixels_that_the_formula_names_and_backward_is_the_transpose(
            n in 1usize..3, h in 1usize..8, w in 1usize..8, c in 1usize..20,
        ) {
            let size = Image { h, w, c: padded(c) };
            let (x, wide, out) = (image(n, size, c, 1), padded(2 * c), size.strided(2));
            let mut y = vec![f32::NAN; n * out.h * out.w * wide];
            halves(&x, &mut y, size, c);
            let at = |n: usize, i: usize, j: usize, q: usize| {
                if i < h && j < w { x[((n * h + i) * w + j) * size.c + q] } else { 0.0 }
            };
            for (k, &y) in y.iter().enumerate() {
                let (p, q) = (k / wide, k % wide);
                let (n, i, j) = (p / (out.h * out.w), p / out.w % out.h * 2, p % out.w * 2);
                let half = q / c;
                let want = if half < 2 { at(n, i + half, j + half, q % c) } else { 0.0 };
                prop_assert_eq!(y, want);
            }
            let dy = image(n, Image { c: wide, ..out }, 2 * c, 5);
            let mut dx = vec![0.0; x.len()];
            halves_backward_add(&dy, &mut dx, size, c);
            let (left, right) = (dot(&y, &dy), dot(&x, &dx));
            prop_assert!((left - right).abs() <= 1e-9 * left.abs());
        }

        #[test]
        fn shuffled_channels_stand_where_the_formula_says_and_come_back(
            pixels in 1usize..9, n in 1usize..20, groups in 1usize..6,
        ) {
            let c = n * groups;
            let size = |c: usize| Image { h: pixels, w: 1, c: padded(c) };
            let (x, new, dy) = (image(1, size(c), c, 1), image(1, size(n), n, 1000), image(1, size(c), c, 7));
            let mut part = vec![f32::NAN; size(n).len()];
            first(&x, padded(c), &mut part, n);
            let mut y = vec![f32::NAN; size(c).len()];
            shuffle(&new, &x, &mut y, c, groups);
            let mut back = [image(1, size(n), n, 3), image(1, size(c), c, 3)];
            let begin = back.clone();
            shuffle_backward_add(&dy, &mut back[0], c, groups, [true, false]);
            shuffle_backward_add(&dy, &mut back[1], c, groups, [false, true]);
            for (p, q) in (0..pixels).flat_map(|p| (0..padded(c)).map(move |q| (p, q))) {
                let at = |image: &[f32], c: usize, q: usize| image[p * padded(c) + q];
                if q < padded(n) {
                    prop_assert_eq!(at(&part, n, q), if q < n { at(&x, c, q) } else { 0.0 });
                }
                let (g, i) = (q % groups, q / groups);
                let from = if g == 0 && q < c { at(&new, n, i) } else if q < c { at(&x, c, g * n + i) } else { 0.0 };
                prop_assert_eq!(at(&y, c, q), from);
                if q < c {
                    let (image, c) = if g == 0 { (0, n) } else { (1, c) };
                    let came = at(&back[image], c, g * n + i) - at(&begin[image], c, g * n + i);
                    prop_assert_eq!(came, dy[p * padded(n * groups) + q]);
                }
            }
            // Nothing comes to the channels of `rest` that are not read.
            prop_assert!((0..pixels).all(|p| (0..n).all(|q| back[1][p * padded(c) + q] == begin[1][p * padded(c) + q])));
            let mut dx = vec![0.0; x.len()];
            first_backward_add(&part, n, &mut dx, padded(c));
            prop_assert!((dot(&dx, &x) - dot(&part, &part)).abs() <= 1e-9 * dot(&part, &part));
        }

        #[test]
        fn parts_stand_side_by_side_and_come_back(pixels in 1usize..9, c in prop::collection::vec(1usize..20, 1..5)) {
            let size = |c: usize| Image { h: pixels, w: 1, c: padded(c) };
            let total: usize = c.iter().sum();
            let parts: Vec<Vec<f32>> = c.iter().enumerate().map(|(i, &c)| image(1, size(c), c, 1000 * i + 1)).collect();
            let mut wide = vec![f32::NAN; size(total).len()];
            let begins: Vec<usize> = (0..c.len()).map(|i| c[..i].iter().sum()).collect();
            for ((part, &c), &at) in parts.iter().zip(&c).zip(&begins) {
                put(part, c, &mut wide, padded(total), at);
            }
            clear_padding(&mut wide, total);
            let want: Vec<f32> = (0..pixels).flat_map(|p| {
                let true_channels = parts.iter().zip(&c).flat_map(move |(x, &c)| x[p * padded(c)..][..c].to_vec());
                true_channels.chain(vec![0.0; padded(total) - total]).collect::<Vec<_>>()
            }).collect();
            prop_assert_eq!(&wide, &want);
            for ((part, &c), &at) in parts.iter().zip(&c).zip(&begins) {
                let mut back = part.clone();
                take_add(&wide, padded(total), at, &mut back, c);
                let doubled: Vec<f32> = part.iter().map(|v| 2.0 * v).collect();
                prop_assert_eq!(back, doubled);
            }
        }
    }
}
