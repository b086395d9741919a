//! The host's side of `conv.cu`, `conv_forward.cu`, `conv_input.cu` and `conv_weight.cu`: how many blocks a job has, and what it needs.

use crate::ops::gpu::Arithmetic;
use crate::ops::gpu::jobs::{ConvForwardJob, ConvInputJob, ConvInputPart, ConvWeightJob, Job, PackJob, WAVE, Window};

/// Convolutions of one image that are a job together, at most (conv_forward.cu).
pub const TOGETHER: usize = 3;

/// Pixels that a block makes, where no warps share any.
const PIXELS: usize = 256;
/// Outputs and channels of a tile.
const TILE: usize = 16;
/// f32s of a group's part of a weight gradient: 9 tiles of taps and channels.
const GROUP_LEN: usize = 9 * 256;

/// f32s of packed weights, `[co, ci, k, k]` as stored, forward and backward.
pub fn packed_len(k: usize, ci: usize, co: usize) -> usize {
    2 * k * k * ci.next_multiple_of(TILE) * co.next_multiple_of(TILE)
}

/// Blocks of the forward pass and the input's gradient that fill a large card well enough: warps that share pixels cost more than
/// a few multiprocessors with one block instead of two.
const BLOCKS: usize = WAVE - 24;
/// Floats of shared memory for what a block reads: what a card of 64 KiB has.
const MOST_STAGED: usize = 15 << 10;
/// The same of the weights' gradient.
const MOST_STAGED_WEIGHT: usize = (16 << 10) - 4;
/// Splits whose parts are added up first.
const CLUSTER: usize = 16;

/// Blocks of `pixels` for so many `runs` of outputs, where `split` warps share the sums of 32 pixels.
fn blocks(pixels: usize, runs: usize, split: usize) -> usize {
    pixels.div_ceil(PIXELS / split) * runs
}

/// Warps that share pixels, so that `jobs` side by side fill a card, and floats of what a block reads, by `staged` of its pixels;
/// 0 where that is too much.
fn split(pixels: usize, runs: usize, jobs: usize, staged: impl Fn(usize) -> usize) -> (i32, i32) {
    let fits = |s: usize| staged(PIXELS / s) <= MOST_STAGED;
    let fills = |s: usize| s == 8 || jobs * blocks(pixels, runs, s) >= BLOCKS;
    let all = [1, 2, 4, 8];
    if let Some(s) = all.into_iter().find(|&s| fills(s) && fits(s)) {
        return (s as i32, staged(PIXELS / s) as i32);
    }
    (all.into_iter().find(|&s| fills(s)).unwrap_or(8) as i32, 0)
}

/// At most so many positions of a framed image (conv.cu) do `n` pixels in a row see, of images of `h x w` that the windows make.
fn positions(n: usize, h: usize, w: usize, window: &Window, stride: usize) -> usize {
    let reach = (window.k - 1) as usize * window.dilation as usize;
    let (ph, pw) = ((h - 1) * stride + reach + 1, (w - 1) * stride + reach + 1);
    let rows = (n - 1).div_ceil(w);
    // Runs begin at multiples of n.
    let images = match h * w {
        area if area.is_multiple_of(n) => 0,
        area if n.is_multiple_of(area) => n / area - 1,
        area => (n - 1).div_ceil(area),
    };
    (n - 1) * stride + rows * stride * (pw - w) + images * ph.saturating_sub(h * stride) * pw + reach * (pw + 1) + 1
}

/// Channels as they stand in shared memory; nothing fits if they are more than threads can share.
fn channels(c: i32) -> usize {
    if c > 1024 { usize::MAX >> 32 } else { (c as usize).next_multiple_of(TILE) }
}

/// Bytes by which warps share sums.
fn shared(split: i32, arithmetic: Arithmetic) -> u32 {
    let wide = if arithmetic == Arithmetic::Exact { 2 } else { 1 };
    if split > 1 { wide * 16384 / split as u32 } else { 0 }
}

fn made(window: &Window) -> usize {
    (window.b * window.oh * window.ow) as usize
}

impl Job for PackJob {
    const KERNEL: &'static str = "conv_pack";
    fn blocks(&self) -> u32 {
        let taps = (self.k * self.k) as u32;
        let up = |c: i32| (c as u32).div_ceil(TILE as u32);
        if self.kind == 2 { (taps * self.ci_p as u32).div_ceil(256) } else { taps * up(self.ci_p) * up(self.co_p) }
    }
    fn shared(&self, _: Arithmetic) -> u32 {
        0
    }
}

impl ConvForwardJob {
    /// With as many blocks as one of `jobs` side by side should have.
    pub fn cut(self, jobs: usize) -> Self {
        let Window { oh, ow, c, oc, stride, .. } = self.window;
        let staged = |n| positions(n, oh as usize, ow as usize, &self.window, stride as usize) * channels(c);
        let (pixels, of_one) = (made(&self.window), (oc as usize).div_ceil(TILE));
        let cut = |tiles: usize| {
            let runs = if self.n_of > 1 { 1 } else { of_one / tiles };
            let (split, staged) = split(pixels, runs, jobs, staged);
            let blocks = blocks(pixels, runs, split as usize) as i32;
            ConvForwardJob { split, staged, tiles: tiles as i32, blocks, ..self }
        };
        if self.n_of > 1 {
            return cut(self.n_of as usize);
        }
        // What is read is read once for several tiles, if there are enough blocks then.
        let wide = [2, 3].into_iter().find(|tiles| of_one.is_multiple_of(*tiles)).map(cut);
        wide.filter(|job| job.split <= 2 && jobs * job.blocks as usize >= BLOCKS).unwrap_or_else(|| cut(1))
    }

    /// f64s of its sums.
    pub fn sums_len(&self) -> usize {
        made(&self.window).div_ceil(PIXELS / self.split as usize) * 2 * (self.n_of * self.window.oc) as usize
    }
}

impl Job for ConvForwardJob {
    const KERNEL: &'static str = "conv_forward";
    fn blocks(&self) -> u32 {
        self.blocks as u32
    }
    fn shared(&self, arithmetic: Arithmetic) -> u32 {
        let tiles = self.tiles as u32;
        let ends = (16 * (self.n_of * self.window.oc) as u32 + 2048).max(2048 * tiles);
        16 + ends.max(4 * self.staged as u32).max(tiles * shared(self.split, arithmetic))
    }
}

impl ConvInputJob {
    /// With as many blocks as one of `jobs` side by side should have; `parts` are those of the job.
    pub fn cut(self, jobs: usize, parts: &[ConvInputPart]) -> Self {
        let (pixels, runs) = ((self.b * self.h * self.w) as usize, (self.c as usize).div_ceil(TILE));
        let of = |n, part: &ConvInputPart| match part.window.stride {
            1 => positions(n, self.h as usize, self.w as usize, &part.window, 1) * channels(part.window.oc),
            _ => 0,
        };
        let (split, staged) = split(pixels, runs, jobs, |n| parts.iter().map(|part| of(n, part)).max().unwrap_or(0));
        ConvInputJob { split, staged, blocks: blocks(pixels, runs, split as usize) as i32, ..self }
    }
}

impl Job for ConvInputJob {
    const KERNEL: &'static str = "conv_input";
    fn blocks(&self) -> u32 {
        self.blocks as u32
    }
    fn shared(&self, arithmetic: Arithmetic) -> u32 {
        shared(self.split, arithmetic).max(4 * self.staged as u32)
    }
}

impl ConvWeightJob {
    /// Tiles of the gradient that a block makes.
    fn groups(&self) -> usize {
        let Window { k, c, oc, .. } = self.window;
        (oc as usize).div_ceil(TILE) * ((k * k) as usize * (c as usize).div_ceil(TILE)).div_ceil(9)
    }

    /// What it takes, measured by what a tile of products does: seven times that is to bring the pixels.
    pub fn cost(&self) -> usize {
        let Window { k, c, oc, .. } = self.window;
        let tiles = (k * k) as usize * (c as usize).div_ceil(TILE) * (oc as usize).div_ceil(TILE);
        made(&self.window) * (7 * self.groups() + tiles)
    }

    /// With its share of the blocks that fill a card, where `all` is what all jobs side by side take.
    pub fn cut(self, all: usize) -> Self {
        let Window { oh, ow, c, k, stride, .. } = self.window;
        let (taps, chunks) = ((k * k) as usize, (c as usize).div_ceil(TILE));
        // Runs of 16 channels that nine slots in a row see.
        let most = if taps % 9 == 0 || 9 % taps == 0 { (9 / taps).max(1) } else { 9 / taps + 2 };
        let seen = |n| positions(n, oh as usize, ow as usize, &self.window, stride as usize) * most.min(chunks);
        let staged = |n: usize| 16 + n * 25 + 24 * seen(n);
        let pixels = [256, 128, 64, 32].into_iter().find(|&n| staged(n) <= MOST_STAGED_WEIGHT);
        let staged = pixels.map_or(0, staged);
        let most = made(&self.window).div_ceil(pixels.unwrap_or(PIXELS)).clamp(1, 512);
        let splits = (WAVE * self.cost() / (all * self.groups())).clamp(1, most);
        // As many runs of pixels each.
        let splits = most.div_ceil(most.div_ceil(splits));
        let (pixels, staged) = (pixels.unwrap_or(0) as i32, staged as i32);
        ConvWeightJob { splits: splits as i32, blocks: (splits * self.groups()) as i32, staged, pixels, ..self }
    }

    /// f32s of its parts.
    pub fn parts_len(&self) -> usize {
        self.splits as usize * self.groups() * GROUP_LEN
    }

    /// Its counters.
    pub fn counters(&self) -> usize {
        self.groups() * (1 + (self.splits as usize).div_ceil(CLUSTER))
    }
}

impl Job for ConvWeightJob {
    const KERNEL: &'static str = "conv_weight";
    fn blocks(&self) -> u32 {
        self.blocks as u32
    }
    fn shared(&self, arithmetic: Arithmetic) -> u32 {
        let wide = if arithmetic == Arithmetic::Exact { 2 } else { 1 };
        16 + (1488 + wide * 16384).max(4 * self.staged as u32)
    }
}
