//! What a property is tried on: an emulated device, numbers drawn from a seed, and all that its kernels write.

use super::Outcome;
use isdarts_host::ops::gpu::emulated::Emulated;
use isdarts_host::ops::gpu::jobs::{Address, Job, Pass, SideBySide};
use isdarts_host::ops::gpu::{Arithmetic, Gpu, Launch, Memory, download, upload};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One try of a property.
pub struct Try<'a> {
    gpu: &'a Emulated,
    random: ChaCha8Rng,
    memory: Vec<Memory>,
    outputs: Vec<Output>,
    counters: Vec<(Address, usize)>,
    left_out: bool,
    /// What the launches are told.
    pub pass: Pass,
}

/// What kernels write: as it is before each launch, and after.
pub struct Output {
    /// What it is.
    pub what: &'static str,
    address: Address,
    start: Vec<u8>,
    left_out: bool,
    /// Its bytes.
    pub made: Vec<u8>,
}

impl<'a> Try<'a> {
    /// The same numbers for the same seed.
    pub fn new(gpu: &'a Emulated, seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let (memory, outputs, counters) = (vec![], vec![], vec![]);
        let mut t = Try { gpu, random, memory, outputs, counters, left_out: false, pass: Pass::default() };
        t.pass.mode = t.int(0, 2) as i32;
        t
    }

    /// How its convolutions multiply.
    pub fn arithmetic(&self) -> Arithmetic {
        self.gpu.arithmetic()
    }

    /// How far sums of products may be from what they should be, in parts of the largest number.
    pub fn tolerance(&self) -> f64 {
        if self.arithmetic() == Arithmetic::Split { 1e-5 } else { 2e-6 }
    }

    /// A whole number, both ends included.
    pub fn int(&mut self, from: usize, to: usize) -> usize {
        self.random.random_range(from..=to)
    }

    /// Yes once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.int(1, n) == 1
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.int(0, of.len() - 1)]
    }

    /// Numbers around `mean`.
    pub fn numbers(&mut self, n: usize, mean: f32, spread: f32) -> Vec<f32> {
        (0..n).map(|_| mean + spread * self.random.random_range(-1.7f32..1.7)).collect()
    }

    /// A copy on the device that kernels read.
    pub fn give<T: bytemuck::Pod>(&mut self, values: &[T]) -> Address {
        let address = self.alloc("what is read", size_of_val(values));
        upload(self.gpu, address, values).expect("it has this length");
        address
    }

    /// Numbers that kernels write; NaN before.
    pub fn out<T: bytemuck::Pod>(&mut self, what: &'static str, n: usize) -> Address {
        self.output(what, vec![0xff; n * size_of::<T>()])
    }

    /// Numbers that kernels read and write.
    pub fn changed<T: bytemuck::Pod>(&mut self, what: &'static str, values: &[T]) -> Address {
        self.output(what, bytemuck::cast_slice(values).to_vec())
    }

    fn output(&mut self, what: &'static str, start: Vec<u8>) -> Address {
        let address = self.alloc(what, start.len());
        self.outputs.push(Output { what, address, start, left_out: self.left_out, made: vec![] });
        address
    }

    /// Where it stands whether a job is live, and whether it is. What is made from here on is the job's: if it is not live, nothing
    /// of that may be written.
    pub fn live(&mut self) -> (Address, bool) {
        self.left_out = self.once_in(6);
        let (live, said) = (!self.left_out, !self.once_in(3));
        (if live && said { 0 } else { self.give(&[live as i32]) }, live)
    }

    /// What is made from here on is written in any case.
    pub fn always(&mut self) {
        self.left_out = false;
    }

    /// Counters, zero before each launch.
    pub fn counters(&mut self, n: usize) -> Address {
        let address = self.give(&vec![0i32; n]);
        self.counters.push((address, n));
        address
    }

    fn alloc(&mut self, what: &str, bytes: usize) -> Address {
        self.memory.push(self.gpu.alloc(what, bytes).expect("little memory"));
        self.memory.last().expect("just made").address()
    }

    /// These jobs side by side.
    pub fn launch<J: Job>(&mut self, jobs: &[J]) -> Launch {
        let blocks: Vec<u32> = jobs.iter().map(J::blocks).collect();
        let shared = jobs.iter().map(|job| job.shared(self.arithmetic())).max().unwrap_or(0);
        self.launch_of(J::KERNEL, jobs, &blocks, shared)
    }

    /// The same, of so many blocks each.
    pub fn launch_of<J: bytemuck::Pod>(
        &mut self,
        kernel: &'static str,
        jobs: &[J],
        blocks: &[u32],
        shared: u32,
    ) -> Launch {
        let of_job = |(job, n): (usize, &u32)| (0..*n).map(move |block| [job as u32, block]).collect::<Vec<_>>();
        let work: Vec<[u32; 2]> = blocks.iter().enumerate().flat_map(of_job).collect();
        let (jobs, blocks) = (self.give(jobs), work.len() as u32);
        Launch { kernel, jobs, work: self.give(&work), blocks, shared }
    }

    /// Two launches as one.
    pub fn side_by_side(&mut self, kernel: &'static str, first: Launch, second: Launch) -> Launch {
        let (n_first, blocks) = (first.blocks as i32, first.blocks + second.blocks);
        let shared = first.shared.max(second.shared);
        let job = SideBySide {
            first: first.jobs,
            first_work: first.work,
            second: second.jobs,
            second_work: second.work,
            n_first,
            blocks: blocks as i32,
            shared: shared as i32,
            unused: 0,
        };
        self.launch_of(kernel, &[job], &[blocks], shared)
    }

    /// Runs them twice: the second time makes the same bits, and counters are zero after each.
    pub fn run(&mut self, launches: &[Launch]) -> Outcome {
        let pass = self.give(&[self.pass]);
        for turn in 0..2 {
            for output in &self.outputs {
                upload(self.gpu, output.address, &output.start).map_err(said)?;
            }
            self.gpu.launch(launches, pass).map_err(said)?;
            self.gpu.synchronize().map_err(said)?;
            for &(address, n) in &self.counters {
                let counters: Vec<i32> = download(self.gpu, address, n).map_err(said)?;
                require(counters.iter().all(|&n| n == 0), || format!("counters are {counters:?} after a launch"))?;
            }
            for output in &mut self.outputs {
                let made = download(self.gpu, output.address, output.start.len()).map_err(said)?;
                let spoiled = output.left_out && made != output.start;
                require(!spoiled, || format!("{} of a job that is left out was written", output.what))?;
                require(turn == 0 || made == output.made, || {
                    format!("{} has other bits the second time", output.what)
                })?;
                output.made = made;
            }
        }
        Ok(())
    }

    /// What was made there.
    pub fn made<T: bytemuck::Pod>(&self, address: Address) -> Vec<T> {
        let output = self.outputs.iter().find(|output| output.address == address).expect("an output");
        output.made.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
    }

    /// All that was made.
    pub fn outputs(self) -> Vec<Output> {
        self.outputs
    }
}

fn said(error: isdarts_host::Error) -> String {
    error.to_string()
}

/// An error in words unless `holds`.
pub fn require(holds: bool, words: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(words()) }
}

/// Whether all are within `tolerance` parts of the largest number that is wanted. NaN is wanted where it is.
pub fn near<T: Into<f64> + Copy>(what: &str, got: &[T], want: &[f64], tolerance: f64) -> Outcome {
    near_beside(what, got, want, 0., tolerance)
}

/// The same, where what is wanted is a sum: of `one`, the size that it has where nothing cancels, if that is more.
pub fn near_beside<T: Into<f64> + Copy>(what: &str, got: &[T], want: &[f64], one: f64, tolerance: f64) -> Outcome {
    require(got.len() == want.len(), || format!("{what}: {} numbers, not {}", got.len(), want.len()))?;
    let largest = want.iter().copied().filter(|v| v.is_finite()).fold(one, |most, v| most.max(v.abs()));
    for (i, (got, want)) in got.iter().map(|&v| v.into()).zip(want.iter().copied()).enumerate() {
        let same = got == want || got.is_nan() && want.is_nan() || (got - want).abs() <= tolerance * largest;
        require(same, || format!("{what}[{i}] is {got}, not {want}; the largest is {largest}"))?;
    }
    Ok(())
}

/// Whether the channels from `real` on of an image are zeros.
pub fn zeros_behind(what: &str, image: &[f32], c: usize, real: usize) -> Outcome {
    let clean = image.chunks(c).all(|pixel| pixel[real..].iter().all(|v| *v == 0.));
    require(clean, || format!("{what} is not zero in channels behind {real} of {c}"))
}

/// Whether all is as it was before the launch: NaN.
pub fn untouched(what: &str, values: &[f32]) -> Outcome {
    require(values.iter().all(|v| v.to_bits() == !0), || format!("{what} was written"))
}
