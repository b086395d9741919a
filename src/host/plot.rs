//! Line plots as SVG: series of points over one horizontal axis. May use: plotters.

use crate::error::{Error, Result};
use plotters::prelude::*;
use std::ops::Range;

/// A line of a plot.
pub struct Series<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// `(x, y)`, in order; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// What is around the lines.
pub struct Axes<'a> {
    /// Above the plot.
    pub title: &'a str,
    /// Below the horizontal axis.
    pub x: &'a str,
    /// Beside the vertical axis.
    pub y: &'a str,
}

/// The plot as the text of an SVG file.
pub fn lines(axes: &Axes, series: &[Series]) -> Result<String> {
    let mut text = String::new();
    draw(axes, series, &mut text).map_err(|e| Error::invalid("plot", e, "lines that can be drawn"))?;
    Ok(text)
}

fn draw(axes: &Axes, series: &[Series], text: &mut String) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let finite = |s: &Series| -> Vec<(f64, f64)> {
        s.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    let points: Vec<Vec<(f64, f64)>> = series.iter().map(finite).collect();
    let range = |of: fn(&(f64, f64)) -> f64| extent(points.iter().flatten().map(of));
    let root = SVGBackend::with_string(text, (720, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(axes.title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(range(|p| p.0), range(|p| p.1))?;
    chart.configure_mesh().x_desc(axes.x).y_desc(axes.y).light_line_style(WHITE).draw()?;
    for (i, (series, points)) in series.iter().zip(points).enumerate() {
        let colour = Palette99::pick(i).to_rgba();
        let line = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?.label(series.name);
        line.legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    root.present()?;
    Ok(())
}

/// From the least to the largest value, with a little room; 0..1 of none.
fn extent(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    match high - low {
        span if span > 0.0 => low - 0.02 * span..high + 0.02 * span,
        0.0 => low - 0.5..high + 0.5,
        _ => 0.0..1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_holds_its_names_and_a_line_for_each_series() {
        let axes = Axes { title: "curve", x: "epoch", y: "top-1, %" };
        for points in [vec![], vec![(1.0, 5.0)], vec![(1.0, 5.0), (2.0, f64::NAN), (3.0, 7.0)]] {
            let series = [Series { name: "train", points: points.clone() }, Series { name: "test", points }];
            let svg = lines(&axes, &series).unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            for word in ["curve", "epoch", "top-1, %", "train", "test"] {
                assert!(svg.contains(word), "{word}");
            }
            assert!(!svg.contains("NaN"));
        }
    }
}
