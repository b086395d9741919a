//! Memory for activations: anonymous pages, asked to be huge ones (a tenth of the page faults and TLB misses), and a pool
//! that hands the same pages out again.

use crate::error::{Error, Result};
use memmap2::MmapMut;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// Bytes that buffers have asked the system for since the process began: those of a pool that serves again do not count.
pub fn mapped() -> usize {
    MAPPED.load(Ordering::Relaxed)
}

/// A slice of f32 in pages of its own. An empty one holds nothing.
#[derive(Default)]
pub struct Buffer {
    pages: Option<MmapMut>,
    len: usize,
}

impl Buffer {
    /// `len` zeros; the system provides each page when it is first touched.
    pub fn zeros(len: usize) -> Result<Self> {
        if len == 0 {
            return Ok(Buffer::default());
        }
        let bytes = len * size_of::<f32>();
        let pages = MmapMut::map_anon(bytes).map_err(|e| Error::invalid("memory", e, format!("{bytes} bytes")))?;
        MAPPED.fetch_add(bytes, Ordering::Relaxed);
        #[cfg(target_os = "linux")]
        if bytes >= 1 << 20 {
            // A kernel without huge pages refuses the advice; the memory is good all the same.
            let _ = pages.advise(memmap2::Advice::HugePage);
        }
        Ok(Buffer { pages: Some(pages), len })
    }

    fn capacity(&self) -> usize {
        self.pages.as_ref().map_or(0, |p| p.len() / size_of::<f32>())
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.pages.as_ref().map_or(&[], |p| &bytemuck::cast_slice(&p[..])[..self.len])
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let len = self.len;
        self.pages.as_mut().map_or(&mut [], |p| &mut bytemuck::cast_slice_mut(&mut p[..])[..len])
    }
}

/// Buffers not in use. Their contents are whatever was there last.
#[derive(Default)]
pub struct BufferPool {
    free: Vec<Buffer>,
}

impl BufferPool {
    /// Bytes of the buffers not in use.
    pub fn bytes(&self) -> usize {
        self.free.iter().map(|b| b.capacity() * size_of::<f32>()).sum()
    }

    /// For good: the smallest free buffer that is large enough, or a new one in place of the largest too small one.
    pub fn take(&mut self, len: usize) -> Result<Buffer> {
        if let Some(buffer) = self.smallest(len, usize::MAX) {
            return Ok(buffer);
        }
        if let Some(i) = (0..self.free.len()).max_by_key(|&i| self.free[i].capacity()) {
            self.free.swap_remove(i);
        }
        Buffer::zeros(len)
    }

    /// For a while: a free buffer whose capacity is `len` rounded up to a power of two, or a new one. Buffers of another capacity
    /// are left alone, so that a sequence of loans that is repeated finds all its buffers there. (Pages of a buffer that nobody
    /// touches are no memory.)
    pub fn borrow(&mut self, len: usize) -> Result<Buffer> {
        let most = len.next_power_of_two();
        if let Some(buffer) = self.smallest(len, most) {
            return Ok(buffer);
        }
        let mut buffer = Buffer::zeros(most)?;
        buffer.len = len;
        Ok(buffer)
    }

    fn smallest(&mut self, len: usize, most: usize) -> Option<Buffer> {
        if len == 0 {
            return Some(Buffer::default());
        }
        let fits = (0..self.free.len()).filter(|&i| (len..=most).contains(&self.free[i].capacity()));
        // Of equal ones that which was given last: its pages have been touched.
        let i = fits.rev().min_by_key(|&i| self.free[i].capacity())?;
        let mut buffer = self.free.swap_remove(i);
        buffer.len = len;
        Some(buffer)
    }

    /// Give a buffer back.
    pub fn give(&mut self, buffer: Buffer) {
        if buffer.pages.is_some() {
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_starts_as_zeros_and_keeps_what_is_written() {
        let mut b = Buffer::zeros(300_000).unwrap();
        assert!(b.iter().all(|&x| x == 0.0));
        b[299_999] = 1.5;
        assert_eq!(b[299_999], 1.5);
        assert!(Buffer::default().is_empty());
    }

    #[test]
    fn the_pool_hands_out_the_smallest_that_fits() {
        let mut pool = BufferPool::default();
        for len in [100_000, 5_000, 50_000] {
            pool.give(Buffer::zeros(len).unwrap());
        }
        let b = pool.take(4_000).unwrap();
        assert_eq!((b.len(), b.capacity()), (4_000, 5_000));
        let large = pool.take(200_000).unwrap();
        assert_eq!((large.len(), pool.free.len()), (200_000, 1));
        assert!(pool.take(0).unwrap().is_empty());
        assert_eq!(pool.free.len(), 1);
    }

    /// As backward passes do: small images late in a network, large ones early, and some of either alive at once.
    #[test]
    fn what_is_borrowed_in_the_same_order_again_is_not_new() {
        let mut pool = BufferPool::default();
        let mut pass = || -> usize {
            let before = mapped();
            let mut alive: Vec<Buffer> = Vec::new();
            for len in [1_000, 1_000, 1_000, 2_000, 2_000, 4_000, 4_000, 4_000, 3_000] {
                alive.push(pool.borrow(len).unwrap());
                if alive.len() > 3 {
                    pool.give(alive.remove(0));
                }
            }
            alive.into_iter().for_each(|b| pool.give(b));
            mapped() - before
        };
        assert!(pass() > 0);
        assert_eq!(pass(), 0);
    }
}
