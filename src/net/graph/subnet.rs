//! The graphs of the three evaluation networks, from the cells of a genotype.

use super::build::{Builder, OpStyle};
use super::{Coef, Graph, Op, Term, Value};
use crate::error::{Error, Result};
use crate::net::SubnetConfig;
use crate::space::primitive::Form;
use crate::space::{Family, Plan, Primitive};

/// The graph of a network; `config` is checked.
pub fn graph(plan: &Plan, config: &SubnetConfig) -> Graph {
    match config.family {
        Family::Cifar | Family::ImageNet => darts(plan, config),
        Family::NasBench201 => nas_bench_201(plan, config),
    }
}

/// `NetworkCIFAR` and `NetworkImageNet` of quark0/darts `cnn/model.py`.
fn darts(plan: &Plan, config: &SubnetConfig) -> Graph {
    let SubnetConfig { family, channels, cells, classes, auxiliary, .. } = *config;
    let mut b = Builder::new(OpStyle::Train);
    let imagenet = family == Family::ImageNet;
    let (mut s0, mut s1) = if imagenet {
        let y = b.conv_bn("stem0", 0, Builder::INPUT, channels / 2, 2);
        let y = b.relu(y);
        let s0 = b.conv_bn("stem0", 3, y, channels, 2);
        let y = b.relu(s0);
        (s0, b.conv_bn("stem1", 1, y, channels, 2))
    } else {
        let stem = b.conv_bn("stem", 0, Builder::INPUT, 3 * channels, 1);
        (stem, stem)
    };
    let (mut width, mut reduction_before, mut to_auxiliary) = (channels, imagenet, s1);
    for i in 0..cells {
        let reduction = i == cells / 3 || i == 2 * cells / 3;
        width <<= u32::from(reduction);
        let place = Place { i, width, reduction, reduction_before, config };
        let out = darts_cell(&mut b, plan, place, [s0, s1]);
        (s0, s1, reduction_before) = (s1, out, reduction);
        if i == 2 * cells / 3 {
            to_auxiliary = out;
        }
    }
    let head = auxiliary.then(|| match imagenet {
        true => b.auxiliary_head(to_auxiliary, 2, false, classes),
        false => b.auxiliary_head(to_auxiliary, 3, true, classes),
    });
    let pooled = b.mean(s1);
    let logits = b.linear("classifier", pooled, classes);
    b.finish(logits, head)
}

/// Where a cell stands.
struct Place<'a> {
    config: &'a SubnetConfig,
    i: usize,
    width: usize,
    reduction: bool,
    reduction_before: bool,
}

/// `Cell` of quark0/darts: node = op(input) + op(input), each dropped by itself unless it is the identity; the nodes of the
/// output one after the other, inputs of the cell among them if it says so (halved where the cell halves, as in AmoebaNet). An
/// auxiliary skip is added to what each op gives, and both are dropped together (ConfigurableOptimizer `darts/core/model.py`).
fn darts_cell(b: &mut Builder, plan: &Plan, place: Place, [s0, s1]: [Value; 2]) -> Value {
    let Place { config, i, width, reduction, reduction_before } = place;
    let name = |part: &str| format!("cells.{i}.{part}");
    let s0 = match reduction_before {
        true => b.factorized_reduce(&name("preprocess0"), s0, width),
        false => b.relu_conv_bn(&name("preprocess0"), s0, width, 1, 1),
    };
    let cell_type = usize::from(reduction);
    // A node without inputs is not there, and none reads it.
    let mut nodes = vec![Some(s0), Some(b.relu_conv_bn(&name("preprocess1"), s1, width, 1, 1))];
    let mut op = 0;
    for inputs in &plan.cells[cell_type] {
        let mut terms = vec![];
        for &(primitive, from) in inputs {
            let Some(x) = nodes[from] else { continue };
            let stride = if reduction && from < 2 { 2 } else { 1 };
            let own = name(&format!("_ops.{op}"));
            terms.push(if config.auxiliary_skip {
                let y = darts_op(b, &format!("{own}.operation"), primitive, x, stride, config);
                let skip = b.primitive(&format!("{own}.aux_skip"), Primitive::SkipConnect, x, stride);
                let both = b.sum([skip, y].map(|x| Term { x, coef: Coef::One }).to_vec());
                b.drop_path(both)
            } else {
                let y = darts_op(b, &own, primitive, x, stride, config);
                if y == x { Term { x, coef: Coef::One } } else { b.drop_path(y) }
            });
            op += 1;
        }
        nodes.push(if terms.is_empty() { None } else { Some(b.sum(terms)) });
    }
    let output = |n: usize| match nodes[n] {
        Some(x) if reduction && n < 2 => Some(b.factorized_reduce(&name(&format!("output{n}")), x, width)),
        node => node,
    };
    let outputs = plan.outputs_of(cell_type).into_iter().filter_map(output).collect();
    b.concat(outputs)
}

/// An op, and the norm behind it if it is a pool and has one.
fn darts_op(b: &mut Builder, name: &str, op: Primitive, x: Value, stride: usize, config: &SubnetConfig) -> Value {
    let y = b.primitive(name, op, x, stride);
    match op.form() {
        Form::AveragePool | Form::MaximumPool if config.pool_norm => {
            // A node of its own, as in supernets: the engine leaves out images of nodes and convolutions, not of norms of pools.
            let y = b.norm(&format!("{name}.op.1"), y);
            b.node(y)
        }
        _ => y,
    }
}

/// `TinyNetwork` of AutoDL-Projects: stem, three stages of `InferCell`s with residual blocks between, head.
fn nas_bench_201(plan: &Plan, config: &SubnetConfig) -> Graph {
    let SubnetConfig { channels, cells, classes, .. } = *config;
    let mut b = Builder::new(OpStyle::Train);
    let mut x = b.conv_bn("stem", 0, Builder::INPUT, channels, 1);
    for k in 0..3 * cells + 2 {
        let name = format!("cells.{k}");
        if k % (cells + 1) == cells {
            x = b.residual_block(&name, x, channels << (k / (cells + 1) + 1));
            continue;
        }
        let (mut nodes, mut layer) = (vec![x], 0);
        for inputs in &plan.cells[0] {
            let mut terms = vec![];
            for &(primitive, from) in inputs {
                let x = b.primitive(&format!("{name}.layers.{layer}"), primitive, nodes[from], 1);
                terms.push(Term { x, coef: Coef::One });
                layer += 1;
            }
            nodes.push(b.sum(terms));
        }
        x = nodes[nodes.len() - 1];
    }
    let y = b.norm("lastact.0", x);
    let y = b.relu(y);
    let y = b.mean(y);
    let logits = b.linear("classifier", y, classes);
    b.finish(logits, None)
}

/// An error in words for images of `h x w` that the network cannot take; with `auxiliary`, nor its auxiliary head.
pub fn check_size(graph: &Graph, family: Family, (h, w): (usize, usize), auxiliary: bool) -> Result<()> {
    let (sizes, needed) = (graph.sizes(h, w), graph.needed(auxiliary, |_| true));
    let refused = |expected: &str| Err(Error::invalid("evaluation network", format!("images of {h}x{w}"), expected));
    for (i, step) in graph.steps.iter().enumerate().filter(|(i, _)| needed[*i]) {
        match &step.op {
            Op::Flatten { x } if sizes[x.0] != (1, 1) => {
                let side = if family == Family::ImageNet { 224 } else { 32 };
                if (h, w) == (side, side) {
                    // One cell alone reduces but once.
                    return refused("2 cells or more before an auxiliary head, or none (auxiliary: 0)");
                }
                return refused(&format!(
                    "{side}x{side}, which its auxiliary head is made for (auxiliary: 0 leaves it out)"
                ));
            }
            // Its two shortcuts halve by convolution (rounding up) and by 2x2 average (down): both must agree.
            Op::Sum { terms } if terms.iter().any(|t| sizes[t.x.0] != sizes[terms[0].x.0]) => {
                return refused("a height and a width divisible by 4");
            }
            _ if sizes[i].0 * sizes[i].1 == 0 => return refused("larger ones, or no auxiliary head (auxiliary: 0)"),
            _ => {}
        }
    }
    Ok(())
}
