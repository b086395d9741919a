//! Batches, augmented and normalised, prepared ahead on their own thread.

use super::Dataset;
use super::augment::{Augment, AugmentDraw, Normalise};
use super::photo;
use super::random::{Purpose, shuffled, stream};
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Batches that wait, ready, for the consumer; one more is in the making.
const AHEAD: usize = 2;

/// A batch ready for a network.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Normalised pixels, `[b, c, h, w]`.
    pub x: Vec<f32>,
    /// Classes, `[b]`.
    pub y: Vec<u32>,
    /// Which images of the store they are, `[b]`.
    pub images: Vec<u32>,
    /// `(b, c, h, w)`
    pub shape: (usize, usize, usize, usize),
    /// Position in its epoch, 0-based.
    pub index: usize,
    /// Batches in its epoch.
    pub total: usize,
}

/// What to load, in which order.
#[derive(Clone, Copy, Debug)]
pub struct BatchPlan {
    /// Images a batch.
    pub batch_size: usize,
    /// (seed, epoch) of all that is drawn.
    pub draws: (u64, u64),
    /// In an order that is drawn, or in that of the store.
    pub shuffle: bool,
    /// `None`: the images as they are. What is drawn for an image depends only on `draws` and its position in the epoch.
    pub augment: Option<Augment>,
    /// What becomes of images that do not fill a batch.
    pub rest: Rest,
}

/// What becomes of images that do not fill a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// They are a last, smaller batch.
    Short,
    /// They are left out (unless there are no others).
    Dropped,
    /// They are spread: as few batches as of [`Rest::Short`], of sizes that differ by at most one. For what is measured by the
    /// statistics of each batch, which a few images are not enough for.
    Spread,
}

impl BatchPlan {
    /// The images as they are, in the order of the store.
    pub fn in_order(batch_size: usize, rest: Rest) -> Self {
        BatchPlan { batch_size, draws: (0, 0), shuffle: false, augment: None, rest }
    }

    /// Where each of the batches of `n` images begins and ends.
    fn ranges(&self, n: usize) -> Vec<Range<usize>> {
        let (size, full) = (self.batch_size, n / self.batch_size);
        let total = if self.rest == Rest::Dropped && full > 0 { full } else { n.div_ceil(size) };
        let begin = |i: usize| match self.rest {
            Rest::Spread => i * (n / total) + i.min(n % total),
            Rest::Short | Rest::Dropped => (i * size).min(n),
        };
        (0..total).map(|i| begin(i)..begin(i + 1)).collect()
    }
}

/// Iterator over the batches of one epoch. The same plan gives the same bits, whatever the thread count.
///
/// Dropping it ends its thread, within the time of one batch. Should that thread panic, `next` panics with the same message.
/// Where the system gives no more threads, `next` prepares its batch itself.
pub struct Batches {
    total: usize,
    /// In place of a thread.
    here: Option<Box<dyn Iterator<Item = Batch> + Send>>,
    /// Taken away to tell the thread to end.
    ready: Option<Receiver<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Batches {
    /// Start loading. An error for an empty set or `batch_size = 0`.
    pub fn start(data: &Dataset, plan: BatchPlan) -> Result<Self> {
        if plan.batch_size == 0 {
            return Err(Error::invalid("batch_size", 0, "at least 1"));
        }
        if data.is_empty() {
            return Err(Error::invalid(format!("data set `{}`", data.name), "0 images", "at least 1"));
        }
        let total = plan.ranges(data.len()).len();
        let (sender, ready) = sync_channel(AHEAD);
        if let (Some(wholes), true) = (&data.wholes, plan.augment.is_some_and(|augment| augment.photo)) {
            // Here, where an error can still be returned.
            wholes.get()?;
        }
        let mine = data.clone();
        let work = move || {
            for batch in made(mine, plan) {
                // No receiver: nobody wants the rest.
                if sender.send(batch).is_err() {
                    return;
                }
            }
        };
        Ok(match std::thread::Builder::new().name("batches".into()).spawn(work) {
            Ok(thread) => Batches { total, here: None, ready: Some(ready), thread: Some(thread) },
            Err(_) => Batches { total, here: Some(Box::new(made(data.clone(), plan))), ready: None, thread: None },
        })
    }

    /// Number of batches of the epoch.
    pub fn total(&self) -> usize {
        self.total
    }
}

/// All batches of `data`, each prepared when it is asked for.
fn made(data: Dataset, plan: BatchPlan) -> impl Iterator<Item = Batch> {
    let (order, normalise, ranges) = (epoch_order(&data, &plan), Normalise::new(&data), plan.ranges(data.len()));
    let total = ranges.len();
    let batch = move |(index, range)| batch(&data, &plan, &order, &normalise, range, (index, total));
    ranges.into_iter().enumerate().map(batch)
}

/// Positions in `data` in the order of the epoch.
fn epoch_order(data: &Dataset, plan: &BatchPlan) -> Vec<u32> {
    let order = (0..data.len() as u32).collect();
    let (seed, epoch) = plan.draws;
    if plan.shuffle { shuffled(order, seed, Purpose::Shuffle, epoch) } else { order }
}

fn batch(
    data: &Dataset,
    plan: &BatchPlan,
    order: &[u32],
    normalise: &Normalise,
    range: Range<usize>,
    (index, total): (usize, usize),
) -> Batch {
    let start = range.start;
    let chosen = &order[range];
    let (c, h, w) = data.shape;
    let mut x = vec![0.0; chosen.len() * c * h * w];
    let (seed, epoch) = plan.draws;
    let mut rng = stream(seed, Purpose::Augment, epoch);
    for (i, (&position, out)) in chosen.iter().zip(x.chunks_exact_mut(c * h * w)).enumerate() {
        let draw = plan.augment.map_or(AugmentDraw::NONE, |augment| {
            rng.set_stream((start + i) as u64);
            rng.set_word_pos(0);
            AugmentDraw::new(&augment, data.shape, &mut rng)
        });
        let cutout = plan.augment.map_or(0, |augment| augment.cutout);
        let image = data.image(position as usize);
        match plan.augment.filter(|augment| augment.photo) {
            Some(augment) => {
                let (image, size) = data.whole(position as usize);
                photo::PhotoDraw::new(size, augment.flip, &mut rng).write(data, image, size, out);
                draw.cut_out(data.shape, cutout, out);
            }
            None => normalise.write(image, data.shape, &draw, cutout, out),
        }
    }
    let y = chosen.iter().map(|&position| data.label(position as usize)).collect();
    let images = chosen.iter().map(|&position| data.indices[position as usize]).collect();
    Batch { x, y, images, shape: (chosen.len(), c, h, w), index, total }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if let Some(here) = &mut self.here {
            return here.next();
        }
        if let Ok(batch) = self.ready.as_ref()?.recv() {
            return Some(batch);
        }
        // The sender is gone: the epoch is over, or the thread panicked.
        self.ready = None;
        if let Err(panic) = self.thread.take()?.join() {
            std::panic::resume_unwind(panic);
        }
        None
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // First the receiver: a thread that waits for room in the queue wakes up and ends.
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was not seen by a consumer that stopped early, and must not become a second one here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DataOptions, Splits};
    use super::*;
    use std::sync::Arc;

    const AUGMENT: Augment = Augment { crop_pad: 1, flip: true, cutout: 2, photo: false };

    fn digits(n: usize) -> Dataset {
        Splits::open("digits", &DataOptions::default()).unwrap().train.take(n, 0)
    }

    fn plan(batch_size: usize, shuffle: Option<(u64, u64)>, augment: Option<Augment>) -> BatchPlan {
        let (draws, shuffle) = (shuffle.unwrap_or((0, 0)), shuffle.is_some());
        BatchPlan { batch_size, draws, shuffle, augment, rest: Rest::Short }
    }

    fn load(data: &Dataset, plan: BatchPlan) -> (Vec<f32>, Vec<u32>) {
        let batches: Vec<_> = Batches::start(data, plan).unwrap().collect();
        (batches.iter().flat_map(|b| b.x.clone()).collect(), batches.iter().flat_map(|b| b.y.clone()).collect())
    }

    #[test]
    fn without_a_thread_the_batches_are_the_same() {
        let (data, plan) = (digits(70), plan(16, Some((3, 2)), Some(AUGMENT)));
        let here = Batches { total: 5, here: Some(Box::new(made(data.clone(), plan))), ready: None, thread: None };
        let bits = |batches: Batches| batches.map(|b| (b.x, b.y, b.images, b.index, b.total)).collect::<Vec<_>>();
        let found = bits(here);
        assert!(found.len() == 5 && found == bits(Batches::start(&data, plan).unwrap()));
    }

    #[test]
    fn batches_know_their_shape_and_place() {
        for (n, rest, sizes) in [
            (10, Rest::Short, &[4, 4, 2][..]),
            (10, Rest::Dropped, &[4, 4]),
            (8, Rest::Dropped, &[4, 4]),
            (3, Rest::Dropped, &[3]),
            (1, Rest::Short, &[1]),
            (10, Rest::Spread, &[4, 3, 3]),
            (9, Rest::Spread, &[3, 3, 3]),
            (8, Rest::Spread, &[4, 4]),
            (3, Rest::Spread, &[3]),
        ] {
            let batches = Batches::start(&digits(n), BatchPlan { rest, ..plan(4, None, None) }).unwrap();
            assert_eq!(batches.total(), sizes.len());
            for (i, batch) in batches.enumerate() {
                assert_eq!(batch.shape, (sizes[i], 3, 8, 8), "{n} images, rest {rest:?}, batch {i}");
                assert_eq!((batch.x.len(), batch.y.len()), (sizes[i] * 192, sizes[i]));
                assert_eq!((batch.index, batch.total), (i, sizes.len()));
            }
        }
    }

    #[test]
    fn in_order_and_as_they_are_images_are_only_normalised() {
        let data = digits(5);
        let (x, y) = load(&data, plan(2, None, None));
        for i in 0..5 {
            assert_eq!(y[i], data.label(i));
            for (k, &p) in data.image(i).iter().enumerate() {
                let expected = (f32::from(p) / 255.0 - data.mean[k / 64]) / data.std[k / 64];
                assert!((x[i * 192 + k] - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_whole_training_set_has_mean_zero_and_deviation_one() {
        let (x, _) = load(&digits(usize::MAX), plan(64, Some((0, 0)), None));
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / x.len() as f64;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
    }

    #[test]
    fn the_same_plan_gives_the_same_bits_and_another_seed_or_epoch_others() {
        let data = digits(100);
        let at = |seed, epoch| load(&data, plan(16, Some((seed, epoch)), Some(AUGMENT)));
        assert_eq!(at(1, 2), at(1, 2));
        assert_ne!(at(1, 2).1, at(1, 3).1);
        assert_ne!(at(1, 2).1, at(2, 2).1);
    }

    #[test]
    fn batch_size_changes_no_image() {
        let data = digits(100);
        let spread = BatchPlan { rest: Rest::Spread, ..plan(64, Some((1, 2)), Some(AUGMENT)) };
        assert_eq!(load(&data, spread), load(&data, plan(7, Some((1, 2)), Some(AUGMENT))));
        for augment in [AUGMENT, Augment { photo: true, ..AUGMENT }] {
            let with = |batch_size| load(&data, plan(batch_size, Some((1, 2)), Some(augment)));
            assert_eq!(with(7), with(64));
        }
    }

    #[test]
    fn an_epoch_shows_every_image_once() {
        let data = digits(300);
        let (x, _) = load(&data, plan(7, Some((3, 0)), None));
        let (ordered, _) = load(&data, plan(300, None, None));
        let sorted = |x: &[f32]| {
            let mut images: Vec<_> = x.chunks(192).map(|i| i.iter().map(|v| v.to_bits()).collect::<Vec<_>>()).collect();
            images.sort();
            images
        };
        assert_ne!(x, ordered);
        assert_eq!(sorted(&x), sorted(&ordered));
    }

    #[test]
    fn an_iterator_dropped_early_ends_its_thread() {
        let data = digits(1000);
        for consumed in [0, 1, 5] {
            let mut batches = Batches::start(&data, plan(1, Some((0, 0)), Some(AUGMENT))).unwrap();
            assert_eq!(batches.by_ref().take(consumed).count(), consumed);
            drop(batches); // joins the thread
            assert_eq!(Arc::strong_count(&data.pixels), 1, "the thread's share of the images is gone");
        }
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn a_panic_in_the_thread_reaches_the_consumer() {
        let data = Dataset { labels: Arc::new(vec![0; 2]), ..digits(1000) };
        Batches::start(&data, plan(10, None, None)).unwrap().for_each(drop);
    }

    #[test]
    fn nothing_to_load_is_an_error() {
        let message =
            |n, batch_size| Batches::start(&digits(n), plan(batch_size, None, None)).err().unwrap().to_string();
        assert_eq!(message(3, 0), "batch_size: got 0, expected at least 1");
        assert_eq!(message(0, 4), "data set `digits`: got 0 images, expected at least 1");
    }
}
