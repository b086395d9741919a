//! An op of one's own, made of a known form: it is searched, and the network found is trained for a step and costed.
//!
//! `cargo run --release --example own_primitive`

use isdarts_host::{
    Cost, DType, Device, Family, Form, Genotype, Mask, Mode, NetworkShape, Plan, Primitive, Result, SearchSpace,
    Subnet, SubnetConfig, Supernet, SupernetConfig, Tensor, Topology,
};

/// Adds an op, searches a space with it (by size, to be quick), and builds what was found.
pub fn main() -> Result<()> {
    let tall_and_wide = Primitive::add("conv_1x5_5x1", Form::Convs(&[(1, 5), (5, 1)]))?;
    let big = Primitive::add("sep_conv_9x9", Form::SeparableTwice { kernel: 9 })?;
    let ops = [Primitive::SkipConnect, tall_and_wide, big];
    let space = SearchSpace::custom("own", Topology::Darts, 2, &ops)?;

    let device = Device::Cpu;
    let config = SupernetConfig { channels: 4, cells: 1, ..Default::default() };
    let mut net = Supernet::new(space.clone(), config, &device)?;
    let x = Tensor::zeros((2, 3, 16, 16), DType::F32, &device)?;
    let logits = net.forward(&x, &net.mask_mixing()?, Mode::Train)?;
    println!("supernet: {} tensors, logits {:?}", net.params().len(), logits.dims());

    // Of each node the last op on its first two edges.
    let kept = space.comparison_subsets().into_iter().flat_map(|subset| {
        let last = subset.candidates.into_iter().filter(|c| c.op == 2);
        last.take(2).collect::<Vec<_>>()
    });
    net.set_mask(Mask::only(&space, &kept.collect::<Vec<_>>())?)?;
    let found: Genotype = net.genotype()?;
    println!("{found}");

    let plan = Plan::from(&found);
    let shape = NetworkShape { channels: 8, cells: 3, ..NetworkShape::usual(Family::Cifar) };
    println!("{:?}", Cost::of_plan(&plan, shape)?);
    let config = SubnetConfig { channels: 8, cells: 3, auxiliary: false, ..SubnetConfig::usual(Family::Cifar, 10, 0) };
    let subnet = Subnet::new(plan, config, &device)?;
    let logits = subnet.forward(&x, Mode::Train, None)?.logits;
    println!("evaluation network: {} parameters, logits {:?}", subnet.n_weights(), logits.dims());
    Ok(())
}
