//! Vectors of f32, chosen at run time: AVX-512, AVX2 with FMA, NEON or portable arrays.
//!
//! A kernel is written once, over `S: Simd`, as a [`Kernel`]; [`Level::run`] compiles it once for each instruction set.
//! Everything a kernel calls must be `#[inline(always)]`, or it is compiled without the instruction set.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An instruction set that this machine has. Wider is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Arrays of 8, left to the compiler.
    Portable,
    /// 4 lanes.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// 8 lanes, AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
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
    /// What this machine has, narrowest first; never empty.
    pub fn available() -> Vec<Level> {
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "aarch64")]
        levels.push(Level::Neon);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Level::Avx2);
            if ["f", "bw", "dq", "vl"].iter().all(|f| has_avx512(f)) {
                levels.extend([Level::Avx512Half, Level::Avx512]);
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

    /// From now on [`Level::best`] is this one, or the next narrower that this machine has: networks made before keep the
    /// vectors of their convolutions. For tests of every level on one machine.
    pub fn limit(level: Level) {
        let up_to = Level::available().iter().filter(|&&l| l <= level).count();
        WIDEST.store(up_to.max(1) - 1, Ordering::Relaxed);
    }

    /// f32s in a vector.
    pub const fn lanes(self) -> usize {
        match self {
            Level::Portable => 8,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => 4,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::Avx512Half => 8,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => 16,
        }
    }

    /// The widest level up to this one whose vectors divide `channels` (a multiple of 8).
    pub fn dividing(self, channels: usize) -> Level {
        #[cfg(target_arch = "x86_64")]
        if self == Level::Avx512 && !channels.is_multiple_of(16) {
            return Level::Avx512Half;
        }
        let _ = channels;
        self
    }

    /// Runs a kernel with the vectors of this level, which must be one of [`Level::available`].
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Level::Portable => kernel.run(Portable),
            // SAFETY: NEON is part of aarch64.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { neon::run(kernel) },
            // SAFETY: the level is available, as `available` found by asking the processor.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { x86::run_avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Half => unsafe { x86::run_avx512_half(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { x86::run_avx512(kernel) },
        }
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

#[derive(Clone, Copy)]
struct Portable;

macro_rules! lanewise {
    ($f:expr) => {
        std::array::from_fn(
            #[inline(always)]
            |i| $f(i),
        )
    };
}

impl Simd for Portable {
    const LANES: usize = 8;
    const REGISTERS: usize = 8;
    type V = [f32; 8];
    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 8] {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [f32; 8] {
        // SAFETY: readable, by the caller's word.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: [f32; 8]) {
        // SAFETY: writable, by the caller's word.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    fn add(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        lanewise!(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        lanewise!(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        lanewise!(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn fma(self, a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        lanewise!(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn relu(self, x: [f32; 8]) -> [f32; 8] {
        lanewise!(|i: usize| if x[i] < 0.0 { 0.0 } else { x[i] })
    }
    #[inline(always)]
    fn relu_grad(self, x: [f32; 8], g: [f32; 8]) -> [f32; 8] {
        lanewise!(|i: usize| if x[i] <= 0.0 { 0.0 } else { g[i] })
    }

    #[inline(always)]
    fn sum(self, v: [f32; 8]) -> f32 {
        let four = [v[0] + v[4], v[1] + v[5], v[2] + v[6], v[3] + v[7]];
        (four[0] + four[2]) + (four[1] + four[3])
    }

    type Wide = [f64; 8];
    #[inline(always)]
    fn wide_splat(self, x: f64) -> [f64; 8] {
        [x; 8]
    }
    #[inline(always)]
    fn widen(self, v: [f32; 8]) -> [f64; 8] {
        lanewise!(|i: usize| f64::from(v[i]))
    }
    #[inline(always)]
    fn narrow(self, v: [f64; 8]) -> [f32; 8] {
        lanewise!(|i: usize| v[i] as f32)
    }
    #[inline(always)]
    fn wide_add(self, a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        lanewise!(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn wide_fma(self, a: [f64; 8], b: [f64; 8], c: [f64; 8]) -> [f64; 8] {
        lanewise!(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn wide_load(self, p: *const f64) -> [f64; 8] {
        // SAFETY: readable, by the caller's word.
        unsafe { p.cast::<[f64; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn wide_store(self, p: *mut f64, v: [f64; 8]) {
        // SAFETY: writable, by the caller's word.
        unsafe { p.cast::<[f64; 8]>().write_unaligned(v) }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernel, Simd};
    use core::arch::x86_64::*;

    /// Made only by `run_avx2`, so the processor has AVX2 and FMA.
    #[derive(Clone, Copy)]
    struct Avx2(());
    /// Made only by `run_avx512_half`, so the processor has AVX-512 F, BW, DQ and VL.
    #[derive(Clone, Copy)]
    struct Avx512Half(());
    /// Made only by `run_avx512`, so the processor has AVX-512 F, BW, DQ and VL.
    #[derive(Clone, Copy)]
    struct Avx512(());

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run(Avx2(()))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) fn run_avx512_half<K: Kernel>(kernel: K) -> K::Output {
        kernel.run(Avx512Half(()))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run(Avx512(()))
    }

    macro_rules! x86_vectors {
        ($name:ident, $v:ty, $lanes:literal, $registers:literal, $splat:ident, $load:ident, $store:ident, $add:ident,
         $sub:ident, $mul:ident, $fma:ident, $max:ident, $zero:ident, |$x:ident, $g:ident| $relu_grad:expr,
         |$sum:ident| $sum_lanes:expr, $wide:ty, $wide_splat:ident, $wide_add:ident, $wide_fma:ident, $wide_load:ident, $wide_store:ident,
         |$v32:ident| $widen:expr, |$v64:ident| $narrow:expr) => {
            // SAFETY (of every block here): the token proves the instruction set; pointers are the caller's word.
            #[allow(clippy::undocumented_unsafe_blocks)]
            impl Simd for $name {
                const LANES: usize = $lanes;
                const REGISTERS: usize = $registers;
                type V = $v;
                #[inline(always)]
                fn splat(self, x: f32) -> $v {
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                fn prefetch(self, p: *const f32) {
                    // SAFETY: any address will do.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
                }
                #[inline(always)]
                unsafe fn load(self, p: *const f32) -> $v {
                    unsafe { $load(p) }
                }
                #[inline(always)]
                unsafe fn store(self, p: *mut f32, v: $v) {
                    unsafe { $store(p, v) }
                }
                #[inline(always)]
                fn add(self, a: $v, b: $v) -> $v {
                    unsafe { $add(a, b) }
                }
                #[inline(always)]
                fn sub(self, a: $v, b: $v) -> $v {
                    unsafe { $sub(a, b) }
                }
                #[inline(always)]
                fn mul(self, a: $v, b: $v) -> $v {
                    unsafe { $mul(a, b) }
                }
                #[inline(always)]
                fn fma(self, a: $v, b: $v, c: $v) -> $v {
                    unsafe { $fma(a, b, c) }
                }
                #[inline(always)]
                fn relu(self, x: $v) -> $v {
                    // The instruction returns its second operand when either is NaN.
                    unsafe { $max($zero(), x) }
                }
                #[inline(always)]
                fn relu_grad(self, $x: $v, $g: $v) -> $v {
                    unsafe { $relu_grad }
                }

                #[inline(always)]
                fn sum(self, $sum: $v) -> f32 {
                    unsafe { $sum_lanes }
                }

                type Wide = [$wide; 2];
                #[inline(always)]
                fn wide_splat(self, x: f64) -> [$wide; 2] {
                    unsafe { [$wide_splat(x); 2] }
                }
                #[inline(always)]
                fn widen(self, $v32: $v) -> [$wide; 2] {
                    unsafe { $widen }
                }
                #[inline(always)]
                fn narrow(self, $v64: [$wide; 2]) -> $v {
                    unsafe { $narrow }
                }
                #[inline(always)]
                fn wide_add(self, a: [$wide; 2], b: [$wide; 2]) -> [$wide; 2] {
                    unsafe { [$wide_add(a[0], b[0]), $wide_add(a[1], b[1])] }
                }
                #[inline(always)]
                fn wide_fma(self, a: [$wide; 2], b: [$wide; 2], c: [$wide; 2]) -> [$wide; 2] {
                    unsafe { [$wide_fma(a[0], b[0], c[0]), $wide_fma(a[1], b[1], c[1])] }
                }
                #[inline(always)]
                unsafe fn wide_load(self, p: *const f64) -> [$wide; 2] {
                    unsafe { [$wide_load(p), $wide_load(p.add($lanes / 2))] }
                }
                #[inline(always)]
                unsafe fn wide_store(self, p: *mut f64, v: [$wide; 2]) {
                    unsafe {
                        $wide_store(p, v[0]);
                        $wide_store(p.add($lanes / 2), v[1]);
                    }
                }
            }
        };
    }

    macro_rules! eight_lanes {
        ($name:ident, $registers:literal) => {
            x86_vectors!(
                $name,
                __m256,
                8,
                $registers,
                _mm256_set1_ps,
                _mm256_loadu_ps,
                _mm256_storeu_ps,
                _mm256_add_ps,
                _mm256_sub_ps,
                _mm256_mul_ps,
                _mm256_fmadd_ps,
                _mm256_max_ps,
                _mm256_setzero_ps,
                |x, g| _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(x, _mm256_setzero_ps()), g),
                |v| {
                    let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
                    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
                },
                __m256d,
                _mm256_set1_pd,
                _mm256_add_pd,
                _mm256_fmadd_pd,
                _mm256_loadu_pd,
                _mm256_storeu_pd,
                |v| [_mm256_cvtps_pd(_mm256_castps256_ps128(v)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(v))],
                |v| _mm256_set_m128(_mm256_cvtpd_ps(v[1]), _mm256_cvtpd_ps(v[0]))
            );
        };
    }
    eight_lanes!(Avx2, 16);
    eight_lanes!(Avx512Half, 32);
    x86_vectors!(
        Avx512,
        __m512,
        16,
        32,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps,
        _mm512_max_ps,
        _mm512_setzero_ps,
        |x, g| _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, _mm512_setzero_ps()), g),
        |v| _mm512_reduce_add_ps(v),
        __m512d,
        _mm512_set1_pd,
        _mm512_add_pd,
        _mm512_fmadd_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        |v| [_mm512_cvtps_pd(_mm512_castps512_ps256(v)), _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(v))],
        |v| _mm512_insertf32x8::<1>(_mm512_castps256_ps512(_mm512_cvtpd_ps(v[0])), _mm512_cvtpd_ps(v[1]))
    );
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::{Kernel, Simd};
    use core::arch::aarch64::*;

    #[derive(Clone, Copy)]
    struct Neon(());

    #[target_feature(enable = "neon")]
    pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
        kernel.run(Neon(()))
    }

    // SAFETY (of every block here): NEON is part of aarch64; pointers are the caller's word.
    #[allow(clippy::undocumented_unsafe_blocks, unused_unsafe)]
    impl Simd for Neon {
        const LANES: usize = 4;
        const REGISTERS: usize = 32;
        type V = float32x4_t;
        #[inline(always)]
        fn splat(self, x: f32) -> float32x4_t {
            unsafe { vdupq_n_f32(x) }
        }
        #[inline(always)]
        unsafe fn load(self, p: *const f32) -> float32x4_t {
            unsafe { vld1q_f32(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32, v: float32x4_t) {
            unsafe { vst1q_f32(p, v) }
        }
        #[inline(always)]
        fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vaddq_f32(a, b) }
        }
        #[inline(always)]
        fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vsubq_f32(a, b) }
        }
        #[inline(always)]
        fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vmulq_f32(a, b) }
        }
        #[inline(always)]
        fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            unsafe { vfmaq_f32(c, a, b) }
        }
        #[inline(always)]
        fn relu(self, x: float32x4_t) -> float32x4_t {
            unsafe { vmaxq_f32(x, vdupq_n_f32(0.0)) }
        }
        #[inline(always)]
        fn relu_grad(self, x: float32x4_t, g: float32x4_t) -> float32x4_t {
            unsafe {
                let off = vcleq_f32(x, vdupq_n_f32(0.0));
                vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(g), off))
            }
        }

        #[inline(always)]
        fn sum(self, v: float32x4_t) -> f32 {
            unsafe { vaddvq_f32(v) }
        }

        type Wide = [float64x2_t; 2];
        #[inline(always)]
        fn wide_splat(self, x: f64) -> [float64x2_t; 2] {
            unsafe { [vdupq_n_f64(x); 2] }
        }
        #[inline(always)]
        fn widen(self, v: float32x4_t) -> [float64x2_t; 2] {
            unsafe { [vcvt_f64_f32(vget_low_f32(v)), vcvt_high_f64_f32(v)] }
        }
        #[inline(always)]
        fn narrow(self, v: [float64x2_t; 2]) -> float32x4_t {
            unsafe { vcvt_high_f32_f64(vcvt_f32_f64(v[0]), v[1]) }
        }
        #[inline(always)]
        fn wide_add(self, a: [float64x2_t; 2], b: [float64x2_t; 2]) -> [float64x2_t; 2] {
            unsafe { [vaddq_f64(a[0], b[0]), vaddq_f64(a[1], b[1])] }
        }
        #[inline(always)]
        fn wide_fma(self, a: [float64x2_t; 2], b: [float64x2_t; 2], c: [float64x2_t; 2]) -> [float64x2_t; 2] {
            unsafe { [vfmaq_f64(c[0], a[0], b[0]), vfmaq_f64(c[1], a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn wide_load(self, p: *const f64) -> [float64x2_t; 2] {
            unsafe { [vld1q_f64(p), vld1q_f64(p.add(2))] }
        }
        #[inline(always)]
        unsafe fn wide_store(self, p: *mut f64, v: [float64x2_t; 2]) {
            unsafe {
                vst1q_f64(p, v[0]);
                vst1q_f64(p.add(2), v[1]);
            }
        }
    }
}
