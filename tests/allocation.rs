//! A training step, and a measurement of importance, allocate nothing large after the first one: activations lie in buffers
//! that are used again, those of one draw of paths by the next. A binary of its own, for its allocator counts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use candle_core::{Device, Tensor, Var};
use isdarts_host::data::Batch;
use isdarts_host::net::{Mode, Pass, Paths, Supernet, SupernetConfig};
use isdarts_host::ops::buffer;
use isdarts_host::search::{Learner, TrainConfig};
use isdarts_host::space::SearchSpace;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator; it counts what all threads ask it for.
struct Counting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);
static TOTAL: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    fn count(bytes: usize) {
        LARGEST.fetch_max(bytes, Relaxed);
        TOTAL.fetch_add(bytes, Relaxed);
    }
}

// SAFETY: every call goes to `System` as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of the largest block, of all blocks, and of the pages that buffers asked for, while `f` runs.
fn allocated(f: impl FnOnce()) -> [usize; 3] {
    let pages = buffer::mapped();
    [&LARGEST, &TOTAL].iter().for_each(|n| n.store(0, Relaxed));
    f();
    [LARGEST.load(Relaxed), TOTAL.load(Relaxed), buffer::mapped() - pages]
}

/// A learner of a small supernet, and a batch for it.
fn setup(space: SearchSpace, channels: usize) -> (Learner, Batch, TrainConfig) {
    let (b, size) = (32, 32);
    let config = SupernetConfig { channels, cells: 1, seed: 1, ..Default::default() };
    let mut learner = Learner::new(Supernet::new(space, config, &Device::Cpu).unwrap(), 1);
    learner.begin_epoch(1);
    let shape = (b, 3, size, size);
    let x: Vec<f32> = (0..b * 3 * size * size).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let batch = Batch { x, y: (0..b as u32).map(|i| i % 10).collect(), images: vec![], shape, index: 0, total: 1 };
    (learner, batch, TrainConfig { batch_size: b, ..TrainConfig::default() })
}

fn check(space: SearchSpace, channels: usize) {
    let (mut learner, batch, cfg) = setup(space, channels);
    let images = Tensor::from_slice(&batch.x, batch.shape, &Device::Cpu).unwrap();
    let mixing = learner.net.mask_mixing().unwrap();
    // The batch as a tensor; a node of the network is several times as large.
    let largest = size_of_val(&batch.x[..]);
    for round in 0..2 {
        let mut step = || allocated(|| assert!(learner.train_step(&batch, None, &cfg).is_ok()));
        let (first, later) = (step(), [step(), step()]);
        assert!(round > 0 || first[2] > 40 * largest, "a first step maps its buffers: {first:?}");
        for [block, all, pages] in later {
            println!("step: largest block {block} B, {all} B in all, {pages} B of pages (first: {} B)", first[2]);
            assert!(block <= largest && pages == 0, "a step: a block of {block} B, {pages} B of pages");
        }
        let score = || allocated(|| assert!(learner.net.score(&images, &mixing).is_ok()));
        let (_, later) = (score(), [score(), score()]);
        for [block, all, pages] in later {
            println!("measurement: largest block {block} B, {all} B in all, {pages} B of pages");
            assert!(block <= largest && pages == 0, "a measurement: a block of {block} B, {pages} B of pages");
        }
    }
}

/// As GDAS does: a step on the weights with one path of every edge, one on what the mix is made of with another.
fn check_draws(space: SearchSpace, channels: usize) {
    let (mut learner, batch, cfg) = setup(space, channels);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |net: &Supernet| -> Vec<Tensor> {
        let (edges, ops) = (net.space().n_edges(), net.space().ops().len());
        let table = |_: &_| {
            let mut weights = vec![0f32; edges * ops];
            (0..edges).for_each(|e| weights[e * ops + rng.random_range(0..ops)] = 1.0);
            let var = Var::from_vec(weights, (edges, ops), &Device::Cpu).unwrap();
            (var.as_tensor() * 1.0).unwrap()
        };
        net.space().cell_types().iter().map(table).collect()
    };
    let largest = size_of_val(&batch.x[..]);
    let how = Pass { mode: Mode::Train, paths: Paths::DrawnWithGhosts };
    for step in 0..40 {
        let mixes = [draw(&learner.net), draw(&learner.net)];
        let [block, all, pages] = allocated(|| {
            assert!(learner.train_step(&batch, Some(&mixes[0]), &cfg).is_ok());
            let loss = learner.loss(&batch, Some(&mixes[1]), how, 0.0).unwrap();
            assert!(learner.backward(&loss).is_ok());
        });
        println!("draw: largest block {block} B, {all} B in all, {pages} B of pages");
        assert!(
            step < WARM || block <= largest && pages <= largest,
            "draw {step}: a block of {block} B, {pages} B of pages"
        );
    }
}

/// Draws until every one finds its buffers.
const WARM: usize = 10;

/// One test: the counters are the process's.
#[test]
fn a_step_allocates_nothing_large_after_the_first() {
    check(SearchSpace::nas_bench_201(), 8);
    check(SearchSpace::darts(), 8);
    check(SearchSpace::darts(), 6);
    check_draws(SearchSpace::nas_bench_201(), 8);
    check_draws(SearchSpace::darts(), 6);
}
