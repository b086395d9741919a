//! Data sets for the eye: how many images a class has, and some of them in half blocks.

use super::look::{Look, Style, bar};
use crate::data::Dataset;

/// Classes that are listed one by one; of more, the extremes.
const LISTED: usize = 20;
/// Images in a row at most.
const PICTURES: usize = 10;
/// Columns between images.
const GAP: usize = 2;

/// One line, the classes, and an image of each of the first classes.
pub fn data(data: &Dataset, look: &Look) -> String {
    [look.paint(Style::Title, &data.describe()), classes(data, look), images(data, look)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn classes(data: &Dataset, look: &Look) -> String {
    let counts = data.class_counts();
    let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    if least == most {
        return format!("{most} images of every class: {}", names(data, look.width.saturating_sub(30)));
    }
    if counts.len() > LISTED {
        let name = |n: usize| counts.iter().position(|c| *c == n).map_or("", |i| data.classes[i].as_str());
        return format!("{least} ({}) to {most} ({}) images a class", name(least), name(most));
    }
    let width = data.classes.iter().map(|c| c.chars().count()).max().unwrap_or_default();
    let line = |(name, n): (&String, &usize)| {
        let bar = bar(*n as f64 / most as f64, 30);
        format!("{name:width$} {n:>6} {}", look.paint(Style::Series(0), &bar))
    };
    data.classes.iter().zip(&counts).map(line).collect::<Vec<_>>().join("\n")
}

/// As many class names as `width` holds.
fn names(data: &Dataset, width: usize) -> String {
    let mut text = String::new();
    for (i, name) in data.classes.iter().enumerate() {
        let next = if i == 0 { name.clone() } else { format!("{text}, {name}") };
        if next.chars().count() > width {
            return text + ", ...";
        }
        text = next;
    }
    text
}

/// The first image of each class, side by side, over the names; two rows of pixels in a row of characters.
fn images(data: &Dataset, look: &Look) -> String {
    let (channels, height, side) = data.shape;
    let fit = ((look.width + GAP) / (side + GAP)).min(PICTURES);
    let mut shown: Vec<(usize, String)> = Vec::new();
    for class in 0..data.n_classes() {
        let first = (0..data.len()).find(|&i| data.label(i) as usize == class);
        if let (Some(position), true) = (first, shown.len() < fit) {
            shown.push((position, data.classes[class].clone()));
        }
    }
    let pixel = |position: usize, y: usize, x: usize| -> [u8; 3] {
        let image = data.image(position);
        let at = |c: usize| if y < height { image[(c.min(channels - 1) * height + y) * side + x] } else { 0 };
        [at(0), at(1), at(2)]
    };
    let mut lines: Vec<String> = Vec::new();
    for y in (0..height).step_by(2) {
        let row = |(position, _): &(usize, String)| -> String {
            let pixels = (0..side).map(|x| look.pixels([pixel(*position, y, x), pixel(*position, y + 1, x)]));
            pixels.collect::<String>() + look.reset()
        };
        lines.push(shown.iter().map(row).collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_string());
    }
    let label = |(_, name): &(usize, String)| {
        let cut: String = name.chars().take(side).collect();
        format!("{cut:side$}")
    };
    let labels = shown.iter().map(label).collect::<Vec<_>>().join(&" ".repeat(GAP));
    lines.push(look.paint(Style::Faint, labels.trim_end()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::look::Colours;
    use super::*;
    use crate::data::{DataOptions, Splits};

    fn digits() -> Dataset {
        Splits::open("digits", &DataOptions::default()).unwrap().train
    }

    #[test]
    fn a_data_set_shows_its_classes_and_one_image_of_each() {
        let shown = data(&digits(), &Look::PLAIN);
        let lines: Vec<&str> = shown.lines().collect();
        let counts = digits().class_counts();
        assert_eq!(lines[0], digits().describe());
        assert!((0..10).all(|k| lines[2 + k].starts_with(&format!("{k} {:>6} █", counts[k]))), "{shown}");
        assert_eq!(lines.len(), 1 + 1 + 10 + 1 + 4 + 1, "{shown}");
        assert!(lines[13..17].iter().all(|l| l.contains(['░', '▒', '▓', '█'])), "{shown}");
        assert!(lines[17].starts_with("0         1         2"), "{shown}");
    }

    #[test]
    fn equal_counts_take_one_line_and_a_narrow_terminal_fewer_images() {
        let few = Splits::open("digits", &DataOptions { limit: Some(3), ..Default::default() }).unwrap().train;
        let look = Look { width: 38, colours: Colours::True, ..Look::PLAIN };
        let shown = data(&few, &look);
        assert!(shown.contains("3 images of every class: "), "{shown}");
        assert_eq!(shown.matches("\x1b[0m  \x1b[").count(), 4 * 3, "{shown:?}");
        assert!(shown.contains("▀"), "{shown:?}");
    }
}
