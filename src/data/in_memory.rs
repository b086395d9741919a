//! A data set that the program around this library holds in memory.

use super::Dataset;
use super::dataset::Splits;
use super::hash::Hash;
use super::images::Images;
use super::inventory::Inventory;
use crate::error::{Error, Result};
use std::sync::Arc;

/// Images and classes of one part of a data set.
#[derive(Clone, Copy, Debug)]
pub struct InMemory<'a> {
    /// `[n, 3, side, side]`: red, green, blue planes of each image, row by row.
    pub pixels: &'a [u8],
    /// Of each image, the index of its class.
    pub labels: &'a [u32],
}

impl Splits {
    /// A data set of square RGB images of `side` pixels. `flip`: whether a mirrored image means the same, so that training may
    /// mirror it.
    ///
    /// ```
    /// use isdarts_host::{InMemory, Splits};
    /// let pixels: Vec<u8> = (0..4 * 3 * 8 * 8).map(|i| (i % 251) as u8).collect();
    /// let part = InMemory { pixels: &pixels, labels: &[0, 1, 0, 1] };
    /// let data = Splits::in_memory("stripes", &["up", "down"], 8, true, part, part)?;
    /// assert_eq!((data.train.len(), data.train.n_classes()), (4, 2));
    /// # Ok::<(), isdarts_host::Error>(())
    /// ```
    ///
    /// # Errors
    /// No class, no image, a label that is no class, pixels that are not as many as the labels ask for.
    pub fn in_memory(
        name: &str,
        classes: &[&str],
        side: usize,
        flip: bool,
        train: InMemory,
        test: InMemory,
    ) -> Result<Splits> {
        let mut hash = Hash::new();
        hash.text(&format!("{name} {classes:?} side={side} flip={flip}"));
        let what = |part: &str| format!("data set `{name}` in memory, {part} images");
        let train = images_of(&what("training"), train, side, classes.len())?;
        let test = images_of(&what("test"), test, side, classes.len())?;
        hash.images(&train);
        hash.images(&test);
        let (mean, std) = train.mean_std();
        let classes: Arc<Vec<String>> = Arc::new(classes.iter().map(|class| class.to_string()).collect());
        let dataset = |images| Dataset::of(images, name, &classes, flip, (&mean, &std));
        let (train, test) = (dataset(train), dataset(test));
        Ok(Splits { train, test, fingerprint: hash.finish(), inventory: Inventory::of(0) })
    }
}

fn images_of(what: &str, images: InMemory, side: usize, classes: usize) -> Result<Images> {
    let InMemory { pixels, labels } = images;
    if labels.is_empty() || side == 0 {
        let got = format!("{} images of {side}x{side}", labels.len());
        return Err(Error::invalid(what, got, "at least one, of at least 1x1"));
    }
    if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
        return Err(Error::invalid(
            what,
            format!("the label {label}"),
            format!("one of the {classes} classes, from 0"),
        ));
    }
    let expected = labels.len().saturating_mul(3).saturating_mul(side).saturating_mul(side);
    if pixels.len() != expected {
        let expected = format!("{expected}: 3 x {side} x {side} for each of {} labels", labels.len());
        return Err(Error::invalid(what, format!("{} pixels", pixels.len()), expected));
    }
    Ok(Images { channels: 3, side, pixels: pixels.to_vec(), labels: labels.to_vec(), files: vec![] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_data_set_is_refused_in_words() {
        let pixels = vec![7; 2 * 3 * 4 * 4];
        let good = InMemory { pixels: &pixels, labels: &[0, 1] };
        for (part, side, message) in [
            (InMemory { labels: &[], ..good }, 4, "got 0 images of 4x4"),
            (InMemory { labels: &[0, 2], ..good }, 4, "got the label 2, expected one of the 2 classes"),
            (good, 5, "got 96 pixels, expected 150: 3 x 5 x 5 for each of 2 labels"),
            (good, 0, "of 0x0"),
        ] {
            let error = Splits::in_memory("own", &["a", "b"], side, false, good, part);
            let error = match error {
                Err(error) => error.to_string(),
                Ok(_) => String::new(),
            };
            assert!(error.contains(message), "{message}: {error}");
        }
    }

    #[test]
    fn the_fingerprint_follows_every_byte_and_label() {
        let (one, mut two) = (vec![7; 2 * 3 * 4 * 4], vec![7; 2 * 3 * 4 * 4]);
        two[95] = 8;
        let of = |pixels: &[u8], labels: &[u32]| {
            let part = InMemory { pixels, labels };
            Splits::in_memory("own", &["a", "b"], 4, false, part, part).unwrap().fingerprint
        };
        assert_eq!(of(&one, &[0, 1]), of(&one, &[0, 1]));
        assert_ne!(of(&one, &[0, 1]), of(&two, &[0, 1]));
        assert_ne!(of(&one, &[0, 1]), of(&one, &[1, 0]));
    }
}
