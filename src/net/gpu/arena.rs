//! Where buffers lie in one piece of memory, when it is known before how long each is needed.

/// A buffer: its bytes, and the takes and gives, counted from the first, between which it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    pub bytes: usize,
    pub from: usize,
    /// [`ALWAYS`], if it is never given back.
    pub until: usize,
}

/// To the end, and in the next pass.
pub const ALWAYS: usize = usize::MAX;

/// The offset of each, in order, and the bytes of all. No two that are needed at once overlap.
///
/// The largest first, each at the first place that is free for as long as it is needed ("greedy by size" of Pisarchyk and Lee,
/// arXiv:2001.03288); what is needed always lies below all others.
pub fn place(lives: &[Life]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0; lives.len()];
    let mut below = 0;
    for (offset, life) in offsets.iter_mut().zip(lives).filter(|(_, life)| life.until == ALWAYS) {
        *offset = below;
        below += life.bytes;
    }
    let mut order: Vec<usize> = (0..lives.len()).filter(|&i| lives[i].until != ALWAYS).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(lives[i].bytes));
    // Those that have a place, by offset.
    let mut placed: Vec<usize> = Vec::with_capacity(order.len());
    let mut all = below;
    for i in order {
        let life = lives[i];
        let mut at = below;
        for &j in &placed {
            let apart = lives[j].until <= life.from || life.until <= lives[j].from;
            if !apart && at + life.bytes <= offsets[j] {
                break;
            }
            if !apart {
                at = at.max(offsets[j] + lives[j].bytes);
            }
        }
        offsets[i] = at;
        all = all.max(at + life.bytes);
        let position = placed.partition_point(|&j| offsets[j] <= at);
        placed.insert(position, i);
    }
    (offsets, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn what_is_needed_at_once_lies_apart_and_the_whole_is_near_what_is_needed_at_most() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for n in [1, 2, 30, 300] {
            let mut lives: Vec<Life> = Vec::new();
            for from in 0..n {
                let until = if random.random_bool(0.1) { ALWAYS } else { from + random.random_range(1..20) };
                lives.push(Life { bytes: 256 << random.random_range(0..8), from, until });
            }
            let (offsets, all) = place(&lives);
            for (i, a) in lives.iter().enumerate() {
                assert!(offsets[i] + a.bytes <= all);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let at_once = a.from < b.until && b.from < a.until;
                    let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                    assert!(!at_once || apart, "{a:?} at {}, {b:?} at {}", offsets[i], offsets[j]);
                }
            }
            let needed = |t: usize| lives.iter().filter(|l| l.from <= t && t < l.until).map(|l| l.bytes).sum();
            let most: usize = (0..n + 20).map(needed).max().unwrap_or_default();
            assert!(most <= all && 2 * all <= 3 * most, "{n} buffers: {all} bytes, {most} at once");
        }
    }
}
