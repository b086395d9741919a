//! Parameters before they exist: name, shape, first values. Plain data.

/// Trained, or only kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trained by gradient.
    Weight,
    /// Running statistic.
    Buffer,
}

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Uniform in +- 1 / sqrt(fan_in).
    Uniform {
        /// Inputs of one output.
        fan_in: usize,
    },
    /// All the same.
    Constant(f32),
}

/// A parameter before it exists.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Full name.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// How it starts.
    pub init: Init,
    /// Trained or kept.
    pub role: Role,
    /// A bias in front of a batch norm, which cancels it: never computed with, its gradient counts as zero.
    pub cancelled: bool,
}

impl ParamSpec {
    /// A weight, uniform in +- 1 / sqrt(fan_in).
    pub fn uniform(name: String, shape: &[usize], fan_in: usize) -> Self {
        let (init, role) = (Init::Uniform { fan_in }, Role::Weight);
        ParamSpec { name, shape: shape.into(), init, role, cancelled: false }
    }

    /// The parameters of an affine batch norm: weight 1, bias 0, running mean 0, running variance 1.
    pub fn batch_norm(name: &str, c: usize) -> [Self; 4] {
        let constant = |leaf: &str, value: f32, role| ParamSpec {
            name: format!("{name}.{leaf}"),
            shape: vec![c],
            init: Init::Constant(value),
            role,
            cancelled: false,
        };
        [
            constant("weight", 1., Role::Weight),
            constant("bias", 0., Role::Weight),
            constant("running_mean", 0., Role::Buffer),
            constant("running_var", 1., Role::Buffer),
        ]
    }
}
