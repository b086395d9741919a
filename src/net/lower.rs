//! Lowering: a search space, a size and a mask become a [`Program`].

use super::program::{AffineNorm, Coef, Conv, Head, Norm, Program, Term};
use super::{Params, SupernetConfig};
use crate::error::{Error, Result};
use crate::ops::conv::ConvShape;
use crate::space::{Candidate, Mask, Primitive, SearchSpace, Topology};

/// Whether the engine has everything that a space needs.
pub fn supports(space: &SearchSpace) -> bool {
    use Primitive::{AvgPool3x3, None, NorConv1x1, NorConv3x3, SkipConnect};
    let known = |op| matches!(op, &None | &SkipConnect | &NorConv1x1 | &NorConv3x3 | &AvgPool3x3);
    space.topology() == Topology::NasBench201 && space.ops().iter().all(known)
}

/// The program of a supernet for images of `h x w`. The engine runs NAS-Bench-201's topology; another is an error.
pub fn lower(
    space: &SearchSpace,
    config: &SupernetConfig,
    mask: &Mask,
    params: &Params,
    (h, w): (usize, usize),
) -> Result<Program> {
    if !supports(space) {
        return Err(Error::invalid(
            "search space of the CPU engine",
            space.name(),
            "the topology and ops of nas-bench-201",
        ));
    }
    let head = Head {
        norm: affine(params, "lastact.0")?,
        weight: params.position("classifier.weight")?,
        bias: params.position("classifier.bias")?,
        classes: config.classes,
    };
    let n_mix = space.edges().len() * space.ops().len() * space.cell_types().len();
    let mut net = Lowering { space, mask, params, program: Program::new(3, h, w, head, n_mix) };
    let mut x = net.stem(config.channels)?;
    for k in 0..3 * config.cells + 2 {
        let stage = k / (config.cells + 1);
        x = if k % (config.cells + 1) == config.cells {
            net.residual_block(k, x, config.channels << (stage + 1))?
        } else {
            net.cell(k, x)?
        };
    }
    Ok(net.program)
}

fn affine(params: &Params, prefix: &str) -> Result<AffineNorm> {
    let at = |name: &str| params.position(&format!("{prefix}.{name}"));
    Ok(AffineNorm { gamma: at("weight")?, beta: at("bias")?, mean: at("running_mean")?, var: at("running_var")? })
}

struct Lowering<'a> {
    space: &'a SearchSpace,
    mask: &'a Mask,
    params: &'a Params,
    program: Program,
}

impl Lowering<'_> {
    /// A node for the output of a convolution of node `src`, `stride` 1 or 2.
    fn conv(
        &mut self,
        src: usize,
        dst: usize,
        (k, stride): (usize, usize),
        relu: bool,
        weight: &str,
        norm: Norm,
        coef: Coef,
    ) -> Result<()> {
        let (from, to) = (&self.program.nodes[src], &self.program.nodes[dst]);
        let shape = ConvShape {
            k,
            stride,
            pad: k / 2,
            dilation: 1,
            c_in: from.channels,
            c_out: to.channels,
            h: from.size.h,
            w: from.size.w,
        };
        let weight = self.params.position(weight)?;
        self.program.add_conv(Conv { src, dst, relu, shape, weight, norm }, coef);
        Ok(())
    }

    fn node(&mut self, like: usize, channels: usize, shrink: usize) -> usize {
        let size = self.program.nodes[like].size;
        self.program.add_node(channels, size.h / shrink, size.w / shrink)
    }

    fn stem(&mut self, channels: usize) -> Result<usize> {
        let out = self.node(0, channels, 1);
        let norm = Norm::Affine(affine(self.params, "stem.1")?);
        self.conv(0, out, (3, 1), false, "stem.0.weight", norm, Coef::One)?;
        Ok(out)
    }

    /// `conv1x1(avg_pool2x2(x)) + bn(conv3x3(relu(bn(conv3x3 stride 2(relu(x))))))`
    fn residual_block(&mut self, k: usize, x: usize, channels: usize) -> Result<usize> {
        let pooled = self.node(x, self.program.nodes[x].channels, 2);
        self.program.add_term(pooled, Term::AvgPool2 { src: x });
        let middle = self.node(x, channels, 2);
        let out = self.node(x, channels, 2);
        let name = |part: &str| format!("cells.{k}.{part}");
        let norm = |part: &str| Ok::<_, Error>(Norm::Affine(affine(self.params, &name(part))?));
        let (norm_a, norm_b) = (norm("conv_a.op.2")?, norm("conv_b.op.2")?);
        self.conv(x, middle, (3, 2), true, &name("conv_a.op.1.weight"), norm_a, Coef::One)?;
        self.conv(middle, out, (3, 1), true, &name("conv_b.op.1.weight"), norm_b, Coef::One)?;
        self.conv(pooled, out, (1, 1), false, &name("downsample.1.weight"), Norm::None, Coef::One)?;
        Ok(out)
    }

    fn cell(&mut self, k: usize, x: usize) -> Result<usize> {
        let channels = self.program.nodes[x].channels;
        let mut nodes = vec![x];
        for _ in 0..self.space.nodes() {
            nodes.push(self.node(x, channels, 1));
        }
        for edge in self.space.edges() {
            for (op, &primitive) in self.space.ops().iter().enumerate() {
                if !self.mask.is_alive(Candidate { cell_type: 0, edge: edge.index, op }) {
                    continue;
                }
                let (src, dst) = (nodes[edge.from], nodes[edge.to]);
                let coef = Coef::Mix(edge.index * self.space.ops().len() + op);
                let weight = format!("cells.{k}.edges.{}<-{}.{op}.op.1.weight", edge.to, edge.from);
                match primitive {
                    Primitive::None => {}
                    Primitive::SkipConnect => self.program.add_term(dst, Term::Copy { src, coef }),
                    Primitive::AvgPool3x3 => self.program.add_term(dst, Term::AvgPool3 { src, coef }),
                    Primitive::NorConv1x1 => self.conv(src, dst, (1, 1), true, &weight, Norm::Batch, coef)?,
                    Primitive::NorConv3x3 => self.conv(src, dst, (3, 1), true, &weight, Norm::Batch, coef)?,
                    other => {
                        return Err(Error::invalid("op of the CPU engine", other.name(), "an op of NAS-Bench-201"));
                    }
                }
            }
        }
        Ok(nodes[self.space.nodes()])
    }
}
