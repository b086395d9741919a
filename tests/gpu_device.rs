//! The emulated GPU: it runs kernels as they are written, in both schedules, and tells of each way in which one goes wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use isdarts_host::Result;
use isdarts_host::ops::gpu::emulated::{Emulated, Schedule};
use isdarts_host::ops::gpu::{Arithmetic, Gpu, Launch, Unit, address};
use isdarts_host::{Device, Tensor};

/// What all kernels here are told.
const JOB: &str = "struct TestJob { const float* x; float* y; int n; int unused; };\n";

fn unit(text: &str, arithmetic: Arithmetic) -> Unit {
    Unit::new("test.cu", &format!("{JOB}{text}"), arithmetic)
}

fn device(text: &str, schedule: Schedule) -> Emulated {
    Emulated::of(vec![unit(text, Arithmetic::Split)], Arithmetic::Split, schedule)
}

/// Without a C++ compiler there is nothing to test, and the test says so.
fn compiler() -> bool {
    match device("KERNEL(f, TestJob, 1) {}", Schedule::Forward).graph(&[launch(0, 0, 0)], 0) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.to_string().contains("got no C++ compiler"), "{error}");
            println!("SKIPPED: {error}");
            false
        }
    }
}

fn launch(jobs: u64, work: u64, shared: u32) -> Launch {
    Launch { kernel: "f", jobs, work, blocks: 3, shared }
}

fn run(text: &str, schedule: Schedule, times: usize) -> Result<(Vec<u32>, u64)> {
    run_on(&device(text, schedule), times)
}

/// `y` of 768 numbers after kernel `f` ran over three blocks, with 0, 1, 2 ... in `x`; and launches that were counted.
fn run_on(gpu: &dyn Gpu, times: usize) -> Result<(Vec<u32>, u64)> {
    let x = gpu.alloc("x", 768 * 4)?;
    let y = gpu.alloc("y", 768 * 4)?;
    let numbers: Vec<f32> = (0..768).map(|i| i as f32).collect();
    gpu.upload(x.address(), bytemuck::cast_slice(&numbers))?;
    let job = [x.address(), y.address(), 768];
    let jobs = gpu.alloc("jobs", 24)?;
    gpu.upload(jobs.address(), bytemuck::cast_slice(&job))?;
    let work = gpu.alloc("work", 24)?;
    gpu.upload(work.address(), bytemuck::cast_slice(&[0, 0, 0, 1, 0, 2]))?;
    let graph = gpu.graph(&[launch(jobs.address(), work.address(), 4096)], 0)?;
    (0..times).try_for_each(|_| graph.launch())?;
    gpu.synchronize()?;
    let mut made = vec![0u32; 768];
    gpu.download(y.address(), bytemuck::cast_slice_mut(&mut made))?;
    Ok((made, gpu.launches()))
}

/// Sums of a block's numbers, by a tree in shared memory and by warps: both ways must agree.
const SUM: &str = "KERNEL(f, TestJob, 1) {
    const TestJob& job = jobs[work[blockIdx.x].x];
    int block = work[blockIdx.x].y, i = threadIdx.x;
    SHARED(float, s);
    s[i] = job.x[block * 256 + i];
    __syncthreads();
    for (int half = 128; half; half /= 2) {
        if (i < half) s[i] += s[i + half];
        __syncthreads();
    }
    float mine = job.x[block * 256 + i];
    for (int k = 16; k; k /= 2) mine += __shfl_xor_sync(~0u, mine, k);
    __syncthreads();
    if (i % 32 == 0) s[256 + i / 32] = mine;
    __syncthreads();
    float all = 0;
    for (int w = 0; w < 8; w++) all += s[256 + w];
    job.y[block * 256 + i] = i % 2 ? s[0] : all;
}";

#[test]
fn kernels_compute_the_same_bits_in_both_schedules_and_their_launches_are_counted() {
    if !compiler() {
        return;
    }
    for schedule in [Schedule::Forward, Schedule::Reversed] {
        sums(&device(SUM, schedule));
    }
}

fn sums(gpu: &dyn Gpu) {
    let (y, launches) = run_on(gpu, 2).unwrap();
    for (i, value) in y.into_iter().enumerate() {
        let sum = (256 * (i / 256)..256 * (i / 256 + 1)).sum::<usize>() as f32;
        assert_eq!(f32::from_bits(value), sum, "{i} on {}", gpu.name());
    }
    assert_eq!(launches, 2);
}

#[test]
fn what_a_kernel_does_wrong_is_told() {
    if !compiler() {
        return;
    }
    let start = "KERNEL(f, TestJob, 1) {
        const TestJob& job = jobs[work[blockIdx.x].x];
        int at = work[blockIdx.x].y * 256 + threadIdx.x;
        SHARED(float, s);";
    let cases = [
        ("job.y[at + 1] = 1;", "memory for y: got a kernel that wrote 0 bytes behind its 3072 bytes"),
        ("job.y[at - 1] = 1;", "memory for y: got a kernel that wrote 4 bytes before"),
        ("if (threadIdx.x < 128) __syncthreads();", "wait for others that are done"),
        ("if (threadIdx.x % 2) __syncwarp(); else __syncthreads();", "wait at different barriers"),
        ("st4(job.y + 1, f4(1));", "a vector at an address that is not aligned"),
        ("s[1024 + threadIdx.x % 2] = 1;", "wrote behind the end of its shared memory"),
        ("s[0] = no_such_name;", "test.cu:6: error: "),
    ];
    for (body, expected) in cases {
        let error = run(&format!("{start}\n{body}\n}}"), Schedule::Forward, 1).unwrap_err().to_string();
        assert!(error.replace(":6:8", ":6").contains(expected), "{body}: {error}");
    }
}

#[test]
fn what_nobody_wrote_is_not_a_number() {
    if !compiler() {
        return;
    }
    let body = "const TestJob& job = jobs[0]; SHARED(float, s); int i = threadIdx.x;
        if (blockIdx.x == 0) job.y[i] = s[i];
        if (blockIdx.x == 1) job.y[256 + i] = job.x[768 + i];
        if (blockIdx.x == 2) { double* d = (double*)(job.x + 768); job.y[512 + i] = d[i]; }";
    let (y, _) = run(&format!("KERNEL(f, TestJob, 1) {{ {body} }}"), Schedule::Forward, 1).unwrap();
    assert!(y.iter().all(|bits| f32::from_bits(*bits).is_nan()), "{y:?}");
}

#[test]
fn a_missing_barrier_shows_as_other_bits_in_the_other_schedule() {
    if !compiler() {
        return;
    }
    let text = SUM.replacen("__syncthreads();", "", 1);
    let [one, other] = [Schedule::Forward, Schedule::Reversed].map(|schedule| run(&text, schedule, 1).unwrap().0);
    assert!(one != other);
}

#[test]
fn a_piece_that_was_spoiled_and_freed_is_told_at_the_next_call() {
    if !compiler() {
        return;
    }
    let gpu = device("KERNEL(f, TestJob, 1) { ((float*)work)[6 + threadIdx.x] = 1; }", Schedule::Forward);
    let work = gpu.alloc("work", 24).unwrap();
    gpu.upload(work.address(), &[0; 24]).unwrap();
    gpu.launch(&[launch(0, work.address(), 0)], 0).unwrap();
    drop(work);
    let error = gpu.synchronize().unwrap_err().to_string();
    assert!(error.contains("memory for work"), "{error}");
    gpu.synchronize().unwrap();
}

#[test]
fn what_the_host_asks_for_in_vain_is_refused_in_words() {
    let gpu = device("KERNEL(f, TestJob, 1) {}", Schedule::Forward);
    let memory = gpu.alloc("numbers", 100).unwrap();
    assert_eq!((memory.len(), memory.address() % 256), (100, 0));
    let beyond = gpu.zero(memory.address() + 50, 51).unwrap_err().to_string();
    assert!(beyond.starts_with("zero: got 51 bytes") && beyond.contains("numbers, has 100 bytes"), "{beyond}");
    assert!(gpu.upload(memory.address() - 1, &[0]).is_err() && gpu.download(0, &mut [0]).is_err());
    gpu.zero(memory.address(), 100).unwrap();
    let unknown = Launch { kernel: "g", ..launch(0, memory.address(), 0) };
    let cases = [
        (unknown, "unknown kernel `g`"),
        (Launch { blocks: 0, ..unknown }, "kernel g: got 0 blocks"),
        (Launch { shared: 200_000, ..unknown }, "kernel g: got 200000 bytes of shared memory"),
    ];
    for (launch, expected) in cases {
        let error = gpu.launch(&[launch], 0).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    if compiler() {
        let few = gpu.launch(&[Launch { blocks: 13, ..launch(0, memory.address(), 0) }], 0).unwrap_err().to_string();
        assert!(few.starts_with("work of f: got 104 bytes"), "{few}");
    }
}

#[test]
fn the_address_of_a_tensor_is_that_of_its_numbers() {
    let x = Tensor::arange(0f32, 24., &Device::Cpu).unwrap().reshape((4, 6)).unwrap();
    let row = address(&x.narrow(0, 2, 1).unwrap()).unwrap();
    assert_eq!(row - address(&x).unwrap(), 48);
    assert!(address(&x.t().unwrap()).is_err());
    assert!(address(&x.to_dtype(isdarts_host::DType::F64).unwrap()).is_err());
}

/// Where there is a card: what the emulated one does, in the same words, from several threads, too.
#[cfg(feature = "cuda")]
#[test]
fn a_cuda_device_runs_the_same_kernels_and_refuses_in_the_same_words() {
    use isdarts_host::ops::gpu::cuda::Cuda;
    let device = match Device::new_cuda(0) {
        Ok(device) => device,
        Err(error) => return println!("SKIPPED: no CUDA device: {error}"),
    };
    let cuda = |text: &str| Cuda::of(device.as_cuda_device()?, false, |way| Ok(vec![unit(text, way)]));
    let gpu = cuda(SUM).unwrap();
    sums(&gpu);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(run_on(&gpu, 3).unwrap().1, 5));
    });
    println!("{}, {:?}, {} bytes of shared memory, {:?}", gpu.name(), gpu.arithmetic(), gpu.shared(), gpu.memory());

    let x = Tensor::new(&[1f32, 2., 3.], &device).unwrap();
    assert_eq!(address(&x.narrow(0, 1, 2).unwrap()).unwrap() - address(&x).unwrap(), 4);
    let memory = gpu.alloc("numbers", 100).unwrap();
    gpu.zero(memory.address(), 100).unwrap();
    // candle's handles do not outlive a lost device quietly.
    std::mem::forget(device.clone());
    let all = Launch { shared: gpu.shared(), ..launch(0, memory.address(), 0) };
    let few = cuda("KERNEL(f, TestJob, 1) {}").unwrap();
    few.launch(&[all], 0).and_then(|()| few.synchronize()).unwrap();
    let refused = [
        gpu.alloc("everything", 1 << 50).err(),
        gpu.zero(memory.address() + 50, 51).err(),
        gpu.launch(&[Launch { kernel: "g", ..all }], 0).err(),
        gpu.launch(&[Launch { shared: 1 << 20, ..all }], 0).err(),
        cuda("KERNEL(f, TestJob, 1) { no_such_name; }").unwrap().launch(&[all], 0).err(),
        // Last: after it the device is lost.
        gpu.launch(&[all], 0).and_then(|()| gpu.synchronize()).err(),
    ];
    let words = [
        "lower batch_size",
        "got 51 bytes",
        "unknown kernel",
        "1048576 bytes",
        "test.cu(2): error",
        "the last checkpoint stands",
    ];
    for (error, expected) in refused.into_iter().zip(words) {
        let error = error.map_or("nothing".into(), |error| error.to_string());
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
