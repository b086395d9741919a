//! Dropout of single values (Srivastava et al., JMLR 2014): `y = x / (1 - p)` for a value that is kept, with probability 1 - p, and 0
//! for the others.
//!
//! Which ones are kept is drawn nowhere: it follows from a seed, the place in the network, the image and the pixel, so that the
//! backward pass finds it again. Four channels of a pixel share a 64-bit number of SplitMix64 (Steele et al., 2014), 16 bits each; a
//! value is kept where its bits are not below `65536 p`.

pub mod tensor;

use super::{padded, vectorized};

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
fn finalised(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Which values are left out at one place of the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask {
    p: f64,
    seed: u64,
}

impl Mask {
    /// `p`: the probability that a value is left out, below 1.
    pub fn new(p: f64, seed: u64, place: usize) -> Self {
        Mask { p, seed: finalised(seed ^ finalised((place as u64 + 1).wrapping_mul(STEP))) }
    }

    fn image(&self, image: usize) -> u64 {
        finalised(self.seed.wrapping_add((image as u64 + 1).wrapping_mul(STEP)))
    }

    /// Calls `f` with every value of `n` images from `first` on: its position and its factor; `len`: stored values of an image.
    #[inline(always)]
    fn each(&self, first: usize, n: usize, len: usize, mut f: impl FnMut(usize, f32)) {
        let (least, scale) = ((self.p * 65536.0).round() as u64, (1.0 / (1.0 - self.p)) as f32);
        for i in 0..n {
            let key = self.image(first + i);
            for group in 0..len / 4 {
                let draws = finalised(key.wrapping_add((group as u64 + 1).wrapping_mul(STEP)));
                for k in 0..4 {
                    f(i * len + 4 * group + k, if (draws >> (16 * k)) & 0xffff >= least { scale } else { 0.0 });
                }
            }
        }
    }

    /// `y = x times its factor`, overwritten; `first`: the first image; `len`: stored values of an image.
    pub fn apply(&self, x: &[f32], y: &mut [f32], first: usize, len: usize) {
        let (x, n) = (&x[..y.len()], y.len() / len);
        vectorized!({ self.each(first, n, len, |at, factor| y[at] = factor * x[at]) });
    }

    /// `dx += dy times its factor`.
    pub fn backward_add(&self, dy: &[f32], dx: &mut [f32], first: usize, len: usize) {
        let (dy, n) = (&dy[..dx.len()], dx.len() / len);
        vectorized!({ self.each(first, n, len, |at, factor| dx[at] += factor * dy[at]) });
    }

    /// The factors of `b` images of `c` channels, `[b, c, h, w]`.
    fn factors(&self, (b, c, h, w): (usize, usize, usize, usize)) -> Vec<f32> {
        let (c_p, mut factors) = (padded(c), vec![0.0; b * c * h * w]);
        self.each(0, b, h * w * c_p, |at, factor| {
            let (ch, pixel, image) = (at % c_p, at / c_p % (h * w), at / c_p / (h * w));
            if ch < c {
                factors[(image * c + ch) * h * w + pixel] = factor;
            }
        });
        factors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize, usize, usize) = (40, 5, 6, 7);

    #[test]
    fn as_many_are_left_out_as_asked_and_the_others_make_up_for_them() {
        for p in [0.1, 0.3, 0.75] {
            let all = Mask::new(p, 3, 2).factors(SIZE);
            let (n, kept) = (all.len() as f64, all.iter().filter(|f| **f != 0.0).count() as f64);
            // Four standard deviations.
            assert!((kept / n - (1.0 - p)).abs() < 4.0 * (p * (1.0 - p) / n).sqrt(), "{p}: {kept} of {n}");
            assert!(all.iter().all(|f| *f == 0.0 || (f64::from(*f) * (1.0 - p) - 1.0).abs() < 1e-6));
        }
    }

    #[test]
    fn seeds_places_images_and_neighbours_agree_no_more_often_than_by_chance() {
        let all = [(3, 2), (4, 2), (3, 3)].map(|(seed, place)| Mask::new(0.5, seed, place).factors(SIZE));
        let image = all[0].len() / SIZE.0;
        let pairs = [
            (&all[0][..], &all[1][..]),
            (&all[0][..], &all[2][..]),
            (&all[0][image..], &all[0][..]),
            (&all[0][1..], &all[0][..]),
        ];
        for (at, (a, b)) in pairs.into_iter().enumerate() {
            let n = a.len().min(b.len()) as f64;
            let same = a.iter().zip(b).filter(|(a, b)| a == b).count() as f64;
            assert!((same / n - 0.5).abs() < 4.0 * (0.25 / n).sqrt(), "pair {at}: {same} of {n}");
        }
    }

    #[test]
    fn kernels_leave_out_what_the_definition_leaves_out_and_blocks_are_as_the_whole() {
        let ((b, c, h, w), mask) = (SIZE, Mask::new(0.4, 9, 1));
        let (c_p, factors) = (padded(c), mask.factors(SIZE));
        let len = h * w * c_p;
        let x: Vec<f32> = (0..b * len).map(|i| if i % c_p < c { 1.0 + i as f32 } else { 0.0 }).collect();
        let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![0.5; x.len()]);
        for (first, images) in [(0, 3), (3, b - 3)] {
            let part = first * len..(first + images) * len;
            mask.apply(&x[part.clone()], &mut y[part.clone()], first, len);
            mask.backward_add(&x[part.clone()], &mut dx[part], first, len);
        }
        for (at, (x, (y, dx))) in x.iter().zip(y.iter().zip(&dx)).enumerate() {
            let (ch, pixel, image) = (at % c_p, at / c_p % (h * w), at / len);
            let factor = if ch < c { factors[(image * c + ch) * h * w + pixel] } else { 0.0 };
            assert!(*y == factor * x && (dx - 0.5 - y).abs() <= 1e-6 * y.abs(), "{at}: {y}, {dx}");
        }
    }
}
