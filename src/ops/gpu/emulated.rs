//! A GPU on the CPU, for tests: the C++ compiler makes a library of each unit of kernels, with `emulator.h` in CUDA's place.
//!
//! What a real device passes over is an error here: an access beside a piece of memory, one of several ways to lose one's way in a
//! barrier, a vector at an address that is not aligned. What nobody has written is NaN.

use super::blocks::{Block, Blocks, Free};
use super::units::Kernels;
use super::{Arithmetic, Gpu, Graph, Launch, Memory, Unit, check, units};
use crate::error::{Error, Result};
use crate::files::{cache, unique};
use libloading::Library;
use std::alloc::{Layout, alloc, dealloc};
use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice::{from_raw_parts, from_raw_parts_mut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use xxhash_rust::xxh3::xxh3_128;

/// The order of blocks, warps and lanes. What is right does not depend on it: compare the bits of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// The first first.
    Forward = 0,
    /// The last first.
    Reversed = 1,
}

/// The device.
pub struct Emulated(Arc<Inner>);

struct Inner {
    arithmetic: Arithmetic,
    schedule: Schedule,
    /// Whether several buffers may lie in one piece of memory, as on a card.
    packed: bool,
    kernels: Kernels<Kernel>,
    blocks: Blocks,
    /// What was found where it could not be told.
    spoiled: Mutex<Option<Error>>,
    launches: AtomicU64,
}

/// As `KERNEL` of `emulator.h` makes it: blocks, shared, jobs, work, pass, reversed, threads, error, its length; 0 if all went well.
type Body = unsafe extern "C" fn(
    c_uint,
    c_uint,
    *const c_void,
    *const c_void,
    *const c_void,
    c_int,
    c_int,
    *mut c_char,
    usize,
) -> c_int;

#[derive(Clone)]
struct Kernel {
    body: Body,
    /// Where it stands.
    _library: Arc<Library>,
}

/// Bytes on both sides of each piece of memory that nobody may write.
const ZONE: usize = 4096;
/// They are NaN as f32 and as f64, and nothing that a kernel makes.
const GUARD: [u8; 4] = 0xfff0_dead_u32.to_le_bytes();
/// What cards of compute capability 8.6 have; those with more are no measure.
const SHARED: u32 = 99 << 10;
const EMULATOR: &str = include_str!("emulator.h");
const ERROR_LEN: usize = 512;

impl Emulated {
    /// All kernels, as `ISDARTS_EMULATOR` says: `reversed` for the other schedule, `single` for cards without TF32,
    /// `packed` for a pass whose buffers lie where they lie on a card, without guards between them.
    ///
    /// # Errors
    /// Another word there.
    pub fn open(strict: bool) -> Result<Self> {
        let (mut schedule, mut arithmetic, mut packed) = (Schedule::Forward, Arithmetic::Split, false);
        for word in std::env::var("ISDARTS_EMULATOR").unwrap_or_default().split(',').filter(|word| !word.is_empty()) {
            match word {
                "reversed" => schedule = Schedule::Reversed,
                "single" => arithmetic = Arithmetic::Single,
                "packed" => packed = true,
                _ => {
                    return Err(Error::unknown_name(
                        "word in ISDARTS_EMULATOR",
                        word,
                        ["packed", "reversed", "single"],
                    ));
                }
            }
        }
        if strict {
            arithmetic = Arithmetic::Exact;
        }
        Ok(Emulated::with(units(arithmetic)?, arithmetic, schedule, packed))
    }

    /// Kernels of these units.
    pub fn of(units: Vec<Unit>, arithmetic: Arithmetic, schedule: Schedule) -> Self {
        Emulated::with(units, arithmetic, schedule, false)
    }

    fn with(units: Vec<Unit>, arithmetic: Arithmetic, schedule: Schedule, packed: bool) -> Self {
        Emulated(Arc::new(Inner {
            arithmetic,
            schedule,
            packed,
            kernels: Kernels::new(units),
            blocks: Blocks::default(),
            spoiled: Mutex::default(),
            launches: AtomicU64::new(0),
        }))
    }
}

impl Gpu for Emulated {
    fn name(&self) -> String {
        format!("emulated, {:?} {:?}", self.0.arithmetic, self.0.schedule).to_lowercase()
    }

    fn arithmetic(&self) -> Arithmetic {
        self.0.arithmetic
    }

    fn memory(&self) -> Option<(usize, usize)> {
        None
    }

    fn guards(&self) -> bool {
        !self.0.packed
    }

    fn shared(&self) -> u32 {
        SHARED
    }

    fn alloc(&self, what: &str, bytes: usize) -> Result<Memory> {
        let layout = layout(bytes)?;
        // SAFETY: The layout has bytes.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            return Err(Error::invalid("memory", format!("{bytes} bytes for {what}"), "as much as the system gives"));
        }
        // SAFETY: These are all of its bytes.
        let all = unsafe { from_raw_parts_mut(start, layout.size()) };
        all.fill(0xff);
        let (before, rest) = all.split_at_mut(ZONE);
        for zone in [before, &mut rest[bytes..]] {
            zone.iter_mut().zip(GUARD.iter().cycle()).for_each(|(byte, guard)| *byte = *guard);
        }
        let address = start as u64 + ZONE as u64;
        self.0.blocks.lock().insert(address, Block { what: what.to_string(), len: bytes });
        Ok(Memory::new(address, bytes, self.0.clone()))
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        self.0.blocks.check("upload", to, bytes.len())?;
        // SAFETY: These bytes were allocated here, and have not been freed; only kernels use them, and none runs now.
        unsafe { from_raw_parts_mut(to as *mut u8, bytes.len()) }.copy_from_slice(bytes);
        Ok(())
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        self.0.blocks.check("download", from, bytes.len())?;
        // SAFETY: As above.
        bytes.copy_from_slice(unsafe { from_raw_parts(from as *const u8, bytes.len()) });
        Ok(())
    }

    fn zero(&self, from: u64, bytes: usize) -> Result<()> {
        self.0.blocks.check("zero", from, bytes)?;
        // SAFETY: As above.
        unsafe { from_raw_parts_mut(from as *mut u8, bytes) }.fill(0);
        Ok(())
    }

    fn launch(&self, launches: &[Launch], pass: u64) -> Result<()> {
        self.0.launch(launches, pass)
    }

    fn graph(&self, launches: &[Launch], pass: u64) -> Result<Box<dyn Graph>> {
        check(launches, SHARED)?;
        self.0.kernels.of(launches, load)?;
        Ok(Box::new(List { device: self.0.clone(), launches: launches.to_vec(), pass }))
    }

    fn synchronize(&self) -> Result<()> {
        self.0.spoiled()?;
        let blocks = self.0.blocks.lock();
        // SAFETY: What stands in the table has not been freed.
        blocks.iter().try_for_each(|(address, block)| unsafe { zones(*address, block) })
    }

    fn held(&self) -> usize {
        self.0.blocks.lock().values().map(|block| block.len).sum()
    }

    fn launches(&self) -> u64 {
        self.0.launches.load(Ordering::Relaxed)
    }
}

/// A graph is the list.
struct List {
    device: Arc<Inner>,
    launches: Vec<Launch>,
    pass: u64,
}

impl Graph for List {
    fn launch(&self) -> Result<()> {
        self.device.launch(&self.launches, self.pass)
    }
}

impl Inner {
    fn launch(&self, launches: &[Launch], pass: u64) -> Result<()> {
        check(launches, SHARED)?;
        self.spoiled()?;
        let kernels = self.kernels.of(launches, load)?;
        for (launch, kernel) in launches.iter().zip(kernels) {
            self.blocks.check(&format!("work of {}", launch.kernel), launch.work, 8 * launch.blocks as usize)?;
            self.launches.fetch_add(1, Ordering::Relaxed);
            let mut error = [0; ERROR_LEN];
            let threads = rayon::current_num_threads() as c_int;
            // SAFETY: The kernel has this signature. What it does with the addresses in its jobs is for it and its caller to
            // get right: that is what this device looks at.
            let failed = unsafe {
                (kernel.body)(
                    launch.blocks,
                    launch.shared,
                    launch.jobs as *const c_void,
                    launch.work as *const c_void,
                    pass as *const c_void,
                    self.schedule as c_int,
                    threads,
                    error.as_mut_ptr(),
                    ERROR_LEN,
                )
            };
            if failed != 0 {
                // SAFETY: `snprintf` ends it with a zero.
                let text = unsafe { CStr::from_ptr(error.as_ptr()) }.to_string_lossy().into_owned();
                return Err(Error::invalid(format!("kernel {}", launch.kernel), text, "a kernel that does not"));
            }
        }
        Ok(())
    }

    fn spoiled(&self) -> Result<()> {
        self.spoiled.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

impl Free for Inner {
    fn free(&self, address: u64) {
        let Some(block) = self.blocks.lock().remove(&address) else { return };
        // SAFETY: It stood in the table until now.
        if let Err(error) = unsafe { zones(address, &block) } {
            self.spoiled.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        if let Ok(layout) = layout(block.len) {
            // SAFETY: `alloc` made it so.
            unsafe { dealloc((address - ZONE as u64) as *mut u8, layout) };
        }
    }
}

/// Of a piece of memory with its zones.
fn layout(bytes: usize) -> Result<Layout> {
    let size = bytes.saturating_add(2 * ZONE);
    Layout::from_size_align(size, ZONE).map_err(|_| Error::invalid("memory", format!("{bytes} bytes"), "fewer"))
}

/// Whether nobody has written beside a piece of memory.
///
/// # Safety
/// It was allocated here and has not been freed.
unsafe fn zones(address: u64, block: &Block) -> Result<()> {
    let starts = [address - ZONE as u64, address + block.len as u64];
    for (start, side) in starts.into_iter().zip(["before", "behind"]) {
        // SAFETY: The allocation has these bytes.
        let zone = unsafe { from_raw_parts(start as *const u8, ZONE) };
        if let Some(at) = zone.iter().zip(GUARD.iter().cycle()).position(|(byte, guard)| byte != guard) {
            let far = if start < address { ZONE - at } else { at };
            let got = format!("a kernel that wrote {far} bytes {side} its {} bytes", block.len);
            return Err(Error::invalid(format!("memory for {}", block.what), got, "kernels that stay inside"));
        }
    }
    Ok(())
}

/// The kernels of a unit, compiled where the cache does not have them.
fn load(unit: &Unit) -> Result<Vec<Kernel>> {
    let (compiler, version) = compiler()?;
    let key = format!("{EMULATOR}{}{version}{}", unit.text, options().join(" "));
    let key = format!("emulated-{:032x}", xxh3_128(key.as_bytes()));
    let scratch = Scratch::new()?;
    let path = scratch.0.join("kernels.so");
    match cache::get(&key) {
        Some(bytes) => std::fs::write(&path, bytes).map_err(Error::io("write", &path))?,
        None => {
            compile(compiler, unit, &path)?;
            cache::put(&key, &std::fs::read(&path).map_err(Error::io("read", &path))?);
        }
    }
    let wrong = |e: libloading::Error| Error::file(&path, e, format!("the kernels of {}", unit.name));
    // SAFETY: It is what the compiler made; nothing runs when it is loaded but the constructors of a mutex and of a list.
    let library = Arc::new(unsafe { Library::new(&path) }.map_err(wrong)?);
    let kernel = |name: &String| {
        // SAFETY: `KERNEL` gives all of them this type.
        let body = *unsafe { library.get::<Body>(name.as_bytes()) }.map_err(wrong)?;
        Ok(Kernel { body, _library: library.clone() })
    };
    unit.kernels.iter().map(kernel).collect()
}

fn options() -> Vec<&'static str> {
    let mut options = vec!["-O2", "-std=c++17", "-shared", "-fPIC", "-pthread", "-w", "-x", "c++"];
    // Without, each `fmaf` is a call.
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        options.extend(["-mavx2", "-mfma"]);
    }
    options
}

fn compile(compiler: &str, unit: &Unit, to: &Path) -> Result<()> {
    let source = to.with_extension("cpp");
    std::fs::write(&source, format!("{EMULATOR}\n{}", unit.text)).map_err(Error::io("write", &source))?;
    let files = [source.as_os_str(), OsStr::new("-o"), to.as_os_str()];
    let arguments: Vec<&OsStr> = options().into_iter().map(OsStr::new).chain(files).collect();
    let (done, said) = run(compiler, &arguments, &to.with_extension("log"))?;
    if done {
        return Ok(());
    }
    let said: Vec<&str> = said.lines().take(20).collect();
    Err(Error::invalid(format!("kernels of {}", unit.name), said.join("\n"), format!("what {compiler} compiles")))
}

/// The C++ compiler and what it says of its version.
fn compiler() -> Result<(&'static str, &'static str)> {
    static FOUND: OnceLock<(String, Result<(bool, String)>)> = OnceLock::new();
    let (name, version) = FOUND.get_or_init(|| {
        let name = std::env::var("CXX").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "c++".into());
        let version = Scratch::new().and_then(|s| run(&name, &[OsStr::new("--version")], &s.0.join("version")));
        (name, version)
    });
    let why = match version {
        Ok((true, version)) => return Ok((name, version)),
        Ok((false, said)) => said.trim().to_string(),
        Err(error) => error.to_string(),
    };
    let got = format!("no C++ compiler (`{name} --version`: {why})");
    Err(Error::invalid("the emulator of GPUs", got, "`c++`, or the name of one in CXX"))
}

/// Whether the compiler did what it was asked, and what it said. Its name may be several words, as in `ccache c++`.
fn run(compiler: &str, arguments: &[&OsStr], log: &Path) -> Result<(bool, String)> {
    let line = format!("exec {compiler} \"$@\" >\"$0\" 2>&1");
    let status = Command::new("sh").arg("-c").arg(line).arg(log).args(arguments).status();
    let done = status.map_err(Error::io("start", compiler))?.success();
    Ok((done, String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()))
}

/// A folder that goes when it is dropped; what was loaded from it stays.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("isdarts-{}", unique()));
        std::fs::create_dir(&path).map_err(Error::io("create", &path))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
