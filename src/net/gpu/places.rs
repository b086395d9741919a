//! Where everything of a program stands on the device, and how jobs name it.

use super::tape::Tape;
use crate::error::Result;
use crate::net::Params;
use crate::net::ids::Table;
use crate::net::program::{
    AffineNorm, Coef, Conv, ConvId, Filter, MixId, Node, NodeId, Norm as Behind, Origin, ParamId, Program, Term,
};
use crate::ops::conv::{ConvShape, gpu::packed_len};
use crate::ops::depthwise::SeparableShape;
use crate::ops::gpu::address;
use crate::ops::gpu::jobs::{Address, Gradient, Groups, Norm, NormGradient, Source, Sums, Window};
use crate::ops::pool::Image;

/// A norm's numbers by channel.
#[derive(Clone, Copy, Default)]
pub struct NormPlace {
    pub mean: Address,
    pub istd: Address,
    pub a: Address,
    pub t: Address,
    /// Running statistics as a pass moves them.
    pub moved: [Address; 2],
    /// The gradient behind it, made in front of it: dz = a dy + b z + g.
    pub back: [Address; 3],
}

/// The weights of a convolution in the order of the kernels.
#[derive(Clone, Copy, Default)]
pub struct PackedPlace {
    /// Of a separable one.
    pub depthwise: Address,
    pub forward: Address,
    pub backward: Address,
}

/// Addresses of a program for a batch.
pub struct Places<'a> {
    pub program: &'a Program,
    pub batch: usize,
    /// Parameters, and how many numbers each has.
    pub values: Table<ParamId, Address>,
    pub lens: Table<ParamId, usize>,
    pub input: Address,
    pub mix: Address,
    pub scales: Address,
    /// An i32 each: whether a node or a convolution is computed, forward and back ([`Live`]).
    pub live: Address,
    pub logits: Address,
    pub tapped: Address,
    /// The gradient of what goes out: of the logits, behind it of the tap.
    pub outward: Address,
    pub pooled: Address,
    /// Images of nodes; of a node that is made where it is read, none.
    pub x: Table<NodeId, Address>,
    pub z: Table<ConvId, Address>,
    /// Which pixel was the maximum.
    pub chosen: Table<NodeId, Address>,
    pub conv_chosen: Table<ConvId, Address>,
    pub norms: Table<ConvId, NormPlace>,
    pub head_norm: NormPlace,
    pub packed: Table<ConvId, PackedPlace>,
}

/// Whether a node is never stored: one convolution behind its norm, which other convolutions read.
pub fn is_virtual(program: &Program, i: NodeId) -> bool {
    let node = &program.nodes[i];
    let pool = |c: &ConvId| matches!(program.convs[*c].filter, Filter::Pool { .. });
    matches!(node.origin.terms(), [Term::Conv { coef: Coef::One, .. }])
        && !program.is_kept(i)
        && !node.convs.iter().flatten().any(pool)
}

impl<'a> Places<'a> {
    /// For the nodes that are `wanted`.
    pub fn new(
        program: &'a Program,
        batch: usize,
        wanted: &Table<NodeId, bool>,
        params: &Params,
        tape: &mut Tape,
        scales: usize,
    ) -> Result<Self> {
        let last = &program.nodes[program.nodes.last()];
        let classes = program.head.classes;
        let tapped = tapped_len(program, batch);
        let mut places = Places {
            program,
            batch,
            values: params.iter().map(|p| address(p.var.as_tensor())).collect::<Result<_>>()?,
            lens: params.iter().map(|p| p.var.elem_count()).collect(),
            input: tape.floats("images of a batch", batch * program.nodes[NodeId(0)].size.len())?,
            mix: tape.floats("mixing weights", program.n_mix)?,
            scales: tape.floats("scales of drop path", scales * batch)?,
            live: tape.take("what is computed", 4 * Live::len(program))?,
            logits: tape.floats("logits", batch * classes)?,
            tapped: tape.floats("what the auxiliary head reads", tapped)?,
            outward: tape.floats("gradient of the logits", batch * classes + tapped)?,
            pooled: tape.floats("pooled images", batch * last.size.c)?,
            x: program.nodes.beside(|_| 0),
            z: program.convs.beside(|_| 0),
            chosen: program.nodes.beside(|_| 0),
            conv_chosen: program.convs.beside(|_| 0),
            norms: program.convs.beside(|_| NormPlace::default()),
            head_norm: NormPlace::default(),
            packed: program.convs.beside(|_| PackedPlace::default()),
        };
        for i in program.nodes.ids().filter(|&i| wanted[i]) {
            let len = batch * program.nodes[i].size.len();
            if !is_virtual(program, i) {
                places.x[i] = tape.floats("images of nodes", len)?;
            }
            if matches!(program.nodes[i].origin, Origin::MaxPool2(_) | Origin::MaxPool3 { .. }) {
                places.chosen[i] = tape.take("places of maxima", len)?;
            }
        }
        for c in program.convs.ids().filter(|&c| wanted[program.convs[c].dst]) {
            let conv = &program.convs[c];
            let size = program.nodes[conv.dst].size;
            places.z[c] = tape.floats("outputs of convolutions", batch * size.len())?;
            places.norms[c] = norm_place(tape, size.c)?;
            if let Filter::Pool { kind: Some(_), .. } = conv.filter {
                places.conv_chosen[c] = tape.take("places of maxima", batch * size.len())?;
            }
            places.packed[c] = packed_place(tape, &conv.filter)?;
        }
        places.head_norm = norm_place(tape, last.size.c)?;
        Ok(places)
    }

    /// An image as a convolution reads it.
    pub fn source(&self, i: NodeId, relu: bool) -> Source {
        let source = Source { x: self.x[i], relu: relu.into(), ..Source::default() };
        match self.program.nodes[i].origin.terms() {
            &[Term::Conv { conv, .. }] if self.x[i] == 0 => {
                Source { x: self.z[conv], a: self.norms[conv].a, t: self.norms[conv].t, ..source }
            }
            _ => source,
        }
    }

    /// Where it stands whether a node is computed, forward or `back`.
    pub fn live_node(&self, i: NodeId, back: bool) -> Address {
        self.live + 4 * (i.0 + if back { self.program.nodes.len() } else { 0 }) as u64
    }

    /// Where it stands whether a convolution is computed, forward or `back`.
    pub fn live_conv(&self, c: ConvId, back: bool) -> Address {
        let before = 2 * self.program.nodes.len() + if back { self.program.convs.len() } else { 0 };
        self.live + 4 * (before + c.0) as u64
    }

    /// The weight of a term, and its scale by image; 0 where it has none.
    pub fn coef(&self, coef: Coef) -> (Address, Address) {
        let mix = coef.mix().map_or(0, |i| self.mix + 4 * i.0 as u64);
        (mix, coef.image().map_or(0, |i| self.scales + 4 * (i * self.batch) as u64))
    }

    /// The term that a convolution is.
    pub fn coef_of(&self, c: ConvId) -> Coef {
        let terms = self.program.nodes[self.program.convs[c].dst].origin.terms();
        let own = |t: &&Term| matches!(t, Term::Conv { conv, .. } if *conv == c);
        terms.iter().find(own).map_or(Coef::One, |t| t.coef())
    }

    /// The gradient at a convolution's output, where `dy` is that of its node.
    pub fn gradient(&self, c: ConvId, dy: Address) -> Gradient {
        let [a, b, g] = self.norms[c].back;
        let r = self.coef(self.coef_of(c)).1;
        match self.program.convs[c].norm {
            Behind::None => Gradient { dy, a, r, ..Gradient::default() },
            _ => Gradient { dy, z: self.z[c], a, b, g, r },
        }
    }

    /// The norm behind a convolution, on its way forward.
    pub fn norm(&self, c: ConvId) -> Norm {
        let conv = &self.program.convs[c];
        let mut norm = self.norm_of(conv.norm, self.program.nodes[conv.dst].channels, &self.norms[c]);
        if conv.norm == Behind::Batch {
            let cancelled = &self.program.cancelled[c];
            norm.bias.iter_mut().zip(cancelled).for_each(|(bias, &p)| *bias = self.values[p]);
            norm.first = cancelled.first().map_or(0, |&p| self.lens[p] as i32);
        }
        norm
    }

    /// The norm before the head.
    pub fn norm_before_head(&self) -> Norm {
        let behind = self.program.head.norm.map_or(Behind::None, Behind::Affine);
        self.norm_of(behind, self.program.nodes[self.program.nodes.last()].channels, &self.head_norm)
    }

    fn norm_of(&self, behind: Behind, channels: usize, place: &NormPlace) -> Norm {
        let norm = Norm {
            kind: kind(behind),
            channels: channels as i32,
            mean: place.mean,
            istd: place.istd,
            a: place.a,
            t: place.t,
            new_mean: place.moved[0],
            new_var: place.moved[1],
            ..Norm::default()
        };
        let Behind::Affine(AffineNorm { gamma, beta, mean, var }) = behind else { return norm };
        let [gamma, beta, running_mean, running_var] = [gamma, beta, mean, var].map(|p| self.values[p]);
        Norm { gamma, beta, running_mean, running_var, ..norm }
    }

    /// A norm on its way back; `gradients` of the parameters; the weight of its term, and where its gradient goes.
    pub fn norm_back(
        &self,
        behind: Behind,
        (channels, place): (usize, &NormPlace),
        gradients: &Table<ParamId, Address>,
        (mix, dmix): (Address, Address),
    ) -> NormGradient {
        let [a, b, g] = place.back;
        let (mean, istd) = (place.mean, place.istd);
        let back = NormGradient {
            kind: kind(behind),
            channels: channels as i32,
            mean,
            istd,
            mix,
            a,
            b,
            g,
            dmix,
            ..NormGradient::default()
        };
        let Behind::Affine(norm) = behind else { return back };
        NormGradient {
            gamma: self.values[norm.gamma],
            beta: self.values[norm.beta],
            dgamma: gradients[norm.gamma],
            dbeta: gradients[norm.beta],
            ..back
        }
    }

    /// A convolution's window over the batch.
    pub fn window(&self, conv: &Conv) -> Window {
        let from = self.program.nodes[conv.src].size;
        let to = self.program.nodes[conv.dst].size;
        let (k, stride, pad, dilation) = match conv.filter {
            Filter::Dense { shape, .. } | Filter::Halves { shape, .. } => {
                let ConvShape { k, stride, pad, dilation, .. } = shape;
                (k, stride, pad, dilation)
            }
            Filter::Separable { shape: SeparableShape { k, stride, dilation, .. }, .. } => {
                (k, stride, dilation * (k / 2), dilation)
            }
            Filter::Pool { kind: None, .. } => (1, 1, 0, 1),
            Filter::Pool { stride, .. } => (3, stride, 1, 1),
        };
        window(self.batch, from, to, [k, stride, pad, dilation])
    }
}

/// What a pass computes of a program: all of it, or what the candidates that were drawn are in.
pub struct Live {
    /// Nodes forward, nodes back, convolutions forward, convolutions back: as [`Places::live`] holds them.
    pub flags: Vec<i32>,
}

impl Live {
    /// How many flags there are.
    fn len(program: &Program) -> usize {
        2 * (program.nodes.len() + program.convs.len())
    }

    /// Where the mixing weights that `out` names count for nothing; everything, where none is.
    pub fn new(program: &Program, out: &Table<MixId, bool>) -> Self {
        if !out.items().contains(&true) {
            return Live { flags: vec![1; Live::len(program)] };
        }
        let (drawn, wanted) = program.without(out);
        let useful = drawn.useful();
        let mut there = drawn.convs.beside(|_| false);
        drawn.nodes.iter().flat_map(|n| n.convs.iter().flatten()).for_each(|&c| there[c] = true);
        let convs = |nodes: &Table<NodeId, bool>| {
            let live: Vec<bool> = drawn.convs.ids().map(|c| there[c] && nodes[drawn.convs[c].dst]).collect();
            live
        };
        let all = [wanted.items(), useful.items(), &convs(&wanted), &convs(&useful)].concat();
        Live { flags: all.into_iter().map(i32::from).collect() }
    }

    /// Whether a node has a gradient.
    pub fn is_useful(&self, program: &Program, i: NodeId) -> bool {
        self.flags[program.nodes.len() + i.0] != 0
    }
}

/// A window that goes from one image to another; `how`: kernel, stride, padding, dilation.
pub fn window(batch: usize, from: Image, to: Image, how: [usize; 4]) -> Window {
    let [b, h, w, c] = [batch, from.h, from.w, from.c].map(|n| n as i32);
    let [oh, ow, oc] = [to.h, to.w, to.c].map(|n| n as i32);
    let [k, stride, pad, dilation] = how.map(|n| n as i32);
    Window { b, h, w, c, oh, ow, oc, k, stride, pad, dilation, unused: 0 }
}

/// The node as four i32: images, height, width, channels as stored.
pub fn dims(batch: usize, node: &Node) -> [i32; 4] {
    [batch, node.size.h, node.size.w, node.size.c].map(|n| n as i32)
}

/// Room for the sums of a job: so many f64s, and counters.
pub fn sums(tape: &mut Tape, doubles: usize, counters: usize) -> Result<Sums> {
    Ok(Sums { parts: tape.doubles("sums of blocks", doubles)?, done: tape.counters(counters)? })
}

/// Room for sums by channel, of so many `rows` in groups of channels.
pub fn group_sums(tape: &mut Tape, cut: Groups, rows: usize, c: usize) -> Result<Sums> {
    sums(tape, cut.blocks * rows * c, cut.counters)
}

/// f32s that go out by the tap.
pub fn tapped_len(program: &Program, batch: usize) -> usize {
    program.tap.map_or(0, |tap| {
        let node = &program.nodes[tap.node];
        batch * tap.window.outputs(node.size.h) * tap.window.outputs(node.size.w) * node.channels
    })
}

fn kind(norm: Behind) -> i32 {
    match norm {
        Behind::None => 0,
        Behind::Batch => 1,
        Behind::Affine(_) => 2,
    }
}

fn norm_place(tape: &mut Tape, c: usize) -> Result<NormPlace> {
    let mut floats = || tape.floats("a norm", c);
    let [a, t] = [floats()?, floats()?];
    let moved = [floats()?, floats()?];
    let back = [floats()?, floats()?, floats()?];
    Ok(NormPlace { mean: tape.doubles("a norm", c)?, istd: tape.doubles("a norm", c)?, a, t, moved, back })
}

fn packed_place(tape: &mut Tape, filter: &Filter) -> Result<PackedPlace> {
    let mut both = |k: usize, ci: usize, co: usize, depthwise| {
        let (what, len) = ("packed weights", packed_len(k, ci, co));
        Ok(PackedPlace { depthwise, forward: tape.floats(what, len)?, backward: tape.floats(what, len)? })
    };
    match *filter {
        Filter::Dense { shape, .. } | Filter::Halves { shape, .. } => both(shape.k, shape.c_in_p(), shape.c_out_p(), 0),
        Filter::Separable { shape, .. } => {
            let place = both(1, shape.c_in_p(), shape.c_out_p(), 0)?;
            Ok(PackedPlace { depthwise: tape.floats("packed weights", shape.k * shape.k * shape.c_in_p())?, ..place })
        }
        Filter::Pool { .. } => Ok(PackedPlace::default()),
    }
}
