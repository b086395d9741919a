//! What a search holds and finds: supernets, comparison subsets, genotypes.

use super::look::{Look, Style, millions, thousands};
use super::tables;
use crate::data::nas_bench;
use crate::error::Result;
use crate::fit;
use crate::net::{Cost, Role, Supernet};
use crate::space::{Candidate, ComparisonSubset, Genotype, NetworkShape, Plan, SearchSpace, Topology};

/// Size, device (by its name), cost, epoch, and who is alive. Images are `size` pixels wide.
pub fn supernet(net: &Supernet, epoch: usize, size: usize, device: String, look: &Look) -> Result<String> {
    let (space, mask, config) = (net.space(), net.mask(), net.config());
    let weights: usize = net.params().iter().filter(|p| p.role == Role::Weight).map(|p| p.var.elem_count()).sum();
    let cost = Cost::of(net.graph(), (size, size), false);
    let (channels, cells, classes) = (config.channels, config.cells, config.classes);
    let title = format!("{} supernet, C={channels}, N={cells}, {classes} classes", space.name());
    let lines = [
        ("device", device),
        ("epoch", epoch.to_string()),
        ("parameters", thousands(weights as u64)),
        ("multiply-adds", format!("{} an image of {size}x{size}, under the mask", millions(cost.multiply_adds))),
        ("candidates", String::new()),
    ];
    let mask = tables::mask(space, mask, look);
    let mut text = look.paint(Style::Title, &title);
    for (name, value) in lines {
        text += &format!("\n{} {value}", look.paint(Style::Faint, &format!("{name:14}")));
    }
    Ok(text + mask.as_str())
}

/// Its candidates, the dead ones struck.
pub fn subset(subset: &ComparisonSubset, space: &SearchSpace, alive: &[Candidate], look: &Look) -> String {
    let line = |c: &Candidate| {
        let name = candidate_name(space, *c);
        match alive.contains(c) {
            true => format!("  {}", look.paint(Style::Good, &name)),
            false => format!("  {} {}", look.paint(Style::Struck, &name), look.paint(Style::Faint, "(dropped)")),
        }
    };
    let title = format!("{}: {} alive, keeps {}", subset.name, alive.len(), subset.keep);
    let lines: Vec<String> = subset.candidates.iter().map(line).collect();
    format!("{}\n{}", look.paint(Style::Title, &title), lines.join("\n"))
}

/// Its text, a drawing, what it costs, and how good the benchmark found it.
pub fn genotype(genotype: &Genotype, look: &Look) -> Result<String> {
    let shape = NetworkShape::cifar10(genotype.space.topology());
    let cost = Cost::of_plan(&Plan::from(genotype), shape)?;
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
        let note = format!(
            "NAS-Bench-201 cell {}: test accuracy {:.2} % on CIFAR-10 (rank {}), {:.2} % on CIFAR-100, {:.2} % on ImageNet16-120",
            row.index,
            row.cifar10_test,
            nas_bench::rank(&row)?,
            row.cifar100_test,
            row.imagenet16_test
        );
        text += &format!("\n{}", fit::folded(&note, look.width));
    }
    Ok(text)
}

/// Text such as `nor_conv_3x3 on edge 2<-1`.
pub fn candidate_name(space: &SearchSpace, c: Candidate) -> String {
    let edge = space.edges()[c.edge];
    let cell = match (space.cell_types().len(), space.cell_types()[c.cell_type]) {
        (1, _) => String::new(),
        (_, kind) => format!("{kind:?} ").to_lowercase(),
    };
    format!("{} on {cell}edge {}<-{}", space.ops()[c.op].name(), edge.to, edge.from)
}
