//! `--device` and `--threads`.

use candle_core::Device;
use isdarts_host::{Error, Result};

/// `cpu`, `cuda`, `cuda:N`, or `auto` (the first GPU, the CPU if there is none).
pub fn open(text: &str) -> Result<Device> {
    let known = "cpu, cuda, cuda:N or auto";
    match text.split_once(':').map_or((text, None), |(kind, n)| (kind, Some(n))) {
        ("cpu", None) => Ok(Device::Cpu),
        ("auto", None) => Ok(cuda(0).unwrap_or(Device::Cpu)),
        ("cuda", None) => cuda(0),
        ("cuda", Some(n)) => match n.parse() {
            Ok(n) => cuda(n),
            Err(_) => Err(Error::invalid("--device", format!("`{text}`"), known)),
        },
        _ => Err(Error::invalid("--device", format!("`{text}`"), known)),
    }
}

fn cuda(n: usize) -> Result<Device> {
    if !cfg!(feature = "cuda") {
        let expected = "--device cpu, or a program built with `cargo build --release --features cuda`";
        return Err(Error::invalid("--device", format!("cuda:{n} in a program built without CUDA"), expected));
    }
    Device::new_cuda(n).map_err(|e| {
        // The first line says it; the rest is a backtrace.
        let cause = e.to_string().lines().next().unwrap_or_default().to_string();
        Error::invalid("--device", format!("cuda:{n}, which does not open ({cause})"), "an NVIDIA GPU and its driver")
    })
}

/// Fix the number of threads of the process, before anything runs on them.
pub fn threads(n: Option<u16>) -> Result<usize> {
    if let Some(n) = n {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n.into());
        pool.build_global().map_err(|e| Error::invalid("--threads", n, e))?;
    }
    Ok(rayon::current_num_threads())
}
