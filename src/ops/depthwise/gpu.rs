//! The host's side of `separable.cu` and `separable_back.cu`: how many blocks a job has, and what it needs.

use crate::ops::gpu::Arithmetic;
use crate::ops::gpu::jobs::{
    Job, SeparableForwardJob, SeparableInnerJob, SeparableInputJob, SeparableTapJob, WAVE, Window,
};

const THREADS: usize = 256;

/// Pixels of a tile, by the wider of the images on both sides.
fn pixels(window: &Window) -> usize {
    match window.c.max(window.oc) {
        ..=16 => 256,
        17..=32 => 128,
        33..=128 => 64,
        129..=256 => 32,
        _ => 16,
    }
}

/// f32s of a pixel of a tile in shared memory.
fn row(channels: usize) -> usize {
    16 * (channels.div_ceil(16) | 1)
}

/// Tiles of the image that is made: four neighbours of a row stay together.
fn tiles(n: &Window) -> usize {
    ((n.b * n.oh) as usize * (n.ow as usize).div_ceil(4)).div_ceil(pixels(n) / 4)
}

/// Parts of the pixels, so that a job has its share of the blocks that fill a card twice, by its `cost` of that of `all` jobs side by
/// side; in so many `pieces` each, and no more than there are tiles.
fn splits((cost, all): (usize, usize), pieces: usize, tiles: usize) -> usize {
    (2 * WAVE * cost / (all * pieces)).clamp(1, tiles)
}

/// Instructions of a thread for four channels of four neighbours that a depthwise convolution makes, about: values that are read,
/// then what is made of them.
fn depthwise(n: &Window) -> usize {
    let (k, seen) = (n.k as usize, (n.dilation * (n.k - 1) + 4) as usize);
    k * (15 * seen + 17 * k + 20)
}

/// Counters of a gradient that so many parts are added up to.
fn counters(splits: i32) -> usize {
    1 + (splits as usize).div_ceil(8)
}

impl SeparableForwardJob {
    /// With as many tiles a block as one of `jobs` side by side should have: a card is full four times.
    pub fn cut(self, jobs: usize) -> Self {
        let tiles = tiles(&self.window);
        let each = (jobs * tiles / (4 * WAVE)).clamp(1, 8);
        SeparableForwardJob { blocks: tiles.div_ceil(each) as i32, each: each as i32, ..self }
    }

    /// f64s of its sums.
    pub fn sums_len(&self) -> usize {
        self.blocks as usize * 2 * self.window.oc as usize
    }
}

impl Job for SeparableForwardJob {
    const KERNEL: &'static str = "separable_forward";
    fn blocks(&self) -> u32 {
        self.blocks as u32
    }
    fn shared(&self, _: Arithmetic) -> u32 {
        let (p, oc) = (pixels(&self.window), self.window.oc as usize);
        let quads = (p / 32).max(1);
        (16 + (4 * p * (row(self.window.c as usize) + 1) + 16 * (quads + 1) * oc).max(16 * oc + 2048)) as u32
    }
}

impl SeparableInnerJob {
    fn pieces(&self) -> usize {
        (self.window.c as usize).div_ceil(64) * (self.window.oc as usize).div_ceil(128)
    }

    /// What it takes, about.
    pub fn cost(&self) -> usize {
        let n = &self.window;
        tiles(n) * pixels(n) / 4 * ((600 + depthwise(n)) * n.c as usize + 200 * n.oc as usize) / 4
    }

    /// With its share of the blocks, where `all` is what all jobs side by side take.
    pub fn cut(self, all: usize) -> Self {
        let splits = splits((self.cost(), all), self.pieces(), tiles(&self.window));
        SeparableInnerJob { splits: splits as i32, blocks: (splits * self.pieces()) as i32, ..self }
    }

    /// f32s of its parts.
    pub fn parts_len(&self) -> usize {
        (self.splits * self.window.oc * self.window.c) as usize
    }

    /// Its counters.
    pub fn counters(&self) -> usize {
        counters(self.splits)
    }
}

impl Job for SeparableInnerJob {
    const KERNEL: &'static str = "separable_inner";
    fn blocks(&self) -> u32 {
        self.blocks as u32
    }
    fn shared(&self, _: Arithmetic) -> u32 {
        let (p, oc, c) = (pixels(&self.window), self.window.oc as usize, (self.window.c as usize).min(64));
        (16 + (4 * p * (row(oc) + row(c) + 1)).max(512 * c.next_multiple_of(16))) as u32
    }
}

impl SeparableInputJob {
    /// With all its blocks.
    pub fn cut(self) -> Self {
        let threads = (self.b * self.h) as usize * (self.w as usize).div_ceil(4) * (self.c as usize / 4);
        SeparableInputJob { blocks: threads.div_ceil(THREADS) as i32, ..self }
    }
}

impl Job for SeparableInputJob {
    const KERNEL: &'static str = "separable_input";
    fn blocks(&self) -> u32 {
        self.blocks as u32
    }
    fn shared(&self, _: Arithmetic) -> u32 {
        0
    }
}

impl SeparableTapJob {
    fn groups(&self) -> usize {
        let Window { b, oh, ow, .. } = self.window;
        (b * oh) as usize * (ow as usize).div_ceil(4)
    }

    /// What it takes, about.
    pub fn cost(&self) -> usize {
        self.groups() * self.window.c as usize / 4 * depthwise(&self.window)
    }

    /// With its share of the blocks, where `all` is what all jobs side by side take.
    pub fn cut(self, all: usize) -> Self {
        let Window { k, c, .. } = self.window;
        let pieces = (k as usize * c as usize / 4).div_ceil(THREADS);
        let splits = splits((self.cost(), all), pieces, self.groups());
        SeparableTapJob { splits: splits as i32, blocks: (splits * pieces) as i32, ..self }
    }

    /// f32s of its parts.
    pub fn parts_len(&self) -> usize {
        (self.splits * self.window.k * self.window.k * self.window.c) as usize
    }

    /// Its counters.
    pub fn counters(&self) -> usize {
        counters(self.splits)
    }
}

impl Job for SeparableTapJob {
    const KERNEL: &'static str = "separable_taps";
    fn blocks(&self) -> u32 {
        self.blocks as u32
    }
    fn shared(&self, _: Arithmetic) -> u32 {
        (16 + 16 * self.window.k as usize * THREADS) as u32
    }
}
