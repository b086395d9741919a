//! What a network takes up, counted before it is made. No tensors.

use super::graph::{Graph, ParamSpec, subnet, supernet};
use super::{SubnetConfig, SupernetConfig};
use crate::error::{Error, Result};
use crate::memory;
use crate::space::{Family, Plan, SearchSpace};

/// Channels and classes up to which products of a few sizes stay far from what a number holds.
const MOST: usize = 1 << 20;
/// Weight, momentum, gradient: four bytes each.
const NUMBER: u128 = 12;
/// Name, shape, place in lists and graphs, of each tensor; and of each step.
const TENSOR: u128 = 1024;
const STEP: u128 = 256;

/// An error if a supernet would not fit into memory, or for sizes of 0.
pub fn check_supernet(space: &SearchSpace, config: &SupernetConfig) -> Result<()> {
    check_sizes("supernet", [config.channels, config.cells, config.classes], 1)?;
    if config.partial == 0 || !config.channels.is_multiple_of(config.partial) {
        let expected = format!("1, or a divisor of the {} channels", config.channels);
        return Err(Error::invalid("supernet, partial", config.partial, expected));
    }
    for candidate in space.candidates() {
        let (edge, op) = (space.edges()[candidate.edge], space.ops()[candidate.op]);
        let stride = space.topology().stride(candidate.cell_type, edge.from);
        op.check_stride(stride, || {
            format!("candidate of a supernet, on {}edge {edge}", space.cell_name(candidate.cell_type))
        })?;
    }
    let bytes = |cells| bytes_of(&supernet::graph(space, &SupernetConfig { cells, ..*config }, &space.full_mask()));
    // Counted in all, each third of them has a width of its own.
    let period = if config.in_all { 3 } else { 1 };
    memory::check("supernet", Some(grown(config.cells, period, bytes)), "channels or cells")
}

/// An error if an evaluation network would not fit into memory, or for sizes that are too small; `plan` is checked.
pub fn check_subnet(plan: &Plan, config: &SubnetConfig) -> Result<()> {
    let least = if config.family == Family::ImageNet { 2 } else { 1 };
    check_sizes("evaluation network", [config.channels, config.cells, config.classes], least)?;
    let bytes = |cells| bytes_of(&subnet::graph(plan, &SubnetConfig { cells, ..*config }));
    // DARTS cells: each third of them has a width of its own.
    let period = if config.family == Family::NasBench201 { 1 } else { 3 };
    memory::check("evaluation network", Some(grown(config.cells, period, bytes)), "channels or cells")
}

fn check_sizes(what: &str, [channels, cells, classes]: [usize; 3], least_channels: usize) -> Result<()> {
    let table =
        [("channels", channels, least_channels, MOST), ("cells", cells, 1, usize::MAX), ("classes", classes, 1, MOST)];
    for (name, size, least, most) in table {
        let what = || format!("{what}, {name}");
        if size < least {
            return Err(Error::invalid(what(), size, format!("at least {least}")));
        }
        if size > most {
            return Err(Error::invalid(what(), size, format!("at most {most}")));
        }
    }
    Ok(())
}

/// `count(n)`, which is known to grow by the same for every `period` of cells behind the first, whose inputs have widths of their
/// own, without counting more than three of those.
fn grown(n: usize, period: usize, count: impl Fn(usize) -> u128) -> u128 {
    if n <= 3 * period {
        return count(n);
    }
    let (two, three) = (count(2 * period), count(3 * period));
    two + (three - two) * (n / period - 2) as u128
}

fn bytes_of(graph: &Graph) -> u128 {
    let numbers = |p: &ParamSpec| p.shape.iter().map(|&n| n as u128).product::<u128>();
    let params: u128 = graph.params.iter().map(|p| NUMBER * numbers(p) + TENSOR).sum();
    params + STEP * graph.steps.len() as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_for_few_cells_holds_for_many() {
        let config = SupernetConfig { channels: 3, cells: 5, classes: 10, seed: 0, ..Default::default() };
        for space in [SearchSpace::nas_bench_201(), SearchSpace::darts()] {
            let mask = space.full_mask();
            let bytes = |cells| bytes_of(&supernet::graph(&space, &SupernetConfig { cells, ..config }, &mask));
            assert_eq!(grown(5, 1, bytes), bytes(5));
        }
        let plan = Plan::read("DARTS_V2").unwrap();
        let config = SubnetConfig { channels: 4, ..SubnetConfig::usual(Family::Cifar, 10, 0) };
        let bytes = |cells| bytes_of(&subnet::graph(&plan, &SubnetConfig { cells, ..config }));
        assert_eq!(grown(12, 3, bytes), bytes(12));
        assert!(grown(20, 3, bytes) <= bytes(20) && grown(20, 3, bytes) > bytes(17));
    }

    #[test]
    fn networks_beyond_the_memory_are_refused_with_what_to_lower() {
        let usual = SupernetConfig { channels: 16, cells: 5, classes: 10, seed: 0, ..Default::default() };
        for (config, part) in [
            (SupernetConfig { channels: 1_000_000, ..usual }, "of memory, expected at most the"),
            (SupernetConfig { cells: usize::MAX, ..usual }, "lower channels or cells"),
            (
                SupernetConfig { channels: usize::MAX, ..usual },
                "supernet, channels: got 18446744073709551615, expected at most",
            ),
            (SupernetConfig { classes: 1 << 40, ..usual }, "supernet, classes: got 1099511627776, expected at most"),
            (SupernetConfig { cells: 0, ..usual }, "supernet, cells: got 0, expected at least 1"),
        ] {
            for space in [SearchSpace::nas_bench_201(), SearchSpace::darts()] {
                let message = check_supernet(&space, &config).unwrap_err().to_string();
                assert!(message.contains(part), "{message}");
            }
        }
        check_supernet(&SearchSpace::darts(), &usual).unwrap();
        let plan = Plan::read("DARTS_V2").unwrap();
        for (family, cells, channels) in [(Family::Cifar, 1 << 40, 36), (Family::ImageNet, 14, 1 << 19)] {
            let config = SubnetConfig { cells, channels, ..SubnetConfig::usual(family, 10, 0) };
            assert!(check_subnet(&plan, &config).unwrap_err().to_string().contains("lower channels or cells"));
        }
    }
}
