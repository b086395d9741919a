//! Every op of the table against PyTorch (`tests/primitives/record.py`), and the networks of spaces of one's own.

use super::*;
use crate::net::SupernetConfig;
use crate::net::graph::build::{Builder, OpStyle};
use crate::net::graph::supernet;
use crate::space::primitive::Form;
use crate::space::{Primitive, SearchSpace, Topology};
use candle_core::Device;
use std::collections::HashMap;

const CONFIG: SupernetConfig = SupernetConfig {
    channels: 4,
    cells: 1,
    classes: 10,
    seed: 3,
    strict: false,
    pool_norm: false,
    node_norm: false,
    head_norm: true,
    partial: 1,
    auxiliary_skip: false,
    in_all: false,
};

fn recorded() -> HashMap<String, Tensor> {
    let bytes = include_bytes!("../../../tests/primitives/primitives.safetensors");
    candle_core::safetensors::load_buffer(bytes, &Device::Cpu).unwrap()
}

fn how() -> How<'static> {
    let (pass, dtype) = (Mode::Train.into(), DType::F32);
    How { pass, drops: Drops::default(), auxiliary: false, track: true, dtype, seed: 3 }
}

/// The output of an op on `x`, as a candidate, and its parameters.
fn run(
    form: Form,
    pool_norm: bool,
    stride: usize,
    x: &Tensor,
    values: &dyn Fn(&str) -> Option<Tensor>,
) -> (Tensor, Params) {
    let mut b = Builder::of_input(OpStyle::Search { pool_norm }, x.dim(1).unwrap());
    let y = b.form("p", form, Builder::INPUT, stride);
    let y = b.node(y);
    let graph = b.finish(y, None);
    let params = Params::of_specs(graph.params.clone(), 1, &Device::Cpu).unwrap();
    for p in params.iter() {
        if let Some(value) = values(&p.name["p.".len()..]) {
            p.var.set(&value).unwrap();
        }
    }
    let none = Tensor::zeros(0, DType::F32, &Device::Cpu).unwrap();
    let (y, _) = forward(&graph, &params, x, &none, how(), None).unwrap();
    (y, params)
}

fn assert_near(got: &Tensor, want: &Tensor, what: &str) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let scale = want.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap().max(1e-3);
    let error = (got - want).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(error <= 2e-5 * scale, "{what}: off by {error} where the largest is {scale}");
}

#[test]
fn every_op_of_the_table_computes_what_pytorch_computes_forward_and_backward() {
    let recorded = recorded();
    // What has no numbers to record: zeros, and draws.
    let compared = Primitive::ALL.into_iter().filter(|p| !matches!(p.form(), Form::Zero | Form::Noise));
    let strides = compared.flat_map(|p| [(p, 1), (p, 2)]).filter(|(p, stride)| *stride == 2 || !p.only_halves());
    for (primitive, stride) in strides {
        let at = |key: &str| format!("{primitive}/{stride}/{key}");
        let get = |key: &str| recorded.get(&at(key)).unwrap_or_else(|| panic!("record.py has no `{}`", at(key)));
        let x = Var::from_tensor(get("x")).unwrap();
        let stored = |name: &str| recorded.get(&at(&format!("weight/{name}"))).cloned();
        let (y, params) = run(primitive.form(), false, stride, &x, &stored);
        assert_near(&y, get("y"), &at("y"));
        let gradients = (&y * get("probe")).unwrap().sum_all().unwrap().backward().unwrap();
        assert_near(gradients.get(&x).unwrap(), get("dx"), &at("dx"));
        let mut compared = 0;
        for p in params.iter().filter(|p| !p.name.ends_with("bias")) {
            assert_near(gradients.get(&p.var).unwrap(), get(&format!("gradient/{}", &p.name[2..])), &p.name);
            compared += 1;
        }
        let weights = recorded.keys().filter(|key| key.starts_with(&at("weight/"))).count();
        assert_eq!(compared, weights, "{}", at("weights"));
    }
}

#[test]
fn noise_has_the_size_of_the_output_and_passes_no_gradient() {
    let x = Var::from_tensor(&Tensor::ones((2, 4, 7, 6), DType::F32, &Device::Cpu).unwrap()).unwrap();
    for (stride, shape) in [(1, [2, 4, 7, 6]), (2, [2, 4, 4, 3])] {
        let (y, params) = run(Form::Noise, false, stride, &x, &|_| None);
        assert_eq!((y.dims(), params.len()), (&shape[..], 0));
        assert!(y.sum_all().unwrap().backward().unwrap().get(&x).is_none());
    }
}

/// What a new row of the table needs: its form alone tells names, shapes, computing and cost.
#[test]
fn an_op_made_of_known_forms_is_a_row_and_no_more() {
    let x = noise::draw(1, "x", &[2, 4, 9, 9], &Device::Cpu).unwrap();
    for (form, names) in [
        (Form::Convs(&[(5, 5)]), &["p.op.1.weight [4, 4, 5, 5]", "p.op.1.bias [4]"][..]),
        (
            Form::Convs(&[(1, 3), (3, 1), (3, 3)]),
            &["p.op.1.weight [4, 4, 1, 3]", "p.op.2.weight [4, 4, 3, 1]", "p.op.3.weight [4, 4, 3, 3]"],
        ),
        (
            Form::Separable { kernel: 7, dilation: 3 },
            &["p.op.1.weight [4, 1, 7, 7]", "p.op.2.weight [4, 4, 1, 1]", "p.op.2.bias [4]"],
        ),
    ] {
        for stride in [1, 2] {
            let (y, params) = run(form, false, stride, &x, &|_| None);
            assert_eq!(y.dims(), [2, 4, 9usize.div_ceil(stride), 9usize.div_ceil(stride)], "{form:?}");
            let got: Vec<String> = params.iter().map(|p| format!("{} {:?}", p.name, p.var.dims())).collect();
            assert_eq!(got, names);
        }
    }
}

#[test]
fn a_pool_with_a_norm_is_the_pool_less_its_mean_over_its_deviation_channel_by_channel() {
    let x = noise::draw(3, "x", &[3, 4, 5, 5], &Device::Cpu).unwrap();
    for (form, stride) in [Form::AveragePool, Form::MaximumPool].into_iter().flat_map(|f| [(f, 1), (f, 2)]) {
        let of = |norm| run(form, norm, stride, &x, &|_| None).0.transpose(0, 1).unwrap().flatten_from(1);
        let rows = |norm| of(norm).unwrap().to_vec2::<f32>().unwrap();
        for (plain, normed) in rows(false).iter().zip(rows(true)) {
            let n = plain.len() as f32;
            let mean = plain.iter().sum::<f32>() / n;
            let var = plain.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            for (plain, normed) in plain.iter().zip(normed) {
                assert!(((plain - mean) / (var + 1e-5).sqrt() - normed).abs() < 1e-4, "{form:?}, stride {stride}");
            }
        }
    }
}

#[test]
fn a_network_of_ones_own_space_computes_each_candidate_alone_as_its_layer() {
    let ops = [Primitive::Noise, Primitive::NorConv7x7, Primitive::Conv7x1And1x7, Primitive::MaxPool3x3];
    for (topology, nodes) in [(Topology::NasBench201, 2), (Topology::Darts, 1), (Topology::Darts, 5)] {
        let space = SearchSpace::custom("own", topology, nodes, &ops).unwrap();
        let mut lists = vec![vec![ops.to_vec(); space.n_edges()]; space.cell_types().len()];
        lists[0][1] = vec![Primitive::SepConv7x7];
        let space = space.with_lists(&lists).unwrap();
        let graph = supernet::graph(&space, &CONFIG, &space.full_mask());
        let params = Params::of_specs(graph.params.clone(), CONFIG.seed, &Device::Cpu).unwrap();
        let x = noise::draw(1, "x", &[3, 3, 8, 8], &Device::Cpu).unwrap();
        let mix = Tensor::full(0.3f32, graph.n_mix, &Device::Cpu).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let mut probe = |mix: MixId, y: Option<&Tensor>| {
            assert!(y.is_some());
            seen.insert(mix);
            Ok(())
        };
        let run = |probe: Option<Probe>| forward(&graph, &params, &x, &mix, how(), probe).unwrap().0;
        let logits = run(Some(&mut probe));
        assert_eq!(logits.dims(), [3, 10]);
        let all: Vec<MixId> = space.candidates().into_iter().map(|c| supernet::mix_of(&space, c)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
        let again = run(None);
        assert_eq!(
            logits.to_vec2::<f32>().unwrap(),
            again.to_vec2::<f32>().unwrap(),
            "the same images, the same noise"
        );
        let gradients = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let without = params.iter().filter(|p| p.role == crate::net::Role::Weight && gradients.get(&p.var).is_none());
        let without: Vec<&str> = without.map(|p| p.name.as_str()).filter(|n| !n.ends_with("bias")).collect();
        assert!(without.is_empty(), "no gradient: {without:?}");
    }
}
