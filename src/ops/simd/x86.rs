//! Vectors of AVX2 and AVX-512.

use super::{Kernel, Simd};
use core::arch::x86_64::*;

/// Made only by `run_avx2_half`, so the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
struct Avx2Half(());
/// Made only by `run_avx2`, so the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
struct Avx2(());
/// Made only by `run_avx512_quarter`, so the processor has AVX-512 F, BW, DQ and VL.
#[derive(Clone, Copy)]
struct Avx512Quarter(());
/// Made only by `run_avx512_half`, so the processor has AVX-512 F, BW, DQ and VL.
#[derive(Clone, Copy)]
struct Avx512Half(());
/// Made only by `run_avx512`, so the processor has AVX-512 F, BW, DQ and VL.
#[derive(Clone, Copy)]
struct Avx512(());

#[target_feature(enable = "avx2,fma")]
pub(super) fn run_avx2_half<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2Half(()))
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) fn run_avx512_quarter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512Quarter(()))
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
     |$sum:ident| $sum_lanes:expr, $wide:ty, $parts:literal, $wide_splat:ident, $wide_add:ident, $wide_fma:ident, $wide_load:ident, $wide_store:ident,
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

            type Wide = [$wide; $parts];
            #[inline(always)]
            fn wide_splat(self, x: f64) -> Self::Wide {
                unsafe { [$wide_splat(x); $parts] }
            }
            #[inline(always)]
            fn widen(self, $v32: $v) -> Self::Wide {
                unsafe { $widen }
            }
            #[inline(always)]
            fn narrow(self, $v64: Self::Wide) -> $v {
                unsafe { $narrow }
            }
            #[inline(always)]
            fn wide_add(self, mut a: Self::Wide, b: Self::Wide) -> Self::Wide {
                for i in 0..$parts {
                    a[i] = unsafe { $wide_add(a[i], b[i]) };
                }
                a
            }
            #[inline(always)]
            fn wide_fma(self, a: Self::Wide, b: Self::Wide, mut c: Self::Wide) -> Self::Wide {
                for i in 0..$parts {
                    c[i] = unsafe { $wide_fma(a[i], b[i], c[i]) };
                }
                c
            }
            #[inline(always)]
            unsafe fn wide_load(self, p: *const f64) -> Self::Wide {
                let mut v = self.wide_splat(0.0);
                for i in 0..$parts {
                    v[i] = unsafe { $wide_load(p.add(i * $lanes / $parts)) };
                }
                v
            }
            #[inline(always)]
            unsafe fn wide_store(self, p: *mut f64, v: Self::Wide) {
                for i in 0..$parts {
                    unsafe { $wide_store(p.add(i * $lanes / $parts), v[i]) }
                }
            }
        }
    };
}

/// The sum of four lanes.
#[target_feature(enable = "sse3")]
#[inline]
fn sum_of_four(v: __m128) -> f32 {
    let two = _mm_add_ps(v, _mm_movehl_ps(v, v));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

macro_rules! four_lanes {
    ($name:ident, $registers:literal) => {
        x86_vectors!(
            $name,
            __m128,
            4,
            $registers,
            _mm_set1_ps,
            _mm_loadu_ps,
            _mm_storeu_ps,
            _mm_add_ps,
            _mm_sub_ps,
            _mm_mul_ps,
            _mm_fmadd_ps,
            _mm_max_ps,
            _mm_setzero_ps,
            |x, g| _mm_and_ps(_mm_cmp_ps::<_CMP_NLE_UQ>(x, _mm_setzero_ps()), g),
            |v| sum_of_four(v),
            __m256d,
            1,
            _mm256_set1_pd,
            _mm256_add_pd,
            _mm256_fmadd_pd,
            _mm256_loadu_pd,
            _mm256_storeu_pd,
            |v| [_mm256_cvtps_pd(v)],
            |v| _mm256_cvtpd_ps(v[0])
        );
    };
}
four_lanes!(Avx2Half, 16);
four_lanes!(Avx512Quarter, 32);

macro_rules! eight_lanes {
    ($name:ident, $registers:literal, $($wide:tt)*) => {
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
            |v| sum_of_four(_mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v))),
            $($wide)*
        );
    };
}
eight_lanes!(
    Avx2,
    16,
    __m256d,
    2,
    _mm256_set1_pd,
    _mm256_add_pd,
    _mm256_fmadd_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    |v| [_mm256_cvtps_pd(_mm256_castps256_ps128(v)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(v))],
    |v| _mm256_set_m128(_mm256_cvtpd_ps(v[1]), _mm256_cvtpd_ps(v[0]))
);
eight_lanes!(
    Avx512Half,
    32,
    __m512d,
    1,
    _mm512_set1_pd,
    _mm512_add_pd,
    _mm512_fmadd_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    |v| [_mm512_cvtps_pd(v)],
    |v| _mm512_cvtpd_ps(v[0])
);
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
    2,
    _mm512_set1_pd,
    _mm512_add_pd,
    _mm512_fmadd_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    |v| [_mm512_cvtps_pd(_mm512_castps512_ps256(v)), _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(v))],
    |v| _mm512_insertf32x8::<1>(_mm512_castps256_ps512(_mm512_cvtpd_ps(v[0])), _mm512_cvtpd_ps(v[1]))
);
