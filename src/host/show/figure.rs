//! Figures as SVG: panels side by side, lines or points in each.

use crate::error::{Error, Result};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Colours of series that people tell apart who see no red or no green (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// One line or cloud of points.
pub struct FigureSeries {
    /// What the legend calls it.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// One pair of axes.
pub struct Panel {
    /// Above it.
    pub title: String,
    /// What is drawn.
    pub series: Vec<FigureSeries>,
}

/// A figure.
#[derive(Default)]
pub struct Figure {
    /// Above the panels.
    pub title: String,
    /// Name of the x axes.
    pub x: String,
    /// Name of the y axes.
    pub y: String,
    /// Whether the x axes are logarithmic.
    pub log_x: bool,
    /// Whether the y axes are.
    pub log_y: bool,
    /// Points in place of lines.
    pub scatter: bool,
    /// What stands at x = 1, 2, ...; empty: numbers. Of linear x axes.
    pub names: Vec<String>,
    /// The panels.
    pub panels: Vec<Panel>,
}

/// Pixels of a panel, and of the title.
const PANEL: (u32, u32) = (420, 300);
const TITLE: u32 = 30;
/// Pixels of a name on the x axis, across and for each of its letters; and how many names' room the legend takes beside them.
const NAME: (u32, u32) = (20, 7);
const LEGEND: usize = 7;

/// Pixels that the names on the x axis take below it.
fn below(figure: &Figure) -> u32 {
    NAME.1 * figure.names.iter().map(|name| name.chars().count()).max().unwrap_or(0) as u32
}

/// The text of an SVG file. On a logarithmic axis only positive values are drawn; what is not finite never is.
pub fn svg(figure: &Figure) -> Result<String> {
    let mut text = String::new();
    draw(figure, &mut text).map_err(|e| Error::invalid("figure", e, "what can be drawn"))?;
    Ok(text)
}

/// Lines over one pair of axes, as the text of an SVG file.
pub fn lines([title, x, y]: [&str; 3], series: Vec<(&str, Vec<(f64, f64)>)>) -> Result<String> {
    let series = series.into_iter().map(|(name, points)| FigureSeries { name: name.into(), points }).collect();
    let panels = vec![Panel { title: String::new(), series }];
    svg(&Figure { title: title.into(), x: x.into(), y: y.into(), panels, ..Figure::default() })
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw(figure: &Figure, text: &mut String) -> Drawn {
    let columns = match figure.panels.len() {
        0 | 1 => 1,
        2 | 4 => 2,
        _ => 3,
    };
    let rows = figure.panels.len().div_ceil(columns).max(1);
    let (wide, high) = match figure.names.len() {
        0 => PANEL,
        n => (PANEL.0.max(80 + NAME.0 * (n + LEGEND) as u32), PANEL.1 + below(figure)),
    };
    let size = (wide * columns as u32, TITLE + high * rows as u32);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(TITLE);
    head.titled(&figure.title, ("sans-serif", 18))?;
    for (area, panel) in body.split_evenly((rows, columns)).iter().zip(&figure.panels) {
        let drawn = |p: &(f64, f64)| shows(p.0, figure.log_x) && shows(p.1, figure.log_y);
        let placed = |p: &(f64, f64)| (within(p.0, figure.log_x), within(p.1, figure.log_y));
        let series: Vec<(&str, Vec<(f64, f64)>)> = panel
            .series
            .iter()
            .map(|s| (s.name.as_str(), s.points.iter().filter(|p| drawn(p)).map(placed).collect()))
            .collect();
        let range = |log: bool, of: fn(&(f64, f64)) -> f64| extent(series.iter().flat_map(|s| &s.1).map(of), log);
        let (mut x, y) = (range(figure.log_x, |p| p.0), range(figure.log_y, |p| p.1));
        if !figure.names.is_empty() {
            x = 0.0..(figure.names.len() + LEGEND) as f64;
        }
        match (figure.log_x, figure.log_y) {
            (false, false) => axes(area, figure, panel, &series, x, y)?,
            (true, false) => axes(area, figure, panel, &series, x.log_scale(), y)?,
            (false, true) => axes(area, figure, panel, &series, x, y.log_scale())?,
            (true, true) => axes(area, figure, panel, &series, x.log_scale(), y.log_scale())?,
        }
    }
    root.present()?;
    Ok(())
}

fn axes<'a, X, Y>(
    area: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
    figure: &Figure,
    panel: &Panel,
    series: &[(&str, Vec<(f64, f64)>)],
    x: X,
    y: Y,
) -> Drawn
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 14))
        .margin(8)
        .x_label_area_size(34 + below(figure))
        .y_label_area_size(62)
        .build_cartesian_2d(x, y)?;
    let tick = |v: &f64| if *v != 0.0 && !(1e-3..1e5).contains(&v.abs()) { format!("{v:.0e}") } else { shortest(*v) };
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(&figure.x).y_desc(&figure.y).light_line_style(WHITE).x_label_formatter(&tick).y_label_formatter(&tick);
    if !figure.names.is_empty() {
        mesh.x_labels(figure.names.len() + LEGEND + 1).x_label_formatter(&|_| String::new()).disable_x_mesh();
    }
    mesh.draw()?;
    let (left, top) = (area.get_pixel_range().0.start, area.get_pixel_range().1.start);
    let down = TextStyle::from(("sans-serif", 11).into_font().transform(FontTransform::Rotate90));
    let down = down.pos(Pos::new(HPos::Left, VPos::Center));
    for (name, x) in figure.names.iter().zip(1..) {
        let plot = chart.plotting_area();
        let (across, axis) = (plot.map_coordinate(&(f64::from(x), 1.0)).0, plot.get_pixel_range().1.end);
        area.draw(&Text::new(name.as_str(), (across - left, axis - top + 8), down.clone()))?;
    }
    for (i, (name, points)) in series.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let drawn = if figure.scatter {
            chart.draw_series(points.iter().map(|p| Circle::new(*p, 3, colour.filled())))?
        } else {
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
        };
        if !name.is_empty() {
            drawn.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
        }
    }
    if series.iter().any(|(name, _)| !name.is_empty()) {
        let mut legend = chart.configure_series_labels();
        legend.position(SeriesLabelPosition::LowerRight).label_font(("sans-serif", 10));
        legend.background_style(WHITE.mix(0.7)).border_style(BLACK.mix(0.2)).draw()?;
    }
    Ok(())
}

fn shows(value: f64, log: bool) -> bool {
    value.is_finite() && !(log && value <= 0.0)
}

/// A number without the zeros behind it.
fn shortest(value: f64) -> String {
    format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Axes reach no further than this, and (logarithmic ones) no closer to 0 than its inverse; what lies beyond is drawn at the edge.
/// The ends' ratio is a number, too: plotters counts the powers of ten between them.
const FAR: f64 = 1e150;
/// The least range of an axis beside the size of its numbers: ticks closer together than that would be one number.
const CLOSE: f64 = 1e-9;

/// A value where an axis can show it.
fn within(value: f64, log: bool) -> f64 {
    if log { value.clamp(1.0 / FAR, FAR) } else { value.clamp(-FAR, FAR) }
}

/// From the least to the largest value, with a little room; something around none, or around values that are as good as one.
fn extent(values: impl Iterator<Item = f64>, log: bool) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return 0.1..1.0;
    }
    let size = low.abs().max(high.abs());
    match (high - low > size * CLOSE && (log || high - low > 1.0 / FAR), log) {
        (true, true) => low / 1.1..high * 1.1,
        (true, false) => low - 0.03 * (high - low)..high + 0.03 * (high - low),
        (false, true) => low / 2.0..high * 2.0,
        (false, false) => low - 0.5f64.max(size * CLOSE)..high + 0.5f64.max(size * CLOSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_of_any_finite_numbers_ends() {
        let numbers =
            [0.0, 1.0, -1.0, 1e16, 1e16 + 2.0, 1e308, -1e308, f64::MAX, f64::MIN, 5e-324, 1e-310, f64::MIN_POSITIVE];
        for (i, &a) in numbers.iter().enumerate() {
            for &b in &numbers[i..] {
                for (log_x, log_y) in [(false, false), (true, false), (false, true), (true, true)] {
                    let series = vec![FigureSeries { name: "s".into(), points: vec![(a, b), (b, a)] }];
                    let panels = vec![Panel { title: String::new(), series }];
                    let text = svg(&Figure { log_x, log_y, panels, ..Figure::default() }).unwrap();
                    assert!(text.trim_end().ends_with("</svg>") && !text.contains("NaN") && !text.contains("inf"));
                }
            }
        }
    }

    /// What who sees no red or no green sees of a colour (Machado, Oliveira and Fernandes, 2009, table 1, severity 1).
    fn seen_without(cones: &[[f64; 3]; 3], RGBColor(r, g, b): RGBColor) -> [f64; 3] {
        let linear = [r, g, b].map(|c| (f64::from(c) / 255.0).powf(2.2));
        let mixed = cones.map(|row| row.iter().zip(linear).map(|(m, c)| m * c).sum::<f64>());
        mixed.map(|c| c.clamp(0.0, 1.0).powf(1.0 / 2.2))
    }

    #[test]
    fn names_stand_along_the_axis_each_once_in_place_of_numbers() {
        let points = (1..=35).map(|x| (f64::from(x), 0.5)).collect();
        let panels = vec![Panel { title: String::new(), series: vec![FigureSeries { name: "s".into(), points }] }];
        let names = (1..=35).map(|i| format!("method {i}.")).collect();
        let text = svg(&Figure { names, panels, scatter: true, ..Figure::default() }).unwrap();
        assert!((1..=35).all(|i| text.matches(&format!("method {i}.")).count() == 1), "{text}");
        assert!(text.contains("rotate(90"), "{text}");
    }

    #[test]
    fn curves_differ_for_who_sees_no_red_or_no_green() {
        let all = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let no_red =
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]];
        let no_green =
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]];
        let least = |colours: &[RGBColor], cones: &[[f64; 3]; 3]| {
            let seen: Vec<_> = colours.iter().map(|colour| seen_without(cones, *colour)).collect();
            let apart = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            let pairs = (0..seen.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
            pairs.map(|(i, j)| apart(&seen[i], &seen[j])).fold(f64::INFINITY, f64::min)
        };
        for cones in [all, no_red, no_green] {
            assert!(least(&COLOURS, &cones) > 0.19, "{}", least(&COLOURS, &cones));
        }
        // A red and a green as they come are refused.
        assert!(least(&[RGBColor(255, 0, 0), RGBColor(0, 128, 0)], &no_red) < 0.12);
    }

    #[test]
    fn a_figure_holds_its_names_whatever_its_values_are() {
        let points = [
            vec![],
            vec![(1.0, 5.0)],
            vec![(1.0, 5.0), (2.0, f64::NAN), (3.0, f64::INFINITY), (0.0, -7.0), (9.0, 1e-9)],
        ];
        for (log_x, log_y, scatter, n) in
            [(false, false, false, 1), (true, false, true, 2), (false, true, false, 5), (true, true, true, 7)]
        {
            let series =
                || points.iter().map(|p| FigureSeries { name: "nor_conv_3x3".into(), points: p.clone() }).collect();
            let panels = (0..n).map(|i| Panel { title: format!("edge {i}"), series: series() }).collect();
            let [title, x, y] = ["curve", "images", "IIM"].map(String::from);
            let svg = svg(&Figure { title, x, y, log_x, log_y, scatter, panels, ..Figure::default() }).unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && !svg.contains("NaN"));
            for word in ["curve", "images", "IIM", "nor_conv_3x3", &format!("edge {}", n - 1)] {
                assert!(svg.contains(word), "{word}");
            }
        }
    }
}
