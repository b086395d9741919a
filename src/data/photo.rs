//! Augmentation of photographs, as ImageNet is trained with: a random part of the picture at random proportions, mirrored or
//! not, its colours changed, and light added. Parameters are those of torchvision's `RandomResizedCrop`, of `ColorJitter` in
//! quark0/darts, and of `Lighting` in AutoDL-Projects.

use super::Dataset;
use super::random::below;
use rand::{Rng, RngCore};

/// Bounds of the part that is cut out: its share of the picture's area, and its width over its height.
const AREA: (f64, f64) = (0.08, 1.0);
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
/// Largest changes of brightness, contrast, saturation (factors around 1) and hue (of a turn).
const JITTER: [f64; 3] = [0.4, 0.4, 0.4];
const HUE: f64 = 0.2;
/// Deviation of light along the principal axes of the colours of ImageNet (Krizhevsky et al., 2012): variances, axes.
const LIGHT: f64 = 0.1;
const VARIANCES: [f64; 3] = [0.2175, 0.0188, 0.0045];
const AXES: [[f64; 3]; 3] = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]];
/// Weights of red, green and blue in grey.
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// What is done to one photograph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PhotoDraw {
    /// Top, left, height, width of the part.
    part: (usize, usize, usize, usize),
    flip: bool,
    /// In their order: 0 brightness, 1 contrast, 2 saturation (with factors), 3 hue (with a shift in turns).
    changes: [(usize, f32); 4],
    /// What is added to red, green and blue.
    light: [f32; 3],
}

impl PhotoDraw {
    /// A draw by `rng`, for pictures of `h x w`.
    pub fn new((h, w): (usize, usize), flip: bool, rng: &mut impl RngCore) -> Self {
        let part = part(h, w, rng);
        let flip = below(rng, 2) == 1 && flip;
        let mut changes = [0, 1, 2, 3].map(|kind| {
            let (middle, width) = if kind < 3 { (1.0, JITTER[kind]) } else { (0.0, HUE) };
            (kind, rng.random_range(middle - width..=middle + width) as f32)
        });
        for i in (1..4).rev() {
            changes.swap(i, below(rng, i + 1));
        }
        let alpha: [f64; 3] = std::array::from_fn(|i| LIGHT * normal(rng) * VARIANCES[i]);
        let light = AXES.map(|axis| axis.iter().zip(&alpha).map(|(a, b)| a * b).sum::<f64>() as f32);
        PhotoDraw { part, flip, changes, light }
    }

    /// Write `picture`, `[3, size]`, so changed and normalised by `data`, to `out`, of the shape of an image of `data`.
    pub fn write(&self, data: &Dataset, picture: &[u8], size: (usize, usize), out: &mut [f32]) {
        let (_, h, w) = data.shape;
        for (plane, out) in picture.chunks_exact(size.0 * size.1).zip(out.chunks_exact_mut(h * w)) {
            resample(plane, size.1, self.part, self.flip, out, (h, w));
        }
        for &(kind, amount) in &self.changes {
            change(kind, amount, h * w, out);
        }
        for (c, out) in out.chunks_exact_mut(h * w).enumerate() {
            let std = if data.std[c] > 0.0 { data.std[c] } else { 1.0 };
            out.iter_mut().for_each(|x| *x = (*x + self.light[c] - data.mean[c]) / std);
        }
    }
}

/// A part of random area and proportions; after ten tries that do not fit, the largest in the middle whose proportions do.
fn part(h: usize, w: usize, rng: &mut impl RngCore) -> (usize, usize, usize, usize) {
    for _ in 0..10 {
        let area = (h * w) as f64 * rng.random_range(AREA.0..=AREA.1);
        let ratio = rng.random_range(RATIO.0.ln()..=RATIO.1.ln()).exp();
        let (pw, ph) = ((area * ratio).sqrt().round() as usize, (area / ratio).sqrt().round() as usize);
        if (1..=w).contains(&pw) && (1..=h).contains(&ph) {
            return (below(rng, h - ph + 1), below(rng, w - pw + 1), ph, pw);
        }
    }
    let own = w as f64 / h as f64;
    let (ph, pw) = match own {
        _ if own < RATIO.0 => (((w as f64 / RATIO.0).round() as usize).clamp(1, h), w),
        _ if own > RATIO.1 => (h, ((h as f64 * RATIO.1).round() as usize).clamp(1, w)),
        _ => (h, w),
    };
    ((h - ph) / 2, (w - pw) / 2, ph, pw)
}

/// The part of a plane `pitch` pixels wide, stretched or shrunk to `h x w` by bilinear interpolation between pixel centres, in
/// 0..1.
fn resample(
    plane: &[u8],
    pitch: usize,
    (top, left, ph, pw): (usize, usize, usize, usize),
    flip: bool,
    out: &mut [f32],
    (h, w): (usize, usize),
) {
    // Of an output pixel: the two inputs along an axis, and the share of the second.
    let taps = |n: usize, start: usize, len: usize| -> Vec<(usize, usize, f32)> {
        let tap = |i: usize| {
            let at = ((i as f64 + 0.5) * len as f64 / n as f64 - 0.5).clamp(0.0, (len - 1) as f64);
            let low = at.floor() as usize;
            (start + low, start + (low + 1).min(len - 1), (at - low as f64) as f32)
        };
        (0..n).map(tap).collect()
    };
    let (rows, mut columns) = (taps(h, top, ph), taps(w, left, pw));
    if flip {
        columns.reverse();
    }
    let value = |y: usize, x: usize| f32::from(plane[y * pitch + x]);
    for (&(y0, y1, fy), out) in rows.iter().zip(out.chunks_exact_mut(w)) {
        for (&(x0, x1, fx), out) in columns.iter().zip(out) {
            let upper = value(y0, x0) + fx * (value(y0, x1) - value(y0, x0));
            let lower = value(y1, x0) + fx * (value(y1, x1) - value(y1, x0));
            *out = (upper + fy * (lower - upper)) / 255.0;
        }
    }
}

/// Brightness, contrast and saturation are mixtures with black, with the mean grey, and with the grey of each pixel; hue turns
/// the colour circle. All stay in 0..1.
fn change(kind: usize, amount: f32, n: usize, image: &mut [f32]) {
    let grey = |image: &[f32], i: usize| (0..3).map(|c| GREY[c] * image[c * n + i]).sum::<f32>();
    let mix = |x: f32, with: f32| (amount * x + (1.0 - amount) * with).clamp(0.0, 1.0);
    match kind {
        0 => image.iter_mut().for_each(|x| *x = mix(*x, 0.0)),
        1 => {
            let mean = ((0..n).map(|i| f64::from(grey(image, i))).sum::<f64>() / n as f64) as f32;
            image.iter_mut().for_each(|x| *x = mix(*x, mean));
        }
        2 => {
            for i in 0..n {
                let own = grey(image, i);
                (0..3).for_each(|c| image[c * n + i] = mix(image[c * n + i], own));
            }
        }
        _ => {
            for i in 0..n {
                let turned = turn_hue([0, 1, 2].map(|c| image[c * n + i]), amount);
                (0..3).for_each(|c| image[c * n + i] = turned[c]);
            }
        }
    }
}

/// Through hue, saturation and value (Smith, 1978).
fn turn_hue([r, g, b]: [f32; 3], turns: f32) -> [f32; 3] {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let chroma = high - low;
    if chroma <= 0.0 {
        return [r, g, b];
    }
    let sixth = match high {
        _ if high == r => (g - b) / chroma,
        _ if high == g => 2.0 + (b - r) / chroma,
        _ => 4.0 + (r - g) / chroma,
    };
    let sixth = (sixth / 6.0 + turns).rem_euclid(1.0) * 6.0;
    // Of the three, `high - chroma * (distance on the circle from where it is full)`.
    [5.0f32, 3.0, 1.0].map(|n| {
        let k = (n + sixth) % 6.0;
        high - chroma * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

/// A normal draw (Box and Muller).
fn normal(rng: &mut impl RngCore) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::super::random::{Purpose, stream};
    use super::*;

    fn close(a: &[f32], b: &[f32]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
    }

    #[test]
    fn a_part_is_stretched_and_mirrored() {
        let plane = [0, 51, 102, 153, 0, 51, 102, 153, 0, 51, 102, 153, 255, 255, 255, 255];
        let mut out = [0.0; 16];
        resample(&plane, 4, (0, 0, 4, 4), false, &mut out, (4, 4));
        close(&out[..4], &[0.0, 0.2, 0.4, 0.6]);
        resample(&plane, 4, (0, 0, 4, 4), true, &mut out, (4, 4));
        close(&out[..4], &[0.6, 0.4, 0.2, 0.0]);
        // Two columns over four: centres at -0.25, 0.25, 0.75, 1.25 of the part.
        resample(&plane, 4, (0, 1, 2, 2), false, &mut out, (4, 4));
        close(&out[12..], &[0.2, 0.25, 0.35, 0.4]);
        // A part of a larger picture: its second row, two pixels of it.
        resample(&plane, 8, (1, 1, 1, 2), false, &mut out[..2], (1, 2));
        close(&out[..2], &[0.2, 0.4]);
    }

    #[test]
    fn colours_change_as_they_should() {
        let image = [0.2f32, 0.6, 0.4, 0.6, 0.1, 0.6];
        let changed = |kind, amount| {
            let mut image = image;
            change(kind, amount, 2, &mut image);
            image
        };
        close(&changed(0, 2.0), &[0.4, 1.0, 0.8, 1.0, 0.2, 1.0]);
        let grey = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.1;
        let mean = (grey + 0.6) / 2.0;
        close(&changed(1, 0.0), &[mean; 6]);
        close(&changed(2, 0.0), &[grey, 0.6, grey, 0.6, grey, 0.6]);
        close(&changed(2, 1.0), &image);
        // A third of a turn moves each channel on by one; grey stays.
        close(&changed(3, 1.0 / 3.0), &[0.1, 0.6, 0.2, 0.6, 0.4, 0.6]);
        for [r, g, b] in [[1.0, 0.0, 0.0], [0.3, 0.7, 0.7], [0.9, 0.2, 0.5], [0.2, 0.3, 0.9]] {
            close(&turn_hue([r, g, b], 0.0), &[r, g, b]);
            close(&turn_hue(turn_hue([r, g, b], 0.13), -0.13), &[r, g, b]);
        }
    }

    #[test]
    fn parts_lie_in_the_picture_and_have_the_areas_and_proportions_asked_for() {
        let mut rng = stream(1, Purpose::Augment, 0);
        let (mut least, mut most) = (1f64, 0f64);
        for _ in 0..2000 {
            let draw = PhotoDraw::new((50, 60), true, &mut rng);
            let (top, left, h, w) = draw.part;
            assert!(top + h <= 50 && left + w <= 60 && h * w > 0);
            assert!((0.7..=1.4).contains(&(w as f64 / h as f64)), "{w} x {h}");
            let area = (h * w) as f64 / 3000.0;
            (least, most) = (least.min(area), most.max(area));
            assert!(draw.light.iter().all(|l| l.abs() < 0.2));
            let mut kinds = draw.changes.map(|c| c.0);
            kinds.sort();
            assert_eq!(kinds, [0, 1, 2, 3]);
        }
        assert!(least < 0.1 && most > 0.85, "{least} {most}");
        assert_eq!(part(1, 40, &mut rng), (0, 19, 1, 1), "a strip has a part of the widest proportions only");
    }
}
