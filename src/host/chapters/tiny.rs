//! Examples of the manual that begin with a tiny supernet.

/// Joins the lines of an example that begins with a tiny supernet.
macro_rules! tiny {
    ($($line:expr),*) => {
        concat!("let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\n", $($line),*)
    };
}
pub(crate) use tiny;
