//! How a forward pass is made, and what it gives.

use candle_core::Tensor;

/// Which statistics affine batch norms (all of an evaluation network; stem, reductions and head of a supernet) use; those
/// without affine part always use the batch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, and the running ones move.
    Train,
    /// Batch statistics; the running ones stay as they are.
    Batch,
    /// Running statistics.
    Eval,
}

/// Which candidates of a mix are computed.
///
/// A candidate whose mixing weight is exactly 0 changes nothing, and its weights get no gradient: all that it is computed for
/// is the gradient of the mixing weight. So where nothing asks for that, of a constant mix, it never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// Every live candidate, if gradients flow to the mix.
    #[default]
    All,
    /// The candidates whose mixing weight is not 0; the gradient of a weight of 0 is 0.
    Drawn,
    /// The same, and each of the other live candidates stands as its bare mixing weight, one number, in the sum of the node, as in
    /// GDAS' code: the gradient of that weight is what arrives at the node, summed over images, channels and pixels.
    DrawnWithGhosts,
}

/// How a forward pass is made; a [`Mode`] alone will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Statistics of the affine norms.
    pub mode: Mode,
    /// Which candidates are computed.
    pub paths: Paths,
}

impl From<Mode> for Pass {
    fn from(mode: Mode) -> Self {
        Pass { mode, paths: Paths::All }
    }
}

/// What a pass gives.
#[derive(Clone, Debug)]
pub struct Logits {
    /// `[b, classes]`
    pub logits: Tensor,
    /// The logits of the auxiliary head, in training.
    pub auxiliary: Option<Tensor>,
}
