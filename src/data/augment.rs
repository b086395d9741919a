//! Augmentation and normalisation of one image.
//!
//! In this order, as in quark0/darts and the code that followed it: an image is padded with black and cropped to its
//! size, flipped, normalised (`x = (p / 255 - mean) / std`), and a square of it set to zero (cutout; DeVries & Taylor 2017).

use super::Dataset;
use super::random::below;
use rand::RngCore;
use std::ops::Range;

/// Augmentation of training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Padding with black pixels before a random crop of the original size; 0 = no crop.
    pub crop_pad: usize,
    /// Horizontal flip with probability 1/2.
    pub flip: bool,
    /// Side of the square set to zero (the mean) around a random pixel, cut off at the border; 0 = none.
    pub cutout: usize,
    /// As photographs are ([`super::photo`]): a random part in place of the padded crop, and changed colours.
    pub photo: bool,
}

/// What is done to one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AugmentDraw {
    /// Row and column of the crop in the padded image, less the padding: where pixel (0, 0) comes from.
    offset: (isize, isize),
    /// Whether the crop is mirrored.
    flip: bool,
    /// First row and column of the cutout.
    cutout: Option<(isize, isize)>,
}

impl AugmentDraw {
    /// The image as it is.
    pub const NONE: AugmentDraw = AugmentDraw { offset: (0, 0), flip: false, cutout: None };

    /// Five draws of `rng`, whatever is switched on: switching one on moves no other.
    pub fn new(augment: &Augment, (_, h, w): (usize, usize, usize), rng: &mut impl RngCore) -> Self {
        let pad = augment.crop_pad;
        let mut offset = || below(rng, 2 * pad + 1) as isize - pad as isize;
        let offset = (offset(), offset());
        let flip = below(rng, 2) == 1;
        let mut corner = |n| below(rng, n) as isize - (augment.cutout / 2) as isize;
        let corner = (corner(h), corner(w));
        AugmentDraw { offset, flip: flip && augment.flip, cutout: (augment.cutout > 0).then_some(corner) }
    }

    /// Set the square of `cutout` pixels a side to zero, in every channel of `out`.
    pub fn cut_out(&self, (_, h, w): (usize, usize, usize), cutout: usize, out: &mut [f32]) {
        let Some((y, x)) = self.cutout else { return };
        let (rows, cols) = (inside(y, cutout, h), inside(x, cutout, w));
        for out in out.chunks_exact_mut(h * w) {
            rows.clone().for_each(|y| out[y * w..][cols.clone()].fill(0.0));
        }
    }
}

/// The part of `start..start + len` that lies in `0..n`.
fn inside(start: isize, len: usize, n: usize) -> Range<usize> {
    let clamp = |v: isize| v.clamp(0, n as isize) as usize;
    clamp(start)..clamp(start + len as isize)
}

/// The normalised value of each pixel value, per channel.
pub(super) struct Normalise(Vec<[f32; 256]>);

impl Normalise {
    /// For images of `data`. A channel of standard deviation 0 (all pixels equal) is only centred.
    pub fn new(data: &Dataset) -> Self {
        let table = |(&mean, &std): (&f32, &f32)| {
            let std = if std > 0.0 { f64::from(std) } else { 1.0 };
            std::array::from_fn(|p| ((p as f64 / 255.0 - f64::from(mean)) / std) as f32)
        };
        Normalise(data.mean.iter().zip(&data.std).map(table).collect())
    }

    /// Write `image`, `[c, h, w]`, changed by `draw` and normalised, to `out`; `cutout` is the side of its square.
    pub fn write(
        &self,
        image: &[u8],
        (c, h, w): (usize, usize, usize),
        draw: &AugmentDraw,
        cutout: usize,
        out: &mut [f32],
    ) {
        let (dy, dx) = draw.offset;
        // Rows and columns of the crop that lie on the image; the rest is black.
        let (rows, cols) = (inside(-dy, h, h), inside(-dx, w, w));
        for ((table, image), out) in self.0.iter().zip(image.chunks_exact(h * w)).zip(out.chunks_exact_mut(h * w)) {
            for (y, out) in out.chunks_exact_mut(w).enumerate() {
                if !rows.contains(&y) || cols.is_empty() {
                    out.fill(table[0]);
                } else {
                    let row = (y as isize + dy) as usize * w;
                    let from = (cols.start as isize + dx) as usize;
                    let pixels = &image[row + from..][..cols.len()];
                    let (left, right) = (cols.start, w - cols.end);
                    if draw.flip {
                        out[..right].fill(table[0]);
                        out[w - left..].fill(table[0]);
                        out[right..w - left]
                            .iter_mut()
                            .rev()
                            .zip(pixels)
                            .for_each(|(o, &p)| *o = table[usize::from(p)]);
                    } else {
                        out[..left].fill(table[0]);
                        out[w - right..].fill(table[0]);
                        out[left..w - right].iter_mut().zip(pixels).for_each(|(o, &p)| *o = table[usize::from(p)]);
                    }
                }
            }
        }
        draw.cut_out((c, h, w), cutout, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::{Purpose, stream};
    use super::*;
    use std::sync::Arc;

    const SHAPE: (usize, usize, usize) = (2, 5, 4);

    fn data() -> Dataset {
        Dataset {
            name: "test".into(),
            classes: Arc::new(vec!["a".into()]),
            shape: SHAPE,
            pixels: Arc::new((0..40).map(|i| i * 6 + 7).collect()),
            labels: Arc::new(vec![0]),
            indices: Arc::new(vec![0]),
            mean: vec![0.4, 0.6],
            std: vec![0.2, 0.0],
            augment: Augment { crop_pad: 0, flip: false, cutout: 0, photo: false },
            wholes: None,
        }
    }

    /// The definition: pad, crop, flip, normalise, cut out, each on all pixels.
    fn readable(data: &Dataset, draw: &AugmentDraw, pad: usize, cutout: usize) -> Vec<f32> {
        let (c, h, w) = SHAPE;
        let (ph, pw) = (h + 2 * pad, w + 2 * pad);
        let mut out = vec![];
        for k in 0..c {
            let mut padded = vec![vec![0u8; pw]; ph];
            for y in 0..h {
                for x in 0..w {
                    padded[y + pad][x + pad] = data.image(0)[(k * h + y) * w + x];
                }
            }
            let top = (draw.offset.0 + pad as isize) as usize;
            let left = (draw.offset.1 + pad as isize) as usize;
            let mut crop: Vec<Vec<u8>> = padded[top..top + h].iter().map(|r| r[left..left + w].to_vec()).collect();
            if draw.flip {
                crop.iter_mut().for_each(|row| row.reverse());
            }
            for (y, row) in crop.iter().enumerate() {
                for (x, &p) in row.iter().enumerate() {
                    let std = [0.2, 1.0][k];
                    let value = (f64::from(p) / 255.0 - f64::from(data.mean[k])) / f64::from(std as f32);
                    let cut = |at: usize, from: isize| (from..from + cutout as isize).contains(&(at as isize));
                    let is_cut = draw.cutout.is_some_and(|(cy, cx)| cut(y, cy) && cut(x, cx));
                    out.push(if is_cut { 0.0 } else { value as f32 });
                }
            }
        }
        out
    }

    #[test]
    fn every_draw_gives_what_the_readable_definition_gives() {
        let data = data();
        let normalise = Normalise::new(&data);
        for (crop_pad, flip, cutout) in
            [(0, false, 0), (2, false, 0), (0, true, 0), (1, true, 3), (0, false, 2), (7, true, 20)]
        {
            let augment = Augment { crop_pad, flip, cutout, photo: false };
            for seed in 0..200 {
                let draw = AugmentDraw::new(&augment, SHAPE, &mut stream(seed, Purpose::Augment, 0));
                let mut out = vec![f32::NAN; 40];
                normalise.write(data.image(0), SHAPE, &draw, cutout, &mut out);
                assert_eq!(out, readable(&data, &draw, crop_pad, cutout), "{augment:?} {draw:?}");
            }
        }
    }

    #[test]
    fn draws_cover_their_range_evenly() {
        let augment = Augment { crop_pad: 2, flip: true, cutout: 2, photo: false };
        let draws: Vec<_> =
            (0..5000).map(|s| AugmentDraw::new(&augment, SHAPE, &mut stream(s, Purpose::Augment, 0))).collect();
        let share =
            |f: &dyn Fn(&AugmentDraw) -> bool| draws.iter().filter(|d| f(d)).count() as f64 / draws.len() as f64;
        for o in -2..=2 {
            assert!((share(&|d| d.offset.0 == o) - 0.2).abs() < 0.03, "row offset {o}");
            assert!((share(&|d| d.offset.1 == o) - 0.2).abs() < 0.03, "column offset {o}");
        }
        assert!((share(&|d| d.flip) - 0.5).abs() < 0.04);
        for y in 0..5 {
            assert!((share(&|d| d.cutout.is_some_and(|c| c.0 == y - 1)) - 0.2).abs() < 0.03, "cutout row {y}");
        }
    }

    #[test]
    fn switching_one_augmentation_on_moves_no_other() {
        let draw = |flip, cutout| {
            AugmentDraw::new(
                &Augment { crop_pad: 3, flip, cutout, photo: false },
                SHAPE,
                &mut stream(5, Purpose::Augment, 1),
            )
        };
        assert_eq!(draw(false, 0).offset, draw(true, 4).offset);
        assert_eq!(draw(true, 0).flip, draw(true, 4).flip);
    }
}
