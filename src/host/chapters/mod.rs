//! What a script can call: a file a chapter of the manual, or a part of one.

pub mod arch;
pub mod batches;
pub mod control;
pub mod data;
pub mod figure;
pub mod genotype;
pub mod gradients;
pub mod help;
pub mod hessian;
pub mod measure;
pub mod network;
pub mod own_space;
pub mod passes;
pub mod plot;
pub mod report;
pub mod searches;
pub mod settings;
pub mod shrink;
pub mod space;
pub mod state;
pub mod statistics;
pub mod supernet;
pub mod tensor;
pub mod tensor_draws;
pub mod tensor_elements;
pub mod tensor_math;
pub mod tensor_shapes;
pub mod train_genotype;
pub mod variables;

use super::handles;
use super::run::Run;
use super::script::api::Api;
use help::Manual;
use std::rc::Rc;

/// Register all handles and chapters, in the order of the manual; where `help` looks for the manual.
pub fn register(api: &mut Api, host: &Rc<Run>) -> Manual {
    handles::register(api);
    let manual = Manual::default();
    control::register(api, host);
    settings::register(api, host);
    searches::register(api, host);
    state::register(api, host);
    space::register(api);
    own_space::register(api, host);
    shrink::register(api);
    genotype::register(api, host);
    data::register(api, host);
    supernet::register(api, host);
    measure::register(api);
    batches::register(api);
    gradients::register(api);
    variables::register(api, host);
    hessian::register(api);
    network::register(api, host);
    arch::register(api, host);
    tensor::register(api, host);
    report::register(api, host);
    figure::register(api, host);
    statistics::register(api);
    train_genotype::register(api, host);
    plot::register(api);
    help::register(api, host, &manual);
    manual
}
