//! Images as read from a source, before they become a [`super::Dataset`]: box-mean resize, selection, statistics.

use crate::error::{Error, Result};
use std::path::PathBuf;

/// `n` square images of `c` channels with their classes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Images {
    /// Channels.
    pub channels: usize,
    /// Height and width.
    pub side: usize,
    /// `[n, c, side, side]`
    pub pixels: Vec<u8>,
    /// `[n]`
    pub labels: Vec<u32>,
    /// `[n]`, where each has a file of its own; else none.
    pub files: Vec<PathBuf>,
}

impl Images {
    /// Bytes of one image.
    pub fn image_len(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// Put the images of `other` (of the same shape) behind these, with room for `total` in all.
    pub fn append(&mut self, other: Images, total: usize) {
        debug_assert_eq!((self.channels, self.side), (other.channels, other.side));
        if self.labels.is_empty() && other.labels.len() == total {
            *self = other;
            return;
        }
        self.pixels.reserve_exact((total * self.image_len()).saturating_sub(self.pixels.len()));
        self.pixels.extend_from_slice(&other.pixels);
        self.labels.extend_from_slice(&other.labels);
    }

    /// The images at `indices`, in that order.
    pub fn select(&self, indices: &[u32]) -> Images {
        let len = self.image_len();
        let mut pixels = Vec::with_capacity(indices.len() * len);
        for &i in indices {
            pixels.extend_from_slice(&self.pixels[i as usize * len..][..len]);
        }
        let files = indices.iter().filter_map(|&i| self.files.get(i as usize).cloned()).collect();
        Images { pixels, labels: indices.iter().map(|&i| self.labels[i as usize]).collect(), files, ..*self }
    }

    /// Each pixel of the `to x to` images is the mean of a `k x k` box, `k = side / to`, rounded half up.
    pub fn resize(self, to: usize) -> Result<Images> {
        check_side(self.side, to)?;
        if to == self.side {
            return Ok(self);
        }
        let (side, k) = (self.side, self.side / to);
        let area = (k * k) as u32;
        let mut pixels = Vec::with_capacity(self.pixels.len() / (k * k));
        let mut sums = vec![0u32; to];
        for rows in self.pixels.chunks_exact(k * side) {
            sums.fill(0);
            for row in rows.chunks_exact(side) {
                for (sum, box_row) in sums.iter_mut().zip(row.chunks_exact(k)) {
                    *sum += box_row.iter().map(|&p| u32::from(p)).sum::<u32>();
                }
            }
            pixels.extend(sums.iter().map(|sum| ((sum + area / 2) / area) as u8));
        }
        Ok(Images { side: to, pixels, ..self })
    }

    /// Mean and (population) standard deviation of each channel, of pixels scaled to 0..1. Sums are exact integers, so
    /// neither the order nor the number of images costs precision.
    pub fn mean_std(&self) -> (Vec<f32>, Vec<f32>) {
        let plane = self.side * self.side;
        let mut sums = vec![(0u64, 0u64); self.channels];
        for image in self.pixels.chunks_exact(self.image_len()) {
            for ((sum, squares), pixels) in sums.iter_mut().zip(image.chunks_exact(plane)) {
                for run in pixels.chunks(1 << 15) {
                    *sum += u64::from(run.iter().map(|&p| u32::from(p)).sum::<u32>());
                    *squares += u64::from(run.iter().map(|&p| u32::from(p) * u32::from(p)).sum::<u32>());
                }
            }
        }
        let n = (self.labels.len() * plane) as f64;
        sums.into_iter()
            .map(|(sum, squares)| {
                let mean = sum as f64 / n;
                let variance = (squares as f64 / n - mean * mean).max(0.0);
                ((mean / 255.0) as f32, (variance.sqrt() / 255.0) as f32)
            })
            .unzip()
    }
}

/// An error that lists the possible sides, if `to` does not divide `side`.
pub(super) fn check_side(side: usize, to: usize) -> Result<()> {
    if to > 0 && side.is_multiple_of(to) {
        return Ok(());
    }
    let sides: Vec<_> = (1..=side).filter(|s| side.is_multiple_of(*s)).map(|s| s.to_string()).collect();
    Err(Error::invalid("resize", to, format!("a side that divides {side}: {}", sides.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(side: usize, pixels: &[u8]) -> Images {
        let labels = vec![0; pixels.len() / (side * side)];
        Images { channels: 1, side, pixels: pixels.to_vec(), labels, files: vec![] }
    }

    #[test]
    fn resize_takes_the_mean_of_each_box_rounded_half_up() {
        #[rustfmt::skip]
        let image = [0, 1, 10, 20,
                     0, 1, 30, 41,
                     255, 255, 7, 7,
                     255, 255, 7, 8];
        for (to, expected) in [(4, image.to_vec()), (2, vec![1, 25, 255, 7]), (1, vec![72])] {
            assert_eq!(grey(4, &image).resize(to).unwrap(), grey(to, &expected), "to {to}");
        }
        let two = grey(2, &[1, 2, 3, 4, 10, 10, 10, 12]);
        assert_eq!(two.resize(1).unwrap(), grey(1, &[3, 11]), "images do not mix");
    }

    #[test]
    fn resize_to_a_side_that_does_not_divide_lists_the_sides_that_do() {
        for to in [0, 3, 5, 24, 64] {
            let message = check_side(32, to).unwrap_err().to_string();
            assert_eq!(message, format!("resize: got {to}, expected a side that divides 32: 1, 2, 4, 8, 16, 32"));
        }
    }

    #[test]
    fn statistics_are_those_of_each_channel_over_all_images() {
        let images = Images {
            channels: 2,
            side: 1,
            pixels: vec![0, 255, 255, 255, 0, 255, 255, 255],
            labels: vec![0; 4],
            files: vec![],
        };
        assert_eq!(images.mean_std(), (vec![0.5, 1.0], vec![0.5, 0.0]));
    }

    #[test]
    fn select_keeps_the_order_asked_for() {
        let mut images = grey(1, &[10, 11, 12]);
        images.labels = vec![0, 1, 2];
        let chosen = images.select(&[2, 0]);
        assert_eq!((chosen.pixels, chosen.labels), (vec![12, 10], vec![2, 0]));
    }
}
