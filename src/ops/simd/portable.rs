//! Vectors as arrays of 4 or 8, written lane by lane so that the compiler makes vectors of them: four-lane ones of SSE2 on x86-64 and
//! of NEON on aarch64, which both are part of the architecture.

use super::Simd;

/// Any machine has arrays.
#[derive(Clone, Copy)]
pub(super) struct Portable<const N: usize>;

macro_rules! lanewise {
    ($f:expr) => {
        std::array::from_fn(
            #[inline(always)]
            |i| $f(i),
        )
    };
}

impl<const N: usize> Simd for Portable<N> {
    const LANES: usize = N;
    const REGISTERS: usize = 8;
    type V = [f32; N];
    #[inline(always)]
    fn splat(self, x: f32) -> [f32; N] {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [f32; N] {
        // SAFETY: readable, by the caller's word.
        unsafe { p.cast::<[f32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: [f32; N]) {
        // SAFETY: writable, by the caller's word.
        unsafe { p.cast::<[f32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    fn add(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        lanewise!(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        lanewise!(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        lanewise!(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn fma(self, a: [f32; N], b: [f32; N], c: [f32; N]) -> [f32; N] {
        lanewise!(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn relu(self, x: [f32; N]) -> [f32; N] {
        lanewise!(|i: usize| if x[i] < 0.0 { 0.0 } else { x[i] })
    }
    #[inline(always)]
    fn relu_grad(self, x: [f32; N], g: [f32; N]) -> [f32; N] {
        lanewise!(|i: usize| if x[i] <= 0.0 { 0.0 } else { g[i] })
    }

    #[inline(always)]
    fn sum(self, v: [f32; N]) -> f32 {
        let mut four = [0.0; 4];
        for i in 0..N {
            four[i % 4] += v[i];
        }
        (four[0] + four[2]) + (four[1] + four[3])
    }

    type Wide = [f64; N];
    #[inline(always)]
    fn wide_splat(self, x: f64) -> [f64; N] {
        [x; N]
    }
    #[inline(always)]
    fn widen(self, v: [f32; N]) -> [f64; N] {
        lanewise!(|i: usize| f64::from(v[i]))
    }
    #[inline(always)]
    fn narrow(self, v: [f64; N]) -> [f32; N] {
        lanewise!(|i: usize| v[i] as f32)
    }
    #[inline(always)]
    fn wide_add(self, a: [f64; N], b: [f64; N]) -> [f64; N] {
        lanewise!(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn wide_fma(self, a: [f64; N], b: [f64; N], c: [f64; N]) -> [f64; N] {
        lanewise!(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn wide_load(self, p: *const f64) -> [f64; N] {
        // SAFETY: readable, by the caller's word.
        unsafe { p.cast::<[f64; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn wide_store(self, p: *mut f64, v: [f64; N]) {
        // SAFETY: writable, by the caller's word.
        unsafe { p.cast::<[f64; N]>().write_unaligned(v) }
    }
}
