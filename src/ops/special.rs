//! Functions of the Gamma distribution, in f64: its density's logarithm, what that one's derivatives are made of, and the
//! derivative of a draw.

/// `ln |Gamma(x)|`
pub fn lgamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// The derivative of [`lgamma`]: by recurrence up to 8, and there by the asymptotic series (Abramowitz and Stegun, 6.3.5,
/// 6.3.18); below 0 by reflection (6.3.7). NaN at the poles.
pub fn digamma(mut x: f64) -> f64 {
    if x <= 0.0 {
        return if x.fract() == 0.0 {
            f64::NAN
        } else {
            digamma(1.0 - x) - std::f64::consts::PI / (std::f64::consts::PI * x).tan()
        };
    }
    let mut below = 0.0;
    while x < 8.0 {
        below += 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = y * (1.0 / 12.0 - y * (1.0 / 120.0 - y * (1.0 / 252.0 - y * (1.0 / 240.0 - y * (1.0 / 132.0)))));
    x.ln() - 0.5 / x - series - below
}

/// The derivative of [`digamma`], likewise (6.4.6, 6.4.12).
pub fn trigamma(mut x: f64) -> f64 {
    if x <= 0.0 {
        let s = (std::f64::consts::PI * x).sin() / std::f64::consts::PI;
        return if x.fract() == 0.0 { f64::NAN } else { 1.0 / (s * s) - trigamma(1.0 - x) };
    }
    let mut below = 0.0;
    while x < 8.0 {
        below += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = y * (1.0 / 6.0 - y * (1.0 / 30.0 - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * (5.0 / 66.0)))));
    below + (1.0 + 0.5 / x + series) / x
}

/// How a draw `z` from Gamma(`a`, 1) moves with `a` where its quantile stays: `dz/da = -(dP(a, z)/da) / p(z)` (Figurnov et al.,
/// 2018), `P` the distribution function, by its power series (6.5.29) term by term, each divided by the density `p`.
pub fn gamma_gradient(a: f64, z: f64) -> f64 {
    let (log, mut psi, mut term) = (z.ln(), digamma(a + 1.0), z / a);
    let mut sum = 0.0;
    for n in 1..100_000 {
        sum += term * (psi - log);
        let next = a + f64::from(n);
        term *= z / next;
        psi += 1.0 / next;
        if next > z && term * (psi - log).abs() < 1e-17 * (1.0 + f64::abs(sum)) {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64, tolerance: f64, what: &str) {
        assert!((got - want).abs() <= tolerance * (1.0 + want.abs()), "{what}: got {got}, expected {want}");
    }

    /// Recorded from mpmath with 40 digits; PyTorch's own in f64 are these to 1e-8.
    #[test]
    fn functions_are_those_of_mpmath() {
        for (x, l, d, t) in [
            (0.01, 4.599479878042022, -100.56088545786868, 10001.621213528313),
            (0.3, 1.0957979948180756, -3.502524222200133, 12.245364546107732),
            (1.0, 0.0, -0.5772156649015329, 1.6449340668482264),
            (2.5, 0.2846828704729192, 0.7031566406452432, 0.49035775610023485),
            (7.9, 8.32426586800881, 2.002238487563571, 0.13493078345663442),
            (8.0, 8.525161361065415, 2.01564147795561, 0.1331370146940314),
            (33.3, 82.60372358165495, 3.490467238520243, 0.030485444095338887),
            (1000.0, 5905.220423209181, 6.907255195648812, 0.0010005001666666333),
            (-0.5, 1.2655121234846454, 0.03648997397857652, 8.934802200544679),
            (-2.25, 0.5555015450206475, 4.158583564657972, 19.37941051186914),
        ] {
            near(lgamma(x), l, 1e-12, &format!("lgamma({x})"));
            near(digamma(x), d, 1e-12, &format!("digamma({x})"));
            near(trigamma(x), t, 1e-12, &format!("trigamma({x})"));
        }
        assert!(digamma(0.0).is_nan() && digamma(-3.0).is_nan() && trigamma(-1.0).is_nan());
    }

    /// Recorded from PyTorch in f64: `torch._standard_gamma_grad(a, z)`, whose own approximations hold to 1e-3.
    #[test]
    fn the_derivative_of_a_draw_is_that_of_pytorch() {
        for (a, z, want) in [
            (0.01, 1e-20, 4.549081640201226e-17),
            (0.1, 0.001, 0.06490724738374094),
            (0.1, 0.7, 5.9155175565687115),
            (0.5, 0.2, 0.7940505669818793),
            (0.5, 3.0, 2.913304453672477),
            (1.0, 0.1, 0.289273116575474),
            (1.0, 1.0, 1.1736211627259934),
            (1.0, 8.0, 2.7687034303259974),
            (3.0, 2.0, 0.856564023915415),
            (3.0, 9.0, 1.7399373605805981),
            (20.0, 15.0, 0.870233570034255),
            (20.0, 30.0, 1.2265978621587852),
            (500.0, 480.0, 0.9800598000584387),
        ] {
            near(gamma_gradient(a, z), want, 2e-3, &format!("a {a}, z {z}"));
        }
        // Of Gamma(1, 1): central differences of the distribution function, extrapolated, over its density exp(-1).
        near(gamma_gradient(1.0, 1.0), 1.1735630272269697, 1e-9, "a 1, z 1");
    }
}
