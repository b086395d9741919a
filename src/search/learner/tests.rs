//! A learner on a few digits: that it learns, resumes to the bit, refuses what does not fit, and measures what it should.

use super::*;
use crate::data::{DataOptions, Splits};
use crate::net::SupernetConfig;
use crate::search::training::stream_seed;
use crate::search::{Silent, Stateful, checkpoint, in_order};
use crate::space::{Candidate, SearchSpace};
use candle_core::Device;
use std::cell::RefCell;

fn learner(channels: usize) -> Learner {
    let config = SupernetConfig { channels, cells: 1, seed: 3, ..Default::default() };
    Learner::new(Supernet::new(SearchSpace::nas_bench_201(), config, &Device::Cpu).unwrap(), 5)
}

fn digits() -> Dataset {
    Splits::open("digits", &DataOptions { limit: Some(16), ..Default::default() }).unwrap().train
}

fn config() -> TrainConfig {
    TrainConfig { epochs: 4, batch_size: 32, lr: 0.05, ..Default::default() }
}

fn bits(learner: &Learner) -> Vec<(String, Vec<u32>)> {
    let tensors = learner.state().unwrap().tensors;
    let values =
        |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
    tensors.iter().map(|(name, t)| (name.clone(), values(t))).collect()
}

/// Keeps what it is told.
#[derive(Default)]
struct Ticks(RefCell<Vec<Tick>>);

impl Progress for Ticks {
    fn tick(&self, tick: &Tick) {
        self.0.borrow_mut().push(tick.clone());
    }

    fn note(&self, _: &str) {}
}

#[test]
fn epochs_of_training_bring_the_loss_down() {
    let (mut learner, data, cfg) = (learner(4), digits(), config());
    let ticks = Ticks::default();
    let before = learner.evaluate(in_order(&data, 64).unwrap(), None, Mode::Eval, &Silent).unwrap();
    let losses: Vec<EpochStats> = (0..4).map(|_| learner.train_epoch(&data, None, &cfg, &ticks).unwrap()).collect();
    let after = learner.evaluate(in_order(&data, 64).unwrap(), None, Mode::Eval, &Silent).unwrap();
    assert!(losses[3].loss < losses[0].loss && after.loss < before.loss, "{losses:?}");
    assert_eq!((learner.epoch(), losses[3].images, before.lr), (4, data.len(), 0.0));
    let ticks = ticks.0.into_inner();
    assert_eq!(ticks.len(), 4 * data.len().div_ceil(32));
    let last = ticks.last().unwrap();
    assert_eq!((last.task, last.epoch, last.step), ("train", (4, 4), (5, 5)));
}

#[test]
fn a_restored_learner_goes_on_to_the_same_bits() {
    restored(config());
    restored(TrainConfig { drop_path: 0.4, ..config() });
}

fn restored(cfg: TrainConfig) {
    let (mut first, data) = (learner(4), digits());
    first.net.drop(Candidate { cell_type: 0, edge: 2, op: 0 }).unwrap();
    first.train_epoch(&data, None, &cfg, &Silent).unwrap();
    let folder = tempfile::tempdir().unwrap();
    checkpoint::save(folder.path(), &[("net".into(), first.state().unwrap())], &serde_json::Value::Null).unwrap();
    first.train_epoch(&data, None, &cfg, &Silent).unwrap();

    let mut second = learner(4);
    let (mut states, _) = checkpoint::load(folder.path()).unwrap().unwrap();
    second.restore(states.remove(0).1).unwrap();
    second.train_epoch(&data, None, &cfg, &Silent).unwrap();
    assert_eq!(bits(&first), bits(&second));
    assert_eq!(first.net.mask(), second.net.mask());
    assert_eq!(first.epoch(), second.epoch());
}

#[test]
fn drop_path_leaves_out_as_many_as_asked_and_draws_anew_in_every_pass_of_an_epoch() {
    let (mut learner, data) = (learner(4), digits());
    let batch = in_order(&data, 64).unwrap().next().unwrap();
    let masks = |l: &Learner, p: f64| l.dropped(&batch, p).unwrap().masks;
    assert!(learner.dropped(&batch, 0.0).is_none());
    learner.begin_epoch(2);
    let (first, second) = (masks(&learner, 0.3), masks(&learner, 0.3));
    learner.begin_epoch(3);
    let other = masks(&learner, 0.3);
    learner.begin_epoch(2);
    assert!(first != second && first != other && first == masks(&learner, 0.3));
    let all = first.concat();
    let (kept, n) = (all.iter().sum::<f32>() / all.len() as f32, all.len() as f32);
    // Four standard deviations.
    assert!((kept - 0.7).abs() < 4.0 * (0.21f32 / n).sqrt(), "{kept} of {n}");
    assert_eq!(learner.dropped(&batch, 0.25).unwrap().keep, 0.75);

    let loss = |l: &Learner, mode, p| l.loss(&batch, None, mode, p).unwrap().to_scalar::<f32>().unwrap();
    assert_ne!(loss(&learner, Mode::Train, 0.5), loss(&learner, Mode::Train, 0.0));
    assert_eq!(loss(&learner, Mode::Eval, 0.5), loss(&learner, Mode::Eval, 0.0));
}

#[test]
fn a_state_of_another_network_is_refused_and_changes_nothing() {
    let mut other = learner(8);
    let before = bits(&other);
    let error = other.restore(learner(4).state().unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("supernet of the checkpoint, config: got {\"channels\":4"), "{error}");
    assert_eq!(before, bits(&other));
}

#[test]
fn a_state_from_before_the_options_goes_on_and_one_with_others_is_refused() {
    let (saved, mut second) = (learner(4), learner(4));
    let mut state = saved.state().unwrap();
    let config = state.json["config"].as_object_mut().unwrap();
    assert_eq!((config.remove("pool_norm"), config.remove("head_norm")), (Some(false.into()), Some(true.into())));
    second.restore(state).unwrap();
    assert_eq!(bits(&saved), bits(&second));

    let mut state = saved.state().unwrap();
    state.json["config"]["pool_norm"] = true.into();
    let error = second.restore(state).unwrap_err().to_string();
    assert!(
        error.starts_with("supernet of the checkpoint, config: got") && error.contains("\"pool_norm\":true"),
        "{error}"
    );
}

#[test]
fn what_is_not_finite_stops_before_the_weights_are_touched() {
    let (mut learner, data, cfg) = (learner(4), digits(), config());
    let weight = learner.net.params().get("classifier.weight").unwrap().var.clone();
    weight.set(&Tensor::full(f32::MAX, weight.shape(), &Device::Cpu).unwrap()).unwrap();
    let weights = |l: &Learner| bits(l).into_iter().filter(|(n, _)| !n.contains("running")).collect::<Vec<_>>();
    let before = weights(&learner);
    let error = learner.train_epoch(&data, None, &cfg, &Silent).unwrap_err().to_string();
    assert!(error.starts_with("the logits became inf in epoch 1, step 1"), "{error}");
    assert_eq!(before, weights(&learner));
}

#[test]
fn the_measurement_is_the_mean_over_the_images_of_all_batches() {
    let (learner, data) = (learner(4), digits());
    let ticks = Ticks::default();
    let iim = learner.measure_iim(&data, &Measurement::of(10, 4), &ticks).unwrap();
    assert_eq!(ticks.0.borrow().iter().map(|t| t.images).collect::<Vec<_>>(), [4, 7, 10]);
    assert_eq!(iim, learner.measure_iim(&data, &Measurement::of(10, 4), &Silent).unwrap(), "the same images again");

    let (mut sum, mixing) = (0.0, learner.net.mask_mixing().unwrap());
    let conv = Candidate { cell_type: 0, edge: 1, op: 3 };
    for (batch, size) in learner.measured(&data, &Measurement::of(10, 4)).unwrap().zip([4, 3, 3]) {
        assert_eq!(batch.y.len(), size);
        sum += learner.net.score(&learner.input(&batch).unwrap(), &mixing).unwrap().sum.get(conv);
    }
    let got = *iim.score.get(conv);
    assert!((got / (sum / 10.0) - 1.0).abs() < 1e-12, "{got}, {}", sum / 10.0);
}

#[test]
fn a_measurement_takes_images_as_they_are_or_augmented_anew_each_epoch() {
    let (mut learner, data) = (learner(4), digits());
    let how = |augment| Measurement { augment, ..Measurement::of(40, 16) };
    let images = |l: &Learner, augment| {
        let batches: Vec<Batch> = l.measured(&data, &how(augment)).unwrap().collect();
        let all = |part: fn(&Batch) -> Vec<u32>| batches.iter().flat_map(part).collect::<Vec<_>>();
        (all(|b| b.images.clone()), all(|b| b.x.iter().map(|x| x.to_bits()).collect()))
    };
    let (plain, first) = (images(&learner, false), images(&learner, true));
    assert_eq!(first, images(&learner, true));
    learner.begin_epoch(2);
    let second = images(&learner, true);
    assert_eq!(plain, images(&learner, false));
    assert!(plain.0 == first.0 && first.0 == second.0, "the same images");
    assert!(plain.1 != first.1 && first.1 != second.1, "moved, and each epoch otherwise");
    let iim = |augment| learner.measure_iim(&data, &how(augment), &Silent).unwrap();
    assert_ne!(iim(false), iim(true));
}

#[test]
fn a_measurement_is_under_the_mask_or_under_a_mix() {
    let (learner, data) = (learner(4), digits());
    let own = learner.net.mask_mixing().unwrap();
    let twice: Vec<Tensor> = own.iter().map(|t| (t * 2.0).unwrap()).collect();
    let iim = |mixing| learner.measure_iim(&data, &Measurement { mixing, ..Measurement::of(10, 4) }, &Silent).unwrap();
    assert_eq!(iim(None), iim(Some(&own)));
    // A skip of a node whose candidates weigh twice as much carries twice as much: s^-4 is a sixteenth, more in later cells.
    let skip = Candidate { cell_type: 0, edge: 2, op: 1 };
    let times = iim(None).score.get(skip) / iim(Some(&twice)).score.get(skip);
    assert!(times > 10.0, "{times}");
}

#[test]
fn training_images_come_in_a_new_order_each_epoch_or_in_that_of_the_store() {
    let (mut learner, data) = (learner(4), digits());
    let order = |l: &Learner, shuffle| {
        let batches = l.batches(&data, &TrainConfig { shuffle, ..config() }, 0).unwrap();
        batches.flat_map(|b| b.images).collect::<Vec<_>>()
    };
    let store: Vec<u32> = data.indices.to_vec();
    let first = order(&learner, true);
    assert_eq!(store, order(&learner, false));
    learner.begin_epoch(2);
    assert_eq!(store, order(&learner, false));
    assert!(first != store && first != order(&learner, true));
}

#[test]
fn begin_epoch_names_the_epoch_that_training_is_in() {
    let (mut learner, data, cfg) = (learner(4), digits(), config());
    learner.begin_epoch(3);
    learner.train_epoch(&data, None, &cfg, &Silent).unwrap();
    assert_eq!(learner.epoch(), 3);
    let last = cfg.learning_rate(3, 4, 5);
    assert_eq!(learner.stats().lr, last);
    learner.train_epoch(&data, None, &cfg, &Silent).unwrap();
    assert_eq!(learner.epoch(), 4);
}

#[test]
fn a_step_with_given_gradients_counts_the_pass_that_they_are_of() {
    let (mut own, mut given, data, cfg) = (learner(4), learner(4), digits(), config());
    for learner in [&mut own, &mut given] {
        learner.begin_epoch(1);
    }
    let other = own.batches(&data, &cfg, 1).unwrap().next().unwrap();
    for batch in own.batches(&data, &cfg, 0).unwrap() {
        let loss = own.train_step(&batch, None, &cfg).unwrap();
        let gradients = given.backward(&given.loss(&batch, None, Mode::Train, 0.0).unwrap()).unwrap();
        // Passes over other images, and in other modes, are none of it.
        given.loss(&other, None, Mode::Batch, 0.0).unwrap();
        given.loss(&batch, None, Mode::Batch, 0.0).unwrap();
        given.step_with(&gradients, &batch, &cfg).unwrap();
        assert!(loss > 0.0);
    }
    let without_time = |stats: EpochStats| EpochStats { seconds: 0.0, ..stats };
    assert_eq!(without_time(given.stats()), without_time(own.stats()));
    assert!(given.stats().images == data.len() && given.stats().seconds > 0.0, "{:?}", given.stats());
    // Gradients of nobody's pass: a step, and nothing to count.
    let gradients = given.backward(&given.loss(&other, None, Mode::Batch, 0.0).unwrap()).unwrap();
    given.step_with(&gradients, &other, &cfg).unwrap();
    assert_eq!(given.stats().images, data.len());
}

#[test]
fn streams_have_seeds_of_their_own() {
    let seeds: std::collections::BTreeSet<u64> = (0..100).map(|stream| stream_seed(7, stream)).collect();
    assert_eq!((seeds.len(), stream_seed(7, 0)), (100, 7));
}
