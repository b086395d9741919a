//! From a trained supernet to a larger one: which parameter each of the new ones comes from, and how its values are widened.
//!
//! - **Where from.** Blocks keep their place in their stage; cells behind the last one of a stage come from that last one. A candidate
//!   comes from the one of the same op on the same edge, wherever it stands in its space's list. What the smaller one does not have is
//!   fresh.
//! - **Wider**, as Net2Net does it (Chen et al., ICLR 2016): channel j of n comes from channel floor(j m / n) of m, so that copies stand
//!   side by side, in concatenations and halves, too; weights that read a copied channel are divided by the number of its copies.
//!   So the wider network computes what the smaller one does, but for networks with partial channels, whose candidates come to
//!   see other channels (DrNAS widens these by copies in the same way, drawn and not divided).

use super::SupernetConfig;
use super::graph::supernet::{blocks, cell_type, name_of, skip_of};
use crate::error::{Error, Result};
use crate::space::{Candidate, Mask, SearchSpace};
use candle_core::{Tensor, bail};

/// A space and a size.
pub type Sized<'a> = (&'a SearchSpace, &'a SupernetConfig);

/// An error unless `new` is `old`, or larger, in each direction.
pub fn check(new: Sized, old: Sized) -> Result<()> {
    let ((space, config), (old_space, old_config)) = (new, old);
    let refused = |what: &str, got: String, expected: String| {
        Err(Error::invalid(format!("growth of a supernet, {what}"), got, expected))
    };
    if space.topology() != old_space.topology() {
        let names = [space, old_space].map(|s| s.name().to_string());
        return refused("space", names[0].clone(), format!("one of the wiring of {}", names[1]));
    }
    for (what, new, old) in [
        ("channels", config.channels, old_config.channels),
        ("cells", config.cells, old_config.cells),
        ("nodes", space.nodes(), old_space.nodes()),
    ] {
        if new < old {
            return refused(what, new.to_string(), format!("at least the {old} that it has"));
        }
    }
    if config.partial > old_config.partial {
        let expected = format!("at most {}: candidates get no fewer channels", old_config.partial);
        return refused("partial", config.partial.to_string(), expected);
    }
    if config.in_all != old_config.in_all || config.in_all && config.cells != old_config.cells {
        return refused("cells", config.cells.to_string(), format!("the {} that it has in all", old_config.cells));
    }
    match config.classes == old_config.classes {
        true => Ok(()),
        false => refused("classes", config.classes.to_string(), format!("the {} that it has", old_config.classes)),
    }
}

/// The block that a block comes from.
pub fn block(new: &SupernetConfig, old: &SupernetConfig, k: usize) -> usize {
    if new.in_all {
        return k;
    }
    let (stage, position) = (k / (new.cells + 1), k % (new.cells + 1));
    // A reduction stands behind its stage.
    let position = if position == new.cells { old.cells } else { position.min(old.cells - 1) };
    stage * (old.cells + 1) + position
}

/// The candidate of the second space that a candidate of the first comes from.
pub fn candidate((new, old): (&SearchSpace, &SearchSpace), c: Candidate) -> Option<Candidate> {
    let edge = new.edges()[c.edge];
    let edge = old.edges().into_iter().find(|e| (e.from, e.to) == (edge.from, edge.to))?;
    let op = old.ops().iter().position(|op| *op == new.ops()[c.op])?;
    Some(Candidate { cell_type: c.cell_type, edge: edge.index, op }).filter(|c| old.has(*c))
}

/// The name that parameter `name` of `new` has in `old`; none of a fresh one.
pub fn source((space, config): Sized, (old_space, old_config): Sized, name: &str) -> Option<String> {
    let Some((k, part)) = name.strip_prefix("cells.").and_then(|rest| rest.split_once('.')) else {
        return Some(name.to_string());
    };
    let k: usize = k.parse().ok().filter(|k| *k < blocks(config))?;
    let from = block(config, old_config, k);
    let Some(cell_type) = cell_type(space, config, k).filter(|_| part.starts_with("edges.")) else {
        return Some(format!("cells.{from}.{part}"));
    };
    let behind = |prefix: String| name.strip_prefix(&prefix).filter(|rest| rest.starts_with('.'));
    for edge in space.edges() {
        let old_edge = old_space.edges().into_iter().find(|e| (e.from, e.to) == (edge.from, edge.to));
        if let Some(rest) = behind(skip_of(space, k, edge)) {
            return Some(skip_of(old_space, from, old_edge?) + rest);
        }
        for op in 0..space.ops().len() {
            if let Some(rest) = behind(name_of(space, k, edge, op)) {
                let c = candidate((space, old_space), Candidate { cell_type, edge: edge.index, op })?;
                return Some(name_of(old_space, from, old_edge?, c.op) + rest);
            }
        }
    }
    None
}

/// The mask of `new` where `old` has `mask`: what is new is alive.
pub fn mask(new: &SearchSpace, old: &SearchSpace, mask: &Mask) -> Mask {
    let mut table = Mask::full(new).table().clone();
    for c in new.candidates() {
        *table.get_mut(c) = candidate((new, old), c).is_none_or(|from| mask.is_alive(from));
    }
    Mask::from_table(table)
}

/// Whether a parameter of one shape comes from one of another: along an axis as many numbers, or more of them by the factor of the
/// channels, or of those of candidates.
pub fn fits(shape: &[usize], from: &[usize], new: &SupernetConfig, old: &SupernetConfig) -> bool {
    let wider = |a: usize, b: usize| {
        let (all, parts) = (a * old.channels == b * new.channels, (old.partial, new.partial));
        all || a * old.channels * parts.1 == b * new.channels * parts.0
    };
    let axis = |(i, (&a, &b)): (usize, (&usize, &usize))| a == b || i < 2 && a > b && wider(a, b);
    shape.len() == from.len() && shape.iter().zip(from).enumerate().all(axis)
}

/// `from`, widened to `shape` along its first two axes.
pub fn widened(from: &Tensor, shape: &[usize]) -> candle_core::Result<Tensor> {
    let mut to = from.clone();
    for (axis, &n) in shape.iter().enumerate().take(2) {
        let m = to.dim(axis)?;
        if n == m {
            continue;
        }
        if n < m {
            bail!("{n} of {m} numbers are no growth");
        }
        let index: Vec<u32> = (0..n).map(|j| (j * m / n) as u32).collect();
        let copies = |j: &u32| 1.0 / index.iter().filter(|i| *i == j).count() as f32;
        let share: Vec<f32> = index.iter().map(copies).collect();
        to = to.index_select(&Tensor::new(&index[..], to.device())?, axis)?;
        if axis == 1 {
            let mut wide = vec![1; shape.len()];
            wide[1] = n;
            to = to.broadcast_mul(&Tensor::from_vec(share, wide, to.device())?)?;
        }
    }
    to.contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Mode, Supernet};
    use crate::space::Primitive::{MaxPool3x3, SepConv3x3, SkipConnect};
    use crate::space::Topology;
    use candle_core::Device;
    use std::collections::HashMap;

    fn sized(space: SearchSpace, channels: usize, cells: usize) -> (SearchSpace, SupernetConfig) {
        (space, SupernetConfig { channels, cells, classes: 3, ..Default::default() })
    }

    #[test]
    fn a_wider_network_computes_what_the_smaller_one_does() {
        let device = Device::Cpu;
        for (space, channels) in
            [(SearchSpace::nas_bench_201(), [3, 7]), (SearchSpace::darts(), [2, 4]), (SearchSpace::darts(), [4, 8])]
        {
            let [old, new] = channels.map(|c| SupernetConfig { seed: c as u64, ..sized(space.clone(), c, 1).1 });
            let [small, large] = [old, new].map(|c| Supernet::new_reference(space.clone(), c, &device).unwrap());
            let from = small.params().tensors().unwrap();
            let mut to = HashMap::new();
            for p in large.params().iter() {
                let source = &from[&source((&space, &new), (&space, &old), &p.name).unwrap()];
                assert!(fits(p.var.dims(), source.dims(), &new, &old), "{}", p.name);
                to.insert(p.name.clone(), widened(source, p.var.dims()).unwrap());
            }
            large.params().assign(&to).unwrap();
            let x: Vec<f32> = (0..2 * 3 * 64).map(|i| (i as f32 * 0.7).sin()).collect();
            let x = Tensor::from_vec(x, (2, 3, 8, 8), &device).unwrap();
            for mode in [Mode::Batch, Mode::Eval] {
                let [want, got] = [&small, &large].map(|net| {
                    let logits = net.forward(&x, &net.mask_mixing().unwrap(), mode).unwrap();
                    logits.flatten_all().unwrap().to_vec1::<f32>().unwrap()
                });
                let far = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(far < 1e-5, "{} {mode:?}: {want:?}, {got:?}", space.name());
            }
        }
    }

    #[test]
    fn cells_edges_and_ops_come_from_their_like_wherever_they_stand() {
        let darts = SearchSpace::darts();
        let fewer = SearchSpace::custom("own", Topology::Darts, 3, &[MaxPool3x3, SkipConnect, SepConv3x3]).unwrap();
        let (old, new) = (sized(fewer.clone(), 4, 1), sized(darts.clone(), 4, 3));
        let from = |name: &str| source((&new.0, &new.1), (&old.0, &old.1), name);
        for (name, want) in [
            ("stem.0.weight", Some("stem.0.weight")),
            ("cells.2.preprocess1.op.1.weight", Some("cells.0.preprocess1.op.1.weight")),
            ("cells.3.preprocess0.op.1.weight", Some("cells.1.preprocess0.op.1.weight")),
            ("cells.6.edges.0<-1.ops.2.op_a.op.1.weight", Some("cells.2.edges.0<-1.ops.2.op_a.op.1.weight")),
            ("cells.10.edges.1<-2.ops.1.op", Some("cells.4.edges.1<-2.ops.1.op")),
            ("cells.0.edges.0<-0.ops.7.op", Some("cells.0.edges.0<-0.ops.0.op")),
            ("cells.0.edges.0<-0.ops.3.op_a.op.1.weight", None),
            ("cells.0.edges.3<-0.ops.1.op", None),
            ("cells.7.edges.0<-0.skip.convs.0.weight", Some("cells.3.edges.0<-0.skip.convs.0.weight")),
        ] {
            assert_eq!(from(name).as_deref(), want, "{name}");
        }
        let kept = Mask::only(&fewer, &fewer.candidates()[1..]).unwrap();
        let grown = mask(&darts, &fewer, &kept);
        let dead: Vec<Candidate> = darts.candidates().into_iter().filter(|c| !grown.is_alive(*c)).collect();
        assert_eq!(dead, [Candidate { cell_type: 0, edge: 0, op: 7 }]);
    }

    #[test]
    fn what_is_no_growth_is_refused_in_words() {
        let small = sized(SearchSpace::darts(), 8, 2);
        let partial = |partial| SupernetConfig { partial, ..small.1 };
        for (new, old, says) in [
            (sized(SearchSpace::nas_bench_201(), 8, 2), small.clone(), "space: got nas-bench-201, expected one of the"),
            (sized(SearchSpace::darts(), 4, 2), small.clone(), "channels: got 4, expected at least the 8 that it has"),
            (sized(SearchSpace::darts(), 8, 1), small.clone(), "cells: got 1, expected at least the 2"),
            (
                (SearchSpace::darts(), partial(4)),
                (SearchSpace::darts(), partial(2)),
                "partial: got 4, expected at most 2",
            ),
        ] {
            let error = check((&new.0, &new.1), (&old.0, &old.1)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(!fits(&[16, 16, 1, 1], &[16, 12, 1, 1], &small.1, &small.1));
    }
}
