//! From the steps of a network to ONNX nodes and the tensors that they read.

use super::proto::Message;
use crate::error::{Error, Result};
use crate::net::graph::{AffineNorm, Graph, Op, PoolKind, Term, Value};
use crate::net::ids::ParamId;
use crate::net::{Params, Subnet};
use crate::ops::batch_norm::EPS;
use crate::ops::window::Window;

/// `NodeProto`s in order, and `TensorProto`s.
pub(super) struct Nodes<'a> {
    pub nodes: Vec<Message>,
    pub initializers: Vec<Message>,
    graph: &'a Graph,
    params: &'a Params,
    /// For each value, the ONNX name that holds it.
    names: Vec<String>,
    /// For each convolution that takes in a norm: that norm, and where the convolution's channels begin in it.
    folded: Vec<Option<(AffineNorm, usize)>>,
    /// The norms that convolutions have taken in.
    gone: Vec<bool>,
}

/// What a batch norm does to a channel: `y = scale x + shift`.
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl<'a> Nodes<'a> {
    /// The nodes of a network in eval mode.
    pub fn of(net: &'a Subnet, fold: bool) -> Result<Self> {
        let (graph, params) = (net.graph(), net.params());
        let n = graph.steps.len();
        let mut all = Nodes {
            nodes: vec![],
            initializers: vec![],
            graph,
            params,
            names: (0..n).map(|i| format!("v{i}")).collect(),
            folded: vec![None; n],
            gone: vec![false; n],
        };
        all.names[0] = "images".into();
        all.names[graph.logits.0] = "logits".into();
        let wanted = graph.needed(false, |_| true);
        if fold {
            all.fold(&wanted);
        }
        for value in (1..n).filter(|v| wanted[*v]) {
            all.step(Value(value))?;
        }
        Ok(all)
    }

    /// Find the norms whose input is a convolution, or convolutions side by side, that nothing else reads.
    fn fold(&mut self, wanted: &[bool]) {
        let mut readers = vec![0; self.graph.steps.len()];
        for (_, step) in self.graph.steps.iter().enumerate().filter(|(i, _)| wanted[*i]) {
            step.op.inputs().iter().for_each(|x| readers[x.0] += 1);
        }
        for (value, step) in self.graph.steps.iter().enumerate().filter(|(i, _)| wanted[*i]) {
            let Op::Norm { x, affine: Some(norm) } = step.op else { continue };
            let parts = match self.graph.op(x) {
                Op::Concat { xs } => xs.clone(),
                _ => vec![x],
            };
            let is_conv = |&v: &Value| matches!(self.graph.op(v), Op::Conv { .. }) && readers[v.0] == 1;
            if readers[x.0] != 1 || !parts.iter().all(is_conv) {
                continue;
            }
            let mut start = 0;
            for part in parts {
                self.folded[part.0] = Some((norm, start));
                start += self.graph.steps[part.0].channels;
            }
            self.gone[value] = true;
        }
    }

    fn step(&mut self, value: Value) -> Result<()> {
        let graph = self.graph;
        let name = |x: &Value| self.names[x.0].clone();
        match graph.op(value) {
            Op::Input => {}
            Op::Relu { x } => self.node("Relu", &[name(x)], value, vec![]),
            Op::Conv { x, weight, down, across, depthwise, .. } => {
                let x = name(x);
                self.conv(value, x, *weight, [down, across], *depthwise)?;
            }
            // What it did is in the convolutions; its name is that of what it read.
            Op::Norm { x, .. } if self.gone[value.0] => self.names[value.0] = name(x),
            Op::Norm { x, affine: Some(norm) } => {
                let mut inputs = vec![name(x)];
                for id in [norm.gamma, norm.beta, norm.mean, norm.var] {
                    inputs.push(self.parameter(id)?);
                }
                self.node("BatchNormalization", &inputs, value, vec![float("epsilon", EPS as f32)]);
            }
            Op::Pool { x, kind, window } => {
                let mut attributes = vec![
                    ints("kernel_shape", &[window.kernel as i64; 2]),
                    ints("strides", &[window.stride as i64; 2]),
                    ints("pads", &[window.padding as i64; 4]),
                ];
                let op = match kind {
                    PoolKind::Average => "AveragePool",
                    PoolKind::Maximum => "MaxPool",
                };
                if *kind == PoolKind::Average {
                    attributes.push(int("count_include_pad", 0));
                }
                self.node(op, &[name(x)], value, attributes);
            }
            Op::Offset { x } => {
                // Negative padding cuts off.
                let x = name(x);
                let pads = self.whole_numbers(value, "pads", &[0, 0, -1, -1, 0, 0, 1, 1]);
                self.node("Pad", &[x, pads], value, vec![]);
            }
            Op::Zero { x, stride } => {
                let x = name(x);
                let of = |s: &mut Self, what, numbers: [i64; 2]| s.whole_numbers(value, what, &numbers);
                let mut inputs = vec![x];
                inputs.push(of(self, "starts", [0, 0]));
                inputs.push(of(self, "ends", [i64::MAX, i64::MAX]));
                inputs.push(of(self, "axes", [2, 3]));
                inputs.push(of(self, "steps", [*stride as i64, *stride as i64]));
                let seen = self.helper(value, "Slice", &inputs, vec![]);
                // x - x: zero, like 0 x, wherever x is finite.
                self.node("Sub", &[seen.clone(), seen], value, vec![]);
            }
            Op::Concat { xs } => {
                let inputs: Vec<String> = xs.iter().map(name).collect();
                self.node("Concat", &inputs, value, vec![int("axis", 1)]);
            }
            // In eval mode no path is dropped.
            Op::Sum { terms } => {
                // Zeros add nothing, unless they are all.
                let is_zero = |t: &&Term| matches!(graph.op(t.x), Op::Zero { .. });
                let some: Vec<&Term> = terms.iter().filter(|t| !is_zero(t)).collect();
                let terms = if some.is_empty() { terms.iter().collect() } else { some };
                let inputs: Vec<String> = terms.into_iter().map(|t| name(&t.x)).collect();
                self.node("Sum", &inputs, value, vec![]);
            }
            Op::Mean { x } => {
                let pooled = self.helper(value, "GlobalAveragePool", &[name(x)], vec![]);
                self.node("Flatten", &[pooled], value, vec![]);
            }
            Op::Flatten { x } => self.node("Flatten", &[name(x)], value, vec![]),
            Op::Linear { x, weight, bias } => {
                let x = name(x);
                let inputs = [x, self.parameter(*weight)?, self.parameter(*bias)?];
                self.node("Gemm", &inputs, value, vec![int("transB", 1)]);
            }
            Op::Norm { affine: None, .. }
            | Op::Noise { .. }
            | Op::First { .. }
            | Op::Shuffle { .. }
            | Op::Dropout { .. } => {
                return Err(Error::invalid(
                    "ONNX of a network",
                    format!("{:?}", graph.op(value)),
                    "steps of an evaluation network",
                ));
            }
        }
        Ok(())
    }

    fn conv(
        &mut self,
        value: Value,
        x: String,
        weight: ParamId,
        [down, across]: [&Window; 2],
        depthwise: bool,
    ) -> Result<()> {
        let co = self.graph.steps[value.0].channels;
        let mut inputs = vec![x];
        match self.folded[value.0] {
            None => inputs.push(self.parameter(weight)?),
            Some((norm, start)) => {
                let Affine { scale, shift } = self.affine(norm)?;
                let param = self.params.at(weight);
                let mut values: Vec<f32> = param.var.flatten_all()?.to_vec1()?;
                let one = values.len() / co;
                for (values, scale) in values.chunks_exact_mut(one).zip(&scale[start..]) {
                    values.iter_mut().for_each(|v| *v *= scale);
                }
                let bias = param.name.replace(".weight", ".bias");
                self.initializers.push(floats(&param.name, param.var.dims(), &values));
                self.initializers.push(floats(&bias, &[co], &shift[start..start + co]));
                inputs.extend([param.name.clone(), bias]);
            }
        }
        let both = |of: fn(&Window) -> usize| [of(down) as i64, of(across) as i64];
        let attributes = vec![
            ints("kernel_shape", &both(|w| w.kernel)),
            ints("strides", &both(|w| w.stride)),
            ints("pads", &[both(|w| w.padding), both(|w| w.padding)].concat()),
            ints("dilations", &both(|w| w.dilation)),
            int("group", if depthwise { co as i64 } else { 1 }),
        ];
        self.node("Conv", &inputs, value, attributes);
        Ok(())
    }

    /// The map of a norm by its running statistics, in f64.
    fn affine(&self, norm: AffineNorm) -> Result<Affine> {
        let values = |i: ParamId| -> Result<Vec<f64>> {
            Ok(self.params.at(i).var.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
        };
        let (gamma, beta) = (values(norm.gamma)?, values(norm.beta)?);
        let (mean, var) = (values(norm.mean)?, values(norm.var)?);
        let scale: Vec<f64> = gamma.iter().zip(&var).map(|(g, v)| g / (v + EPS).sqrt()).collect();
        let shift = (0..scale.len()).map(|i| (beta[i] - mean[i] * scale[i]) as f32).collect();
        Ok(Affine { scale: scale.into_iter().map(|s| s as f32).collect(), shift })
    }

    /// A parameter as an initializer, under its PyTorch name.
    fn parameter(&mut self, id: ParamId) -> Result<String> {
        let param = self.params.at(id);
        let values: Vec<f32> = param.var.flatten_all()?.to_vec1()?;
        self.initializers.push(floats(&param.name, param.var.dims(), &values));
        Ok(param.name.clone())
    }

    fn whole_numbers(&mut self, value: Value, what: &str, numbers: &[i64]) -> String {
        let name = format!("v{}.{what}", value.0);
        let raw: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let tensor = Message::default().int(1, numbers.len() as i64).int(2, 7).bytes(8, &name).bytes(9, raw);
        self.initializers.push(tensor);
        name
    }

    /// A node that computes `value`.
    fn node(&mut self, op: &str, inputs: &[String], value: Value, attributes: Vec<Message>) {
        let name = self.names[value.0].clone();
        self.nodes.push(node(op, inputs, &name, attributes));
    }

    /// A node in front of it.
    fn helper(&mut self, value: Value, op: &str, inputs: &[String], attributes: Vec<Message>) -> String {
        let name = format!("v{}.{op}", value.0);
        self.nodes.push(node(op, inputs, &name, attributes));
        name
    }
}

/// `NodeProto` with one output, named as it.
fn node(op: &str, inputs: &[String], output: &str, attributes: Vec<Message>) -> Message {
    Message::default()
        .each(inputs, |m, name| m.bytes(1, name))
        .bytes(2, output)
        .bytes(3, output)
        .bytes(4, op)
        .each(attributes, |m, a| m.message(5, a))
}

/// `TensorProto` of floats.
fn floats(name: &str, shape: &[usize], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Message::default().each(shape, |m, &n| m.int(1, n as i64)).int(2, super::FLOAT).bytes(8, name).bytes(9, raw)
}

/// `AttributeProto` of a whole number.
fn int(name: &str, value: i64) -> Message {
    Message::default().bytes(1, name).int(3, value).int(20, 2)
}

/// `AttributeProto` of a float.
fn float(name: &str, value: f32) -> Message {
    Message::default().bytes(1, name).float(2, value).int(20, 1)
}

/// `AttributeProto` of a list of whole numbers.
fn ints(name: &str, values: &[i64]) -> Message {
    Message::default().bytes(1, name).each(values, |m, &v| m.int(8, v)).int(20, 7)
}
