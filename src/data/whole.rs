//! Whole pictures, for training on parts of them ([`super::photo`]): of shorter side 256/224 of the images' side at most, so
//! that memory is bounded by about 1.3 times their proportions (w/h) times that of the images. Decoded when first asked for.

use super::decode::{before_crop, open, planes, sized};
use crate::error::Result;
use crate::interrupt;
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A picture.
#[derive(Debug)]
pub(super) struct Whole {
    /// Height and width.
    pub size: (usize, usize),
    /// `[3, h, w]`
    pub pixels: Vec<u8>,
}

/// The pictures behind the images of a data set, in the order of its store.
#[derive(Debug)]
pub struct Wholes {
    files: Vec<PathBuf>,
    side: usize,
    decoded: OnceLock<Vec<Whole>>,
}

impl Wholes {
    /// The pictures of these files, not yet decoded; `side` is that of the images.
    pub(super) fn new(files: Vec<PathBuf>, side: usize) -> Self {
        Wholes { files, side, decoded: OnceLock::new() }
    }

    /// All of them.
    pub(super) fn get(&self) -> Result<&[Whole]> {
        if let Some(all) = self.decoded.get() {
            return Ok(all);
        }
        let whole = |path: &PathBuf| {
            interrupt::check()?;
            let (picture, most) = (open(path)?, before_crop(self.side as u32));
            let (w, h) = picture.dimensions();
            let picture = if w.min(h) > most { sized(picture, most) } else { picture };
            let (w, h) = picture.dimensions();
            Ok(Whole { size: (h as usize, w as usize), pixels: planes(&picture) })
        };
        // The first in order, so that the message does not depend on threads.
        let all: Vec<Result<Whole>> = self.files.par_iter().map(whole).collect();
        let all = all.into_iter().collect::<Result<_>>()?;
        Ok(self.decoded.get_or_init(|| all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    #[test]
    fn pictures_keep_their_proportions_and_are_shrunk_but_not_enlarged() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = [(64, 40), (10, 12), (30, 90)]
            .map(|(w, h)| {
                let path = dir.path().join(format!("{w}.png"));
                RgbImage::from_pixel(w, h, Rgb([w as u8, 2, 3])).save(&path).unwrap();
                path
            })
            .into();
        let wholes = Wholes::new(files, 14);
        let all = wholes.get().unwrap();
        assert_eq!(all.iter().map(|whole| whole.size).collect::<Vec<_>>(), [(16, 26), (12, 10), (48, 16)]);
        assert!(all[2].pixels[..16 * 48].iter().all(|&p| p == 30));
        std::fs::remove_dir_all(dir.path()).unwrap();
        assert_eq!(wholes.get().unwrap().len(), 3, "decoded once");
        let gone = Wholes::new(vec![dir.path().join("64.png")], 14).get().unwrap_err().to_string();
        assert!(gone.contains("64.png"), "{gone}");
    }
}
