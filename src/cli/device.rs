//! `--device` and `--threads`.

use candle_core::Device;
use isdarts_host::ops::gpu;
use isdarts_host::{Error, Result, streams};
use std::sync::mpsc::{Sender, channel};

/// `cpu`, `cuda`, `cuda:N`, or `auto` (the first GPU, the CPU if there is none). For tests there is `emulated`, too: the GPU's
/// kernels on the CPU.
pub fn open(text: &str) -> Result<Device> {
    let known = "cpu, cuda, cuda:N or auto";
    match text.split_once(':').map_or((text, None), |(kind, n)| (kind, Some(n))) {
        ("cpu", None) => Ok(Device::Cpu),
        ("emulated", None) => {
            gpu::emulate();
            Ok(Device::Cpu)
        }
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

/// Threads for each core that are of any use; far more only stand in each other's way.
const A_CORE: usize = 4;
/// So many are taken on any machine.
const ALWAYS: usize = 16;

/// Fix the threads of the process, before anything runs on them; their number. It is `n`, or else what `RAYON_NUM_THREADS` says,
/// or else one a core; fewer if that is more than a machine can use, or than the system gives: then a line says so.
pub fn threads(n: Option<u16>) -> Result<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let variable = std::env::var("RAYON_NUM_THREADS").ok().and_then(|text| text.trim().parse().ok()).filter(|n| *n > 0);
    let wanted = n.map(usize::from).or(variable).unwrap_or(cores);
    let most = ALWAYS.max(A_CORE * cores);
    if wanted > most {
        streams::say(&format!("threads: {wanted} asked for, {most} taken, as this machine has {cores} cores"));
    }
    let wanted = wanted.min(most);
    let (mut waiting, mut failure) = (Vec::new(), None);
    for _ in 0..wanted {
        match waiting_thread() {
            Ok(thread) => waiting.push(thread),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let found = waiting.len().max(1);
    if let Some(error) = failure {
        streams::say(&format!("threads: {wanted} asked for, {found} taken: the system gives no more ({error})"));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(found);
    let built = match waiting.is_empty() {
        // All work is done on this very thread.
        true => pool.use_current_thread().build_global(),
        false => pool
            .spawn_handler(move |thread| {
                let gone = || std::io::Error::other("a thread that ended");
                waiting.pop().ok_or_else(gone)?.send(thread).map_err(|_| gone())
            })
            .build_global(),
    };
    built.map_err(|e| Error::invalid("--threads", found, e)).map(|()| rayon::current_num_threads())
}

/// A thread that waits for its work: rayon cannot do with fewer threads than it was told, so they are made before.
fn waiting_thread() -> std::io::Result<Sender<rayon::ThreadBuilder>> {
    let (work, waiting) = channel::<rayon::ThreadBuilder>();
    let run = move || waiting.recv().into_iter().for_each(rayon::ThreadBuilder::run);
    std::thread::Builder::new().spawn(run).map(|_| work)
}
