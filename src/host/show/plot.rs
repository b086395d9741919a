//! Curves: sparklines of one line, and plots in braille dots.

use super::look::{Look, Style};

/// A named curve; x is the position, from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Its values; NaN is a gap.
    pub values: Vec<f64>,
}

/// Curves over the same axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// The curves, at least one.
    pub series: Vec<Series>,
}

/// One character a value, eight heights from the least to the largest; a gap for what is not finite. More than `width`
/// values: the mean of each run of them.
pub fn sparkline(values: &[f64], width: usize) -> String {
    let values: Vec<f64> = match values.len() > width && width > 0 {
        true => (0..width).map(|i| mean(&values[i * values.len() / width..(i + 1) * values.len() / width])).collect(),
        false => values.to_vec(),
    };
    let (low, high) = range(&values);
    let glyph = |v: &f64| match v.is_finite() {
        false => ' ',
        true if high > low => {
            let (v, low, high) = (v / 4.0, low / 4.0, high / 4.0);
            ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((v - low) / (high - low) * 7.0).round() as usize]
        }
        true => '▄',
    };
    values.iter().map(glyph).collect()
}

fn mean(values: &[f64]) -> f64 {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.is_empty() { f64::NAN } else { finite.iter().sum::<f64>() / finite.len() as f64 }
}

/// The least and the largest of the finite values.
fn range(values: &[f64]) -> (f64, f64) {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// Rows of a plot, and the most columns of its canvas; a character has 2 x 4 dots.
const ROWS: usize = 10;
const COLUMNS: usize = 64;
/// Room for the numbers at the left.
const MARGIN: usize = 10;

impl Plot {
    /// The plot as lines: numbers of the y axis, the curves, positions of the x axis, and a legend.
    pub fn draw(&self, look: &Look) -> String {
        let points = self.series.iter().map(|s| s.values.len()).max().unwrap_or_default();
        let all: Vec<f64> = self.series.iter().flat_map(|s| s.values.iter().copied()).collect();
        let (mut low, mut high) = range(&all);
        if points == 0 || low > high {
            return "nothing to plot: no finite number".into();
        }
        if low == high {
            (low, high) = (low - 0.5, high + 0.5);
        }
        // Far apart, their distance would be infinite: in quarters it is not.
        let scale = if (high - low).is_finite() { 1.0 } else { 0.25 };
        (low, high) = (scale * low, scale * high);
        let columns = COLUMNS.min(look.width.saturating_sub(MARGIN + 2)).max(8);
        let mut canvas = Canvas::new(columns);
        for (i, series) in self.series.iter().enumerate() {
            let at = |k: usize, v: f64| {
                let x = if points == 1 { 0.5 } else { k as f64 / (points - 1) as f64 };
                (x * (2 * columns - 1) as f64, (high - scale * v) / (high - low) * (4 * ROWS - 1) as f64)
            };
            let mut last = None;
            for (k, v) in series.values.iter().enumerate() {
                let here = v.is_finite().then(|| at(k, *v));
                if let Some(here) = here {
                    canvas.line(last.unwrap_or(here), here, i);
                }
                last = here;
            }
        }
        let mut lines = Vec::new();
        for row in 0..ROWS {
            let value = high - (high - low) * (row as f64 / (ROWS - 1) as f64);
            let label = if row % 3 == 0 { tick(value / scale, high - low) } else { String::new() };
            lines.push(format!("{label:>MARGIN$} ┤{}", canvas.row(row, look)).trim_end().to_string());
        }
        lines.push(format!("{:MARGIN$} └{}", "", "─".repeat(columns)));
        lines.push(format!("{:MARGIN$}  1{points:>w$}", "", w = columns - 1));
        if self.series.len() > 1 || !self.series[0].name.is_empty() {
            let name = |(i, s): (usize, &Series)| look.paint(Style::Series(i), &format!("{} {}", mark(i), s.name));
            let names: Vec<String> = self.series.iter().enumerate().map(name).collect();
            lines.push(format!("{:MARGIN$}  {}", "", names.join("   ")));
        }
        lines.join("\n")
    }
}

/// The mark of a curve in the legend, and at its end: without colours it is what tells curves apart.
fn mark(i: usize) -> char {
    (b'a' + (i % 26) as u8) as char
}

/// A number of the y axis, to a hundredth of the range.
fn tick(value: f64, range: f64) -> String {
    let digits = (2.0 - range.log10().floor()).clamp(0.0, 12.0) as usize;
    let plain = format!("{value:.digits$}");
    if plain.len() <= MARGIN && value.abs() < 1e6 { plain } else { format!("{value:.2e}") }
}

/// Dots of 2 x 4 a character, each with the curve that it belongs to.
struct Canvas {
    columns: usize,
    dots: Vec<u8>,
    owner: Vec<usize>,
    /// Characters that stand in place of dots.
    marks: Vec<Option<char>>,
}

impl Canvas {
    fn new(columns: usize) -> Self {
        let cells = columns * ROWS;
        Canvas { columns, dots: vec![0; cells], owner: vec![0; cells], marks: vec![None; cells] }
    }

    /// A straight line of dots; its end bears the curve's mark.
    fn line(&mut self, from: (f64, f64), to: (f64, f64), curve: usize) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0) as usize;
        let mut cell = 0;
        for k in 0..=steps {
            let t = k as f64 / steps as f64;
            let x = (from.0 + t * (to.0 - from.0)).round() as usize;
            let y = (from.1 + t * (to.1 - from.1)).round() as usize;
            cell = (y / 4) * self.columns + x / 2;
            // Braille patterns (Unicode U+2800): bits of the left column from above 0, 1, 2, 6, of the right 3, 4, 5, 7.
            self.dots[cell] |= [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]][x % 2][y % 4];
            self.owner[cell] = curve;
        }
        self.marks
            .iter_mut()
            .zip(&self.owner)
            .filter(|(m, o)| **m == Some(mark(curve)) && **o == curve)
            .for_each(|(m, _)| *m = None);
        self.marks[cell] = Some(mark(curve));
    }

    fn row(&self, row: usize, look: &Look) -> String {
        let cells = row * self.columns..(row + 1) * self.columns;
        let curves = 1 + self.owner.iter().max().copied().unwrap_or_default();
        let glyph = |i: usize| match (self.marks[i].filter(|_| curves > 1), self.dots[i]) {
            (Some(mark), _) => mark,
            (None, 0) => ' ',
            (None, dots) => char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' '),
        };
        // Cells of one curve side by side are painted together.
        let mut text = String::new();
        let mut cells = cells.peekable();
        while let Some(i) = cells.next() {
            let mut run = glyph(i).to_string();
            while let Some(next) =
                cells.next_if(|&n| self.owner[n] == self.owner[i] && (self.dots[n] > 0) == (self.dots[i] > 0))
            {
                run.push(glyph(next));
            }
            text += &if self.dots[i] > 0 { look.paint(Style::Series(self.owner[i]), &run) } else { run };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::Colours;
    use super::*;

    const NAN: f64 = f64::NAN;

    #[test]
    fn a_sparkline_runs_from_the_least_to_the_largest() {
        for (values, width, text) in [
            (vec![0.0, 1.0, 2.0, 7.0], 10, "▁▂▃█"),
            (vec![3.0, 3.0], 10, "▄▄"),
            (vec![1.0, NAN, 2.0, f64::INFINITY], 10, "▁ █ "),
            (vec![], 10, ""),
            (vec![0.0, 0.0, 1.0, 1.0], 2, "▁█"),
        ] {
            assert_eq!(sparkline(&values, width), text, "{values:?}");
        }
    }

    fn drawn(values: &[&[f64]], look: &Look) -> Vec<String> {
        let name = |i: usize| if values.len() > 1 { format!("curve {i}") } else { String::new() };
        let series = values.iter().enumerate().map(|(i, v)| Series { name: name(i), values: v.to_vec() }).collect();
        Plot { series }.draw(look).lines().map(str::to_string).collect()
    }

    #[test]
    fn a_falling_line_goes_from_the_upper_left_to_the_lower_right() {
        let lines = drawn(&[&[1.0, 0.0]], &Look::PLAIN);
        assert_eq!(lines.len(), ROWS + 2);
        let all = lines.join("\n");
        assert!(lines[0].starts_with("      1.00 ┤⠉⠒") && lines[0].chars().count() < 30, "{all}");
        assert!(lines[ROWS - 1].starts_with("      0.00 ┤   ") && lines[ROWS - 1].ends_with("⠤⣀"), "{all}");
        assert_eq!(lines[ROWS + 1].trim(), format!("1{:>63}", 2));
    }

    #[test]
    fn several_curves_have_marks_at_their_ends_and_colours_where_there_are() {
        let lines = drawn(&[&[0.0, 1.0], &[1.0, 0.0]], &Look::PLAIN);
        assert!(lines[0].ends_with('a') && lines[ROWS - 1].ends_with('b'), "{}", lines.join("\n"));
        assert_eq!(lines[ROWS + 2].trim(), "a curve 0   b curve 1");
        let look = Look { colours: Colours::Palette, width: 60, ..Look::PLAIN };
        assert!(drawn(&[&[0.0, 1.0], &[1.0, 0.0]], &look)[0].contains("\x1b[36m"));
    }

    #[test]
    fn gaps_single_points_and_nothing_at_all_are_no_trouble() {
        assert_eq!(drawn(&[&[NAN, NAN]], &Look::PLAIN), ["nothing to plot: no finite number"]);
        assert_eq!(drawn(&[&[2.0]], &Look::PLAIN).len(), ROWS + 2);
        let far = drawn(&[&[f64::MAX, f64::MIN]], &Look::PLAIN);
        assert!(far[0].contains("1.80e308 ┤⠉") && far[ROWS - 1].contains("-1.80e308"), "{}", far.join("\n"));
        assert_eq!(sparkline(&[f64::MAX, f64::MIN, 0.0], 3), "█▁▅");
        let gap = drawn(&[&[0.0, NAN, 0.0]], &Look::PLAIN);
        assert_eq!(gap.iter().filter(|l| l.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c))).count(), 1);
    }
}
