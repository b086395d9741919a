//! What a search holds and finds: supernets, comparison subsets, genotypes.

use super::look::{Look, Style, millions, thousands};
use super::tables;
use crate::data::nas_bench;
use crate::error::Result;
use crate::host::net::Net;
use crate::host::options::device_name;
use crate::host::shrink::Subset;
use crate::host::space::{Mask, candidate_name};
use crate::net::Role;
use crate::space::{Genotype, NetworkShape, Plan, Primitive, Topology};

/// Size, device, cost, epoch, and who is alive.
pub fn supernet(net: &Net, look: &Look) -> Result<String> {
    let (space, mask) = (net.space(), net.mask());
    let (config, weights, device, epoch) = {
        let learner = net.learner.borrow();
        let weights: usize =
            learner.net.params().iter().filter(|p| p.role == Role::Weight).map(|p| p.var.elem_count()).sum();
        (*learner.net.config(), weights, device_name(learner.net.device()), learner.epoch())
    };
    let size = net.host.current_data()?.train.shape.1;
    // The cost of a network that has every living candidate on its edge; where none lives, a node is zeros.
    let mut all = Plan::from(&Genotype { space: (*space).clone(), chosen: mask.alive(), outputs: vec![] });
    for inputs in all.cells.iter_mut().flatten().filter(|inputs| inputs.is_empty()) {
        inputs.push((Primitive::None, 0));
    }
    let cells = if space.topology() == Topology::Darts { 3 * config.cells + 2 } else { config.cells };
    let (channels, classes) = (config.channels as u64, config.classes as u64);
    let usual = NetworkShape::cifar10(space.topology());
    let cost = all.cost(NetworkShape { channels, cells: cells as u64, classes, size: size as u64, ..usual })?;
    let title = format!("{} supernet, C={}, N={}, {classes} classes", space.name(), config.channels, config.cells);
    let lines = [
        ("device", device),
        ("epoch", epoch.to_string()),
        ("parameters", thousands(weights as u64)),
        ("multiply-adds", format!("{} an image of {size}x{size}, under the mask", millions(cost.multiply_adds))),
        ("candidates", String::new()),
    ];
    let mask = tables::mask(&Mask { alive: mask, space }, look);
    let mut text = look.paint(Style::Title, &title);
    for (name, value) in lines {
        text += &format!("\n{} {value}", look.paint(Style::Faint, &format!("{name:14}")));
    }
    Ok(text + mask.as_str())
}

/// Its candidates, the dead ones struck.
pub fn subset(subset: &Subset, look: &Look) -> String {
    let (space, alive) = (subset.net.space(), subset.alive());
    let line = |c: &crate::space::Candidate| {
        let name = candidate_name(&space, *c);
        match alive.contains(c) {
            true => format!("  {}", look.paint(Style::Good, &name)),
            false => format!("  {} {}", look.paint(Style::Struck, &name), look.paint(Style::Faint, "(dropped)")),
        }
    };
    let title = format!("{}: {} alive, keeps {}", subset.subset.name, alive.len(), subset.subset.keep);
    let lines: Vec<String> = subset.subset.candidates.iter().map(line).collect();
    format!("{}\n{}", look.paint(Style::Title, &title), lines.join("\n"))
}

/// Its text, a drawing, what it costs, and how good the benchmark found it.
pub fn genotype(genotype: &Genotype, look: &Look) -> Result<String> {
    let shape = NetworkShape::cifar10(genotype.space.topology());
    let cost = genotype.cost(shape)?;
    let mut text = format!("{}\n\n{}\n", look.paint(Style::Title, &genotype.to_string()), genotype.draw().trim_end());
    text += &format!(
        "\nCIFAR-10 network, C={}, {}: {} parameters, {} multiply-adds",
        shape.channels,
        match genotype.space.topology() {
            Topology::NasBench201 => format!("N={}", shape.cells),
            Topology::Darts => format!("{} cells", shape.cells),
        },
        millions(cost.parameters),
        millions(cost.multiply_adds)
    );
    if let Ok(row) = nas_bench::query(genotype) {
        text += &format!(
            "\nNAS-Bench-201 cell {}: test accuracy {:.2} % on CIFAR-10 (rank {}), {:.2} % on CIFAR-100, {:.2} % on ImageNet16-120",
            row.index,
            row.cifar10_test,
            nas_bench::rank(&row)?,
            row.cifar100_test,
            row.imagenet16_test
        );
    }
    Ok(text)
}
