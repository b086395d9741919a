//! The CUDA device: memory, kernels and graphs through the context and the stream that candle's tensors of the device use, so that
//! tensors and kernels come in the order in which they were begun.

use super::blocks::{Block, Blocks, Free};
use super::nvrtc::Nvrtc;
use super::units::Kernels;
use super::{Arithmetic, Gpu, Graph, Launch, Memory, Unit, check, units};
use crate::error::{Error, Result};
use crate::files::cache;
use candle_core::cuda_backend::cudarc::driver::sys::{self, CUdevice_attribute, CUfunction_attribute_enum, CUresult};
use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaStream, DevicePtr, DriverError, LaunchConfig, PushKernelArg, result,
};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::{CudaDevice, CudaStorage};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use xxhash_rust::xxh3::xxh3_128;

/// The device.
pub struct Cuda(Arc<Inner>);

struct Inner {
    /// Its handles of libraries panic when they are dropped after the device was lost; an open device is never dropped.
    _candle: CudaDevice,
    stream: Arc<CudaStream>,
    name: String,
    arithmetic: Arithmetic,
    shared: u32,
    nvrtc: Nvrtc,
    /// What kernels are compiled for.
    card: i32,
    kernels: Kernels<CudaFunction>,
    blocks: Blocks,
    /// Who began something last: candle's stream is one of the calling thread.
    thread: Mutex<ThreadId>,
    launches: AtomicU64,
}

impl Cuda {
    /// The device behind candle's, with all kernels.
    ///
    /// # Errors
    /// A compute capability below 7.0; no NVRTC that fits the card and the driver.
    pub fn open(device: &CudaDevice, strict: bool) -> Result<Self> {
        Cuda::of(device, strict, units)
    }

    /// With kernels of these units.
    pub fn of(device: &CudaDevice, strict: bool, units: impl FnOnce(Arithmetic) -> Result<Vec<Unit>>) -> Result<Self> {
        let stream = device.cuda_stream();
        let context = stream.context();
        let asked = |e| words("a GPU", e);
        let name = context.name().map_err(asked)?;
        let (major, minor) = context.compute_capability().map_err(asked)?;
        if major < 7 {
            let got = format!("{name}, of compute capability {major}.{minor}");
            return Err(Error::invalid("--device", got, "a GPU of compute capability 7.0 or later, or --device cpu"));
        }
        let most_shared = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
        let shared = context.attribute(most_shared).map_err(asked)? as u32;
        let mut driver = 0;
        // SAFETY: It writes a number there.
        unsafe { sys::cuDriverGetVersion(&mut driver) }.result().map_err(asked)?;
        let capability = 10 * major + minor;
        let nvrtc = Nvrtc::find(capability, driver / 1000)
            .map_err(|e| e.at(format!("{name}, driver of CUDA {}.{}", driver / 1000, driver % 1000 / 10)))?;
        let card = nvrtc.card(capability).unwrap_or(capability);
        let arithmetic = match strict {
            true => Arithmetic::Exact,
            false if major >= 8 => Arithmetic::Split,
            false => Arithmetic::Single,
        };
        Ok(Cuda(Arc::new(Inner {
            _candle: device.clone(),
            name,
            arithmetic,
            shared,
            nvrtc,
            card,
            kernels: Kernels::new(units(arithmetic)?),
            blocks: Blocks::default(),
            thread: Mutex::new(std::thread::current().id()),
            launches: AtomicU64::new(0),
            stream,
        })))
    }
}

impl Gpu for Cuda {
    fn name(&self) -> String {
        self.0.name.clone()
    }

    fn arithmetic(&self) -> Arithmetic {
        self.0.arithmetic
    }

    fn memory(&self) -> Option<(usize, usize)> {
        self.0.context().mem_get_info().ok()
    }

    fn shared(&self) -> u32 {
        self.0.shared
    }

    fn alloc(&self, what: &str, bytes: usize) -> Result<Memory> {
        self.0.begin()?;
        // SAFETY: Nobody reads it before it is written; `free` gives it back. None has no bytes.
        let alloc = || unsafe { result::malloc_sync(bytes.max(1)) };
        let address = alloc().or_else(|e| match e.0 {
            // What candle freed is the system's again once all is done.
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => self.0.context().synchronize().and_then(|()| alloc()),
            _ => Err(e),
        });
        let address = address.map_err(|e| match (e.0, self.memory()) {
            (CUresult::CUDA_ERROR_OUT_OF_MEMORY, Some((free, total))) => {
                let [bytes, free, total] = [bytes, free, total].map(|n| n.div_ceil(1 << 20));
                let got = format!("{bytes} MiB for {what}, where {free} of {total} MiB are free");
                Error::invalid(format!("memory of {}", self.0.name), got, "less: lower batch_size, channels or cells")
            }
            _ => words(&format!("memory for {what}"), e),
        })?;
        self.0.blocks.lock().insert(address, Block { what: what.to_string(), len: bytes });
        Ok(Memory::new(address, bytes, self.0.clone()))
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        self.0.blocks.check("upload", to, bytes.len())?;
        self.0.begin()?;
        // SAFETY: The memory is there. Bytes that are not pinned are copied aside before the call comes back.
        let sent = unsafe { result::memcpy_htod_async(to, bytes, self.0.stream.cu_stream()) };
        sent.map_err(|e| words("upload", e))
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        self.0.blocks.check("download", from, bytes.len())?;
        self.0.begin()?;
        // SAFETY: The memory is there, and `bytes` until the copy is done.
        let sent = unsafe { result::memcpy_dtoh_async(bytes, from, self.0.stream.cu_stream()) };
        // Waited for in any case: a copy may be under way.
        self.0.stream.synchronize().and(sent).map_err(|e| words("download", e))
    }

    fn zero(&self, from: u64, bytes: usize) -> Result<()> {
        self.0.blocks.check("zero", from, bytes)?;
        self.0.begin()?;
        // SAFETY: The memory is there.
        unsafe { result::memset_d8_async(from, 0, bytes, self.0.stream.cu_stream()) }.map_err(|e| words("zero", e))
    }

    fn launch(&self, launches: &[Launch], pass: u64) -> Result<()> {
        let kernels = self.0.kernels(launches)?;
        self.0.begin()?;
        self.0.launches.fetch_add(launches.len() as u64, Ordering::Relaxed);
        self.0.launch(launches, &kernels, pass)
    }

    fn graph(&self, launches: &[Launch], pass: u64) -> Result<Box<dyn Graph>> {
        let kernels = self.0.kernels(launches)?;
        self.0.begin()?;
        let wrong = |e| words("a graph of kernels", e);
        // Of this thread, so that others may allocate meanwhile.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        self.0.stream.begin_capture(mode).map_err(wrong)?;
        let sent = self.0.launch(launches, &kernels, pass);
        // The stream captures until it is told to end, whatever went wrong.
        let graph = self.0.stream.end_capture(sys::CUgraphInstantiate_flags_enum(0));
        sent?;
        let nothing = || Error::invalid("a graph of kernels", "nothing from the driver", "a graph");
        let graph = graph.map_err(wrong)?.ok_or_else(nothing)?;
        graph.upload().map_err(wrong)?;
        Ok(Box::new(Captured {
            device: self.0.clone(),
            graph: Mutex::new(Owned(graph)),
            kernels: launches.len() as u64,
        }))
    }

    fn synchronize(&self) -> Result<()> {
        self.0.begin()?;
        self.0.stream.synchronize().map_err(|e| words("kernels", e))
    }

    fn held(&self) -> usize {
        self.0.blocks.lock().values().map(|block| block.len).sum()
    }

    fn launches(&self) -> u64 {
        self.0.launches.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn context(&self) -> &Arc<CudaContext> {
        self.stream.context()
    }

    /// Before anything is begun: what another thread began, on a stream of its own, is done before.
    fn begin(&self) -> Result<()> {
        let this = std::thread::current().id();
        let mut last = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = match *last == this {
            true => self.context().bind_to_thread(),
            false => self.context().synchronize(),
        };
        *last = this;
        ready.map_err(|e| words("a GPU", e))
    }

    fn kernels(&self, launches: &[Launch]) -> Result<Vec<CudaFunction>> {
        check(launches, self.shared)?;
        self.kernels.of(launches, |unit| self.load(unit))
    }

    /// The kernels of a unit, compiled where the cache does not have them.
    fn load(&self, unit: &Unit) -> Result<Vec<CudaFunction>> {
        let key = format!("{}{}", self.nvrtc.key(self.card), unit.text);
        let key = format!("cubin-{:032x}", xxh3_128(key.as_bytes()));
        let cubin = match cache::get(&key) {
            Some(cubin) => cubin,
            None => {
                let cubin = self.nvrtc.compile(unit, self.card)?.bytes;
                cache::put(&key, &cubin);
                cubin
            }
        };
        let wrong = |e| words(&format!("kernels of {}, by {}", unit.name, self.nvrtc), e);
        let module = self.context().load_module(Ptx::from_binary(cubin)).map_err(wrong)?;
        let kernel = |name: &String| {
            let function = module.load_function(name)?;
            // Without, a launch has at most 48 KiB.
            let most = CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            function.set_attribute(most, self.shared as i32 - function.shared_size_bytes()?)?;
            Ok(function)
        };
        unit.kernels.iter().map(kernel).collect::<std::result::Result<_, DriverError>>().map_err(wrong)
    }

    fn launch(&self, launches: &[Launch], kernels: &[CudaFunction], pass: u64) -> Result<()> {
        for (launch, kernel) in launches.iter().zip(kernels) {
            let config = LaunchConfig {
                grid_dim: (launch.blocks, 1, 1),
                block_dim: (256, 1, 1),
                shared_mem_bytes: launch.shared,
            };
            let mut call = self.stream.launch_builder(kernel);
            call.arg(&launch.jobs).arg(&launch.work).arg(&pass);
            // SAFETY: All kernels have these three arguments. What they do with the addresses in their jobs is for them and
            // their caller to get right; the emulator is where that is seen.
            unsafe { call.launch(config) }.map_err(|e| words(&format!("kernel {}", launch.kernel), e))?;
        }
        Ok(())
    }
}

impl Free for Inner {
    fn free(&self, address: u64) {
        self.blocks.lock().remove(&address);
        let context = self.context();
        context.record_err(context.bind_to_thread());
        // SAFETY: `alloc` gave it; the driver waits for what still uses it.
        context.record_err(unsafe { result::free_sync(address) });
    }
}

/// A CUDA graph.
struct Captured {
    device: Arc<Inner>,
    graph: Mutex<Owned>,
    kernels: u64,
}

struct Owned(CudaGraph);

// SAFETY: The driver lets any thread use a graph, one at a time: that is what the mutex is for.
unsafe impl Send for Owned {}

impl Graph for Captured {
    fn launch(&self) -> Result<()> {
        self.device.begin()?;
        self.device.launches.fetch_add(self.kernels, Ordering::Relaxed);
        let graph = self.graph.lock().unwrap_or_else(PoisonError::into_inner);
        graph.0.launch().map_err(|e| words("a graph of kernels", e))
    }
}

/// Where the values of a tensor begin.
pub(super) fn start(values: &CudaStorage) -> Result<u64> {
    let stream = values.device.cuda_stream();
    let (start, _) = values.as_cuda_slice::<f32>()?.device_ptr(&stream);
    Ok(start)
}

/// What the driver refused, and what to do about it.
fn words(what: &str, error: DriverError) -> Error {
    let expected = match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => "enough memory: lower batch_size, channels or cells",
        CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU
        | CUresult::CUDA_ERROR_INVALID_IMAGE
        | CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => "a driver that is not older than this NVRTC",
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
        | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
        | CUresult::CUDA_ERROR_LAUNCH_FAILED
        | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
        | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
        | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
        | CUresult::CUDA_ERROR_SYSTEM_NOT_READY
        | CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE
        | CUresult::CUDA_ERROR_UNKNOWN => {
            "a GPU that works: this one is lost to the program, which has to start anew; the last checkpoint stands"
        }
        _ => "no error of the driver",
    };
    Error::invalid(what, error, expected)
}
