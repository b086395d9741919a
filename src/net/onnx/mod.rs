//! An evaluation network in eval mode as an ONNX file, opset 17.
//!
//! Input `images`, f32 `[batch, 3, h, w]`, normalised as in training; output `logits`, `[batch, classes]`. Batch norms stay,
//! or are folded into the convolutions in front of them. Field numbers: `onnx.proto` of <https://github.com/onnx/onnx>.

mod nodes;
mod proto;

use super::subnet::Subnet;
use crate::error::Result;
use nodes::Nodes;
use proto::Message;

/// Version of the operator set.
const OPSET: i64 = 17;
/// Version of the file format that goes with it.
const IR_VERSION: i64 = 8;
/// `TensorProto.DataType.FLOAT`
const FLOAT: i64 = 1;

/// The file, for images of `h x w`. `fold`: batch norms behind convolutions go into their weights. `notes` are kept as
/// metadata: key and value.
pub fn export(net: &Subnet, (h, w): (usize, usize), fold: bool, notes: &[(&str, String)]) -> Result<Vec<u8>> {
    net.check_size(h, w, super::Mode::Eval)?;
    let Nodes { nodes, initializers, .. } = Nodes::of(net, fold)?;
    let graph = Message::default()
        .each(nodes, |m, node| m.message(1, node))
        .bytes(2, "network")
        .each(initializers, |m, tensor| m.message(5, tensor))
        .message(11, value_info("images", &[3, h as i64, w as i64]))
        .message(12, value_info("logits", &[net.config().classes as i64]));
    let note = |(key, value): &(&str, String)| Message::default().bytes(1, key).bytes(2, value);
    let model = Message::default()
        .int(1, IR_VERSION)
        .bytes(2, env!("CARGO_PKG_NAME"))
        .bytes(3, env!("CARGO_PKG_VERSION"))
        .message(7, graph)
        .message(8, Message::default().bytes(1, "").int(2, OPSET))
        .each(notes, |m, n| m.message(14, note(n)));
    Ok(model.into_bytes())
}

/// `ValueInfoProto` of a float tensor whose first axis is any `batch`.
fn value_info(name: &str, axes: &[i64]) -> Message {
    let shape = Message::default()
        .message(1, Message::default().bytes(2, "batch"))
        .each(axes, |m, &n| m.message(1, Message::default().int(1, n)));
    let tensor = Message::default().int(1, FLOAT).message(2, shape);
    Message::default().bytes(1, name).message(2, Message::default().message(1, tensor))
}
