//! Vectors as arrays of 8, written lane by lane so that the compiler makes vectors of them: four-lane ones of SSE2 on x86-64 and
//! of NEON on aarch64, which both are part of the architecture.

use super::Simd;

/// Any machine has arrays.
#[derive(Clone, Copy)]
pub(super) struct Portable;

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
