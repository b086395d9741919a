//! The coefficient that a term of a sum is multiplied by.

/// The weight of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coef {
    /// 1
    One,
    /// An entry of the mixing weights, all cell types one after the other: `[cell type][edge][op]`.
    Mix(usize),
    /// One of the scales given with a batch, which differs from image to image (drop path).
    Image(usize),
    /// Both: an entry of the mixing weights, times one of the scales.
    MixImage {
        /// As [`Coef::Mix`].
        mix: usize,
        /// As [`Coef::Image`].
        image: usize,
    },
}

impl Coef {
    /// The entry of the mixing weights in it.
    pub fn mix(self) -> Option<usize> {
        match self {
            Coef::Mix(mix) | Coef::MixImage { mix, .. } => Some(mix),
            Coef::One | Coef::Image(_) => None,
        }
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
