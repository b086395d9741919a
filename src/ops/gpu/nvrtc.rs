//! NVRTC, NVIDIA's compiler as a library: found at run time, so that the kernels are compiled for the card at hand and a program
//! without CUDA can check them. It needs no GPU.

use super::Unit;
use crate::error::{Error, Result};
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

/// What all kernels are compiled with, besides the card. `-v` has the assembler tell of registers and spills.
const OPTIONS: [&str; 2] = ["--std=c++17", "--ptxas-options=-v"];

/// The compiler.
pub struct Nvrtc {
    library: Library,
    /// What it loads itself, though only from where the system looks for libraries.
    _builtins: Option<Library>,
    version: (c_int, c_int),
    cards: Vec<c_int>,
}

/// Kernels as a card runs them.
pub struct Cubin {
    /// An ELF file.
    pub bytes: Vec<u8>,
    /// What the compiler and the assembler said.
    pub log: String,
}

type Status = c_int;
type Program = *mut c_void;

/// A function of the library, by name and type.
macro_rules! function {
    ($nvrtc:expr, $name:literal, ($($argument:ty),*) -> $result:ty) => {{
        // SAFETY: NVRTC has declared it so since its version 11.1.
        let found = unsafe { $nvrtc.get::<unsafe extern "C" fn($($argument),*) -> $result>($name) };
        *found.map_err(|e| Error::invalid("NVRTC", e, "version 12 or later"))?
    }};
}

impl Nvrtc {
    /// The newest one that is not newer than the driver (`most`, its major version) and knows the card; `ISDARTS_NVRTC` names
    /// libraries to take instead of those of the system, with `:` between them.
    ///
    /// # Errors
    /// There is none; none of those found will do.
    pub fn find(capability: c_int, most: c_int) -> Result<Self> {
        let mut found = Vec::new();
        for path in candidates(most) {
            let Ok(nvrtc) = Nvrtc::at(&path) else { continue };
            if nvrtc.version.0 <= most && nvrtc.card(capability).is_some() {
                return Ok(nvrtc);
            }
            found.push(nvrtc.to_string());
        }
        let got = match found.is_empty() {
            true => "no NVRTC (`libnvrtc.so.N` of the CUDA toolkit or of Python's nvidia-cuda-nvrtc)".to_string(),
            false => found.join("; "),
        };
        let card = format!("compute capability {}.{}", capability / 10, capability % 10);
        let expected = format!(
            "NVRTC that knows {card} and is not newer than the driver's CUDA {most}; a later driver takes later ones; \
             LD_LIBRARY_PATH or ISDARTS_NVRTC say where it is"
        );
        Err(Error::invalid("the compiler of GPU kernels", got, expected))
    }

    /// The library `path`.
    pub fn at(path: &Path) -> Result<Self> {
        let wrong = |e: libloading::Error| Error::file(path, e, "NVRTC");
        // SAFETY: Loading NVRTC runs nothing but its own constructors.
        let library = unsafe { Library::new(path) }.map_err(wrong)?;
        let (mut major, mut minor, mut count) = (0, 0, 0);
        let version = function!(library, b"nvrtcVersion", (*mut c_int, *mut c_int) -> Status);
        let number = function!(library, b"nvrtcGetNumSupportedArchs", (*mut c_int) -> Status);
        // SAFETY: They write numbers there.
        let told = unsafe { (version(&mut major, &mut minor), number(&mut count)) };
        let mut cards = vec![0; count.max(0) as usize];
        let list = function!(library, b"nvrtcGetSupportedArchs", (*mut c_int) -> Status);
        // SAFETY: It writes as many numbers as it said.
        if told != (0, 0) || unsafe { list(cards.as_mut_ptr()) } != 0 {
            return Err(Error::file(path, "a library that does not say its version", "NVRTC"));
        }
        let builtins = path.with_file_name(format!("libnvrtc-builtins.so.{major}.{minor}"));
        // SAFETY: As above.
        let builtins = builtins.exists().then(|| unsafe { Library::new(&builtins) }.map_err(wrong)).transpose()?;
        Ok(Nvrtc { library, _builtins: builtins, version: (major, minor), cards })
    }

    /// The card to compile for so that one of `capability` (90 is 9.0) runs it: itself, or an older one of the same family.
    pub fn card(&self, capability: c_int) -> Option<c_int> {
        let runs = |card: &c_int| *card <= capability && card / 10 == capability / 10;
        self.cards.iter().copied().filter(runs).max()
    }

    /// What the kernels depend on besides their text.
    pub fn key(&self, card: c_int) -> String {
        format!("{self} sm_{card} {}", OPTIONS.join(" "))
    }

    /// Kernels of a unit for `card`.
    ///
    /// # Errors
    /// The text is wrong: what NVRTC says of it.
    pub fn compile(&self, unit: &Unit, card: c_int) -> Result<Cubin> {
        let library = &self.library;
        let text = |text: &str| CString::new(text).map_err(|e| Error::invalid(&unit.name, e, "text without zeros"));
        let (source, name) = (text(&unit.text)?, text(&unit.name)?);
        let card = format!("--gpu-architecture=sm_{card}");
        let options = OPTIONS.into_iter().chain([card.as_str()]).map(text).collect::<Result<Vec<CString>>>()?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        type Texts = *const *const c_char;
        let create = function!(library, b"nvrtcCreateProgram",
            (*mut Program, *const c_char, *const c_char, c_int, Texts, Texts) -> Status);
        let run = function!(library, b"nvrtcCompileProgram", (Program, c_int, Texts) -> Status);
        let destroy = function!(library, b"nvrtcDestroyProgram", (*mut Program) -> Status);
        let log_size = function!(library, b"nvrtcGetProgramLogSize", (Program, *mut usize) -> Status);
        let log = function!(library, b"nvrtcGetProgramLog", (Program, *mut u8) -> Status);
        let cubin_size = function!(library, b"nvrtcGetCUBINSize", (Program, *mut usize) -> Status);
        let cubin = function!(library, b"nvrtcGetCUBIN", (Program, *mut u8) -> Status);
        let explain = function!(library, b"nvrtcGetErrorString", (Status) -> *const c_char);
        let bytes =
            |program, size: unsafe extern "C" fn(_, *mut usize) -> Status, get: unsafe extern "C" fn(_, _) -> _| {
                let mut len = 0;
                // SAFETY: The program is there; NVRTC writes as many bytes as it said.
                unsafe {
                    let first: Status = size(program, &mut len);
                    let mut bytes = vec![0u8; len];
                    let second: Status = if first == 0 { get(program, bytes.as_mut_ptr()) } else { first };
                    (second, bytes)
                }
            };
        let mut program = null_mut();
        // SAFETY: All texts end with a zero and live until `destroy`.
        let (status, log, (got, cubin)) = unsafe {
            let mut status = create(&mut program, source.as_ptr(), name.as_ptr(), 0, null(), null());
            if status == 0 {
                status = run(program, options.len() as c_int, options.as_ptr());
            }
            let said = bytes(program, log_size, log).1;
            let made = if status == 0 { bytes(program, cubin_size, cubin) } else { (status, Vec::new()) };
            destroy(&mut program);
            (status, said, made)
        };
        let log = String::from_utf8_lossy(&log).trim_end_matches('\0').to_string();
        if status == 0 && got == 0 {
            return Ok(Cubin { bytes: cubin, log });
        }
        // SAFETY: NVRTC gives a text that stays.
        let error = unsafe { CStr::from_ptr(explain(status.max(got))) }.to_string_lossy();
        let said: Vec<&str> = log.lines().take(20).collect();
        Err(Error::invalid(
            format!("kernels of {}", unit.name),
            format!("{error}: {}", said.join("\n")),
            self.to_string(),
        ))
    }
}

impl std::fmt::Display for Nvrtc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, last) = (self.cards.first().unwrap_or(&0), self.cards.last().unwrap_or(&0));
        write!(f, "NVRTC {}.{} for sm_{first} to sm_{last}", self.version.0, self.version.1)
    }
}

/// Where NVRTC may be, the newest first.
fn candidates(most: c_int) -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("ISDARTS_NVRTC").filter(|named| !named.is_empty()) {
        return std::env::split_paths(&named).collect();
    }
    let name = |major| match cfg!(windows) {
        true => format!("nvrtc64_{major}0_0.dll"),
        false => format!("libnvrtc.so.{major}"),
    };
    let places = |name: String| [PathBuf::from(&name), Path::new("/usr/local/cuda/lib64").join(&name)];
    (12..=most).rev().map(name).flat_map(places).collect()
}
