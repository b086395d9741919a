//! The coefficient that a term of a sum is multiplied by.

use crate::net::ids::MixId;

/// The weight of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coef {
    /// 1
    One,
    /// A mixing weight.
    Mix(MixId),
    /// One of the scales given with a batch, which differs from image to image (drop path).
    Image(usize),
    /// Both: a mixing weight times one of the scales.
    MixImage {
        /// As [`Coef::Mix`].
        mix: MixId,
        /// As [`Coef::Image`].
        image: usize,
    },
}

impl Coef {
    /// The mixing weight in it.
    pub fn mix(self) -> Option<MixId> {
        match self {
            Coef::Mix(mix) | Coef::MixImage { mix, .. } => Some(mix),
            Coef::One | Coef::Image(_) => None,
        }
    }

    /// The mixing weight in it, if it is one of the first `candidates`: those of candidates, which stand before those of edges.
    pub fn candidate(self, candidates: usize) -> Option<MixId> {
        self.mix().filter(|mix| mix.0 < candidates)
    }

    /// The scale in it.
    pub fn image(self) -> Option<usize> {
        match self {
            Coef::Image(image) | Coef::MixImage { image, .. } => Some(image),
            Coef::One | Coef::Mix(_) => None,
        }
    }

    /// The same without the scale, for passes that drop no path.
    pub fn unscaled(self) -> Coef {
        self.mix().map_or(Coef::One, Coef::Mix)
    }
}
