//! Vectors of f32, chosen at run time: AVX-512, AVX2 with FMA, NEON or portable arrays.
//!
//! A kernel is written once, over `S: Simd`, as a [`Kernel`]; [`Level::run`] compiles it once for each instruction set.
//! Everything a kernel calls must be `#[inline(always)]`, or it is compiled without the instruction set.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use portable::Portable;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An instruction set that this machine has: besides [`Level::PORTABLE`], only [`Level::available`] makes one, by asking the
/// processor. Wider is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Set {
    /// Arrays of 4, for channels that 8 does not divide.
    PortableHalf,
    /// Arrays of 8, left to the compiler: SSE2 on x86-64, NEON on aarch64.
    Portable,
    /// 4 lanes, for channels that 8 does not divide.
    #[cfg(target_arch = "x86_64")]
    Avx2Half,
    /// 8 lanes, AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 4 lanes and AVX-512's 32 registers, for channels that 8 does not divide.
    #[cfg(target_arch = "x86_64")]
    Avx512Quarter,
    /// 8 lanes and AVX-512's 32 registers, for channels that 16 does not divide.
    #[cfg(target_arch = "x86_64")]
    Avx512Half,
    /// 16 lanes, AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Position of the widest level in use among [`Level::available`].
static WIDEST: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Level {
    /// The one that every machine has.
    pub const PORTABLE: Level = Level(Set::Portable);

    /// What this machine has, narrowest first; never empty.
    pub fn available() -> Vec<Level> {
        let mut levels = vec![Level::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Level(Set::Avx2));
            if ["f", "bw", "dq", "vl"].iter().all(|f| has_avx512(f)) {
                levels.extend([Level(Set::Avx512Half), Level(Set::Avx512)]);
            }
        }
        levels
    }

    /// The widest that this machine has, up to [`Level::limit`].
    pub fn best() -> Level {
        static ALL: OnceLock<Vec<Level>> = OnceLock::new();
        let all = ALL.get_or_init(Level::available);
        all[WIDEST.load(Ordering::Relaxed).min(all.len() - 1)]
    }

    /// From now on [`Level::best`] is this one: networks made before keep the vectors of their convolutions. For tests of every
    /// level on one machine.
    pub fn limit(level: Level) {
        let up_to = Level::available().iter().filter(|&&l| l <= level).count();
        WIDEST.store(up_to.max(1) - 1, Ordering::Relaxed);
    }

    /// f32s in a vector.
    pub const fn lanes(self) -> usize {
        match self.0 {
            Set::PortableHalf => 4,
            Set::Portable => 8,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Half | Set::Avx512Quarter => 4,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512Half => 8,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => 16,
        }
    }

    /// The widest level of the same instructions, up to this one, whose vectors divide `channels` (a multiple of 4).
    pub fn dividing(self, channels: usize) -> Level {
        let narrower = Level(self.0.narrower());
        if channels.is_multiple_of(self.lanes()) || narrower == self { self } else { narrower.dividing(channels) }
    }

    /// Runs a kernel with the vectors of this level.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Set::PortableHalf => kernel.run(Portable::<4>),
            Set::Portable => kernel.run(Portable::<8>),
            // SAFETY: a level other than the portable one is only made where the processor said that it has the instructions.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Half => unsafe { x86::run_avx2_half(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { x86::run_avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Quarter => unsafe { x86::run_avx512_quarter(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Half => unsafe { x86::run_avx512_half(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { x86::run_avx512(kernel) },
        }
    }
}

impl Set {
    /// Half as many lanes of the same instructions; the narrowest stays.
    const fn narrower(self) -> Set {
        match self {
            Set::PortableHalf | Set::Portable => Set::PortableHalf,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Half | Set::Avx2 => Set::Avx2Half,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Quarter | Set::Avx512Half => Set::Avx512Quarter,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => Set::Avx512Half,
        }
    }
}

impl std::fmt::Debug for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx512(part: &str) -> bool {
    match part {
        "f" => is_x86_feature_detected!("avx512f"),
        "bw" => is_x86_feature_detected!("avx512bw"),
        "dq" => is_x86_feature_detected!("avx512dq"),
        _ => is_x86_feature_detected!("avx512vl"),
    }
}

/// `[e(0), e(1), ...]`, written out. A closure would do (`std::array::from_fn`), but the compiler does not always inline one,
/// and then compiles it without the instruction set.
macro_rules! unrolled {
    (3, |$i:ident| $e:expr) => {
        [unrolled!(@ 0, $i, $e), unrolled!(@ 1, $i, $e), unrolled!(@ 2, $i, $e)]
    };
    (4, |$i:ident| $e:expr) => {
        [unrolled!(@ 0, $i, $e), unrolled!(@ 1, $i, $e), unrolled!(@ 2, $i, $e), unrolled!(@ 3, $i, $e)]
    };
    (6, |$i:ident| $e:expr) => {
        [
            unrolled!(@ 0, $i, $e),
            unrolled!(@ 1, $i, $e),
            unrolled!(@ 2, $i, $e),
            unrolled!(@ 3, $i, $e),
            unrolled!(@ 4, $i, $e),
            unrolled!(@ 5, $i, $e),
        ]
    };
    (@ $n:literal, $i:ident, $e:expr) => {{
        let $i: usize = $n;
        $e
    }};
}
pub(crate) use unrolled;

/// A computation written over any vectors.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// Computes; mark it `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// Vectors of `LANES` f32s. A value of the type is the proof that the processor has the instructions.
pub trait Simd: Copy {
    /// f32s in a vector.
    const LANES: usize;
    /// Vector registers: how large a tile the kernels hold.
    const REGISTERS: usize;
    /// A vector.
    type V: Copy;
    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// `LANES` f32s from `p`, of any alignment.
    /// # Safety
    /// They must be readable.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Asks for the cache line at `p`, any address, which will be read soon; where the instruction set has no way to, nothing.
    fn prefetch(self, p: *const f32) {
        let _ = p;
    }
    /// Writes `LANES` f32s to `p`, of any alignment.
    /// # Safety
    /// They must be writable.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// a + b
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a b
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a b + c, with one rounding where the processor can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// max(x, 0); NaN stays NaN.
    fn relu(self, x: Self::V) -> Self::V;
    /// g where x > 0 or x is NaN, otherwise 0: the gradient of `relu`.
    fn relu_grad(self, x: Self::V, g: Self::V) -> Self::V;

    /// The sum of the lanes.
    fn sum(self, v: Self::V) -> f32;

    /// `LANES` f64s.
    type Wide: Copy;
    /// All lanes `x`.
    fn wide_splat(self, x: f64) -> Self::Wide;
    /// v in f64.
    fn widen(self, v: Self::V) -> Self::Wide;
    /// v in f32, rounded.
    fn narrow(self, v: Self::Wide) -> Self::V;
    /// a + b
    fn wide_add(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// a b + c, with one rounding where the processor can.
    fn wide_fma(self, a: Self::Wide, b: Self::Wide, c: Self::Wide) -> Self::Wide;
    /// `LANES` f64s from `p`, of any alignment.
    /// # Safety
    /// They must be readable.
    unsafe fn wide_load(self, p: *const f64) -> Self::Wide;
    /// Writes `LANES` f64s to `p`, of any alignment.
    /// # Safety
    /// They must be writable.
    unsafe fn wide_store(self, p: *mut f64, v: Self::Wide);
}
