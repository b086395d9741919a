//! HOW an op computes, forward and backward: one folder an op. Knows no cell and no edge.
//!
//! `tensor.rs` in each folder is the readable definition in plain candle tensor algebra: it runs on every device, is
//! differentiable, and is what every kernel is checked against.
//!
//! CPU kernels work on `[n, h, w, c]` images (NHWC) whose channels are padded with zeros ([`padded`]), one block of images on one
//! thread at a time; the engine in `net` runs blocks side by side.

pub mod batch_norm;
pub mod buffer;
pub mod channels;
pub mod conv;
pub mod depthwise;
pub mod dropout;
pub mod finite;
pub mod gpu;
pub mod head;
pub mod iim;
pub mod linear_sum;
pub mod noise;
pub mod poll;
pub mod pool;
pub mod relu;
mod seen;
pub mod sgd;
pub mod simd;
pub mod special;
pub mod window;

/// Channels with padding: 4 up to 4, otherwise the next multiple of 8.
pub fn padded(c: usize) -> usize {
    if c <= 4 { 4 } else { c.next_multiple_of(8) }
}

/// `vectorized!(body)` runs readable loops with the widest vector instructions that this processor has: the compiler makes a
/// copy of them for each instruction set, and this picks one. A plain closure would not do: unless it is inlined, it keeps the
/// instructions that every processor has, and is several times as slow.
macro_rules! vectorized {
    ($body:expr) => {
        $crate::ops::with_vectors(
            #[inline(always)]
            || $body,
        )
    };
}
pub(crate) use vectorized;

/// See [`vectorized`].
#[inline(always)]
pub(crate) fn with_vectors<R>(f: impl FnOnce() -> R) -> R {
    struct Loop<F>(F);
    impl<R, F: FnOnce() -> R> simd::Kernel for Loop<F> {
        type Output = R;

        #[inline(always)]
        fn run<S: simd::Simd>(self, _: S) -> R {
            (self.0)()
        }
    }
    simd::Level::best().run(Loop(f))
}
