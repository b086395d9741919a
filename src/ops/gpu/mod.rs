//! What the engine knows of a GPU: memory, launches of kernels in their order, graphs of them. Two devices do this: CUDA, and
//! an emulator that runs the same kernels on the CPU, for tests.
//!
//! Kernels get `(const Job* jobs, const int2* work, const Pass* pass)`, always with 256 threads a block (`jobs.cuh`).

mod blocks;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod emulated;
pub mod jobs;
pub mod nvrtc;
mod units;

pub use blocks::Memory;
pub use units::{Arithmetic, Unit, units, units_with};

use crate::error::{Error, Result};
use bytemuck::Pod;
use candle_core::{DType, Device, DeviceLocation, Storage, Tensor};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// One kernel over `blocks` blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its name.
    pub kernel: &'static str,
    /// Where its jobs stand on the device.
    pub jobs: u64,
    /// Where its work stands: two i32 for each block, its job and its place in it.
    pub work: u64,
    /// At least one.
    pub blocks: u32,
    /// Bytes of shared memory that a block has.
    pub shared: u32,
}

/// Launches that run as one.
pub trait Graph: Send + Sync {
    /// Run them, after all that was begun before.
    fn launch(&self) -> Result<()>;
}

/// A device with kernels for one arithmetic. All that is begun here is done in its order; nothing but `download` and `synchronize`
/// waits. Addresses in jobs are the caller's to get right; the emulator tells of those that are not.
pub trait Gpu: Send + Sync {
    /// Of the card.
    fn name(&self) -> String;

    /// How its convolutions multiply.
    fn arithmetic(&self) -> Arithmetic;

    /// Bytes that are free, and all there are; nothing where the device has none of its own.
    fn memory(&self) -> Option<(usize, usize)>;

    /// Whether it tells of what is read or written beside a piece of memory: then each buffer is one.
    fn guards(&self) -> bool {
        false
    }

    /// The most shared memory a block can have, in bytes.
    fn shared(&self) -> u32;

    /// `what` it is for stands in messages.
    fn alloc(&self, what: &str, bytes: usize) -> Result<Memory>;

    /// Copy to the device; `bytes` is free at once.
    fn upload(&self, to: u64, bytes: &[u8]) -> Result<()>;

    /// Copy from the device; waits for all that was begun before.
    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()>;

    /// Fill with zeros.
    fn zero(&self, from: u64, bytes: usize) -> Result<()>;

    /// Run kernels one after the other.
    fn launch(&self, launches: &[Launch], pass: u64) -> Result<()>;

    /// Kernels to be run one after the other, many times.
    fn graph(&self, launches: &[Launch], pass: u64) -> Result<Box<dyn Graph>>;

    /// Wait for all that was begun, and tell what went wrong in it.
    fn synchronize(&self) -> Result<()>;

    /// Kernels run since the device was opened, those of graphs, too.
    fn launches(&self) -> u64;

    /// Bytes that are held of it now.
    fn held(&self) -> usize;

    /// Seconds of each of these kernels by itself, run over and over.
    fn time(&self, launches: &[Launch], pass: u64) -> Result<Vec<f64>> {
        const TIMES: usize = 20;
        let one = |launch: &Launch| {
            self.launch(&[*launch], pass)?;
            self.synchronize()?;
            let start = Instant::now();
            self.launch(&[*launch; TIMES], pass)?;
            self.synchronize()?;
            Ok(start.elapsed().as_secs_f64() / TIMES as f64)
        };
        launches.iter().map(one).collect()
    }
}

static EMULATED: AtomicBool = AtomicBool::new(false);

/// From now on the CPU stands in for a GPU.
pub fn emulate() {
    EMULATED.store(true, Ordering::Relaxed);
}

/// The devices that are open. One is opened once: its kernels stay loaded.
static OPEN: Mutex<Vec<(DeviceLocation, bool, Arc<dyn Gpu>)>> = Mutex::new(Vec::new());

/// The GPU that `device` is, or none; `strict` takes [`Arithmetic::Exact`].
///
/// # Errors
/// A card that is too old; on the emulator, a word in `ISDARTS_EMULATOR` that it does not know.
pub fn of(device: &Device, strict: bool) -> Result<Option<Arc<dyn Gpu>>> {
    if device.is_cpu() && !EMULATED.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let location = device.location();
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((.., gpu)) = open.iter().find(|known| (known.0, known.1) == (location, strict)) {
        return Ok(Some(gpu.clone()));
    }
    let gpu: Arc<dyn Gpu> = match device {
        Device::Cpu => Arc::new(emulated::Emulated::open(strict)?),
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => Arc::new(cuda::Cuda::open(device, strict)?),
        _ => return Ok(None),
    };
    open.push((location, strict, gpu.clone()));
    Ok(Some(gpu))
}

/// Kernels run since the program started, on all devices.
pub fn launches() -> u64 {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(.., gpu)| gpu.launches()).sum()
}

/// Bytes that are held now, on all devices.
pub fn held() -> usize {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(.., gpu)| gpu.held()).sum()
}

/// Where the values of a contiguous f32 tensor stand on its device, for kernels. Good as long as the tensor lives, and only what
/// nobody else reads may be written.
pub fn address(tensor: &Tensor) -> Result<u64> {
    if !tensor.is_contiguous() || tensor.dtype() != DType::F32 {
        let got = format!("{:?} with strides {:?}", tensor.dtype(), tensor.stride());
        return Err(Error::invalid("a tensor for kernels", got, "contiguous f32"));
    }
    let (storage, layout) = tensor.storage_and_layout();
    let start = match &*storage {
        Storage::Cpu(values) => values.as_slice::<f32>()?.as_ptr() as u64,
        #[cfg(feature = "cuda")]
        Storage::Cuda(values) => cuda::start(values)?,
        _ => {
            return Err(Error::invalid(
                "a tensor for kernels",
                "one of another device",
                "one on the CPU or a CUDA device",
            ));
        }
    };
    Ok(start + (layout.start_offset() * size_of::<f32>()) as u64)
}

/// Copies numbers to the device.
pub fn upload<T: Pod>(gpu: &dyn Gpu, to: u64, values: &[T]) -> Result<()> {
    if values.is_empty() { Ok(()) } else { gpu.upload(to, bytemuck::cast_slice(values)) }
}

/// Copies so many numbers from the device; waits for all that was begun before.
pub fn download<T: Pod>(gpu: &dyn Gpu, from: u64, n: usize) -> Result<Vec<T>> {
    let mut values = vec![T::zeroed(); n];
    if n > 0 {
        gpu.download(from, bytemuck::cast_slice_mut(&mut values))?;
    }
    Ok(values)
}

/// What every device refuses.
fn check(launches: &[Launch], most_shared: u32) -> Result<()> {
    for launch in launches {
        let wrong =
            |got: String, expected: String| Err(Error::invalid(format!("kernel {}", launch.kernel), got, expected));
        if launch.blocks == 0 {
            return wrong("0 blocks".into(), "at least one".into());
        }
        if launch.shared > most_shared {
            let expected = format!("at most {most_shared} on this device");
            return wrong(format!("{} bytes of shared memory a block", launch.shared), expected);
        }
    }
    Ok(())
}
