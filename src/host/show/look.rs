//! How values look: colours, where there are any, and the width there is.

/// Which colours can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Colours {
    /// Plain text.
    None,
    /// The 256 of most terminals.
    Palette,
    /// 24 bits.
    True,
}

/// How values look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub colours: Colours,
    /// Columns.
    pub width: usize,
    /// Items of an array or map that are shown; of longer ones the ends are. Where nobody sits before it: all.
    pub most: usize,
}

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A heading.
    Title,
    /// What survives, or is best.
    Good,
    /// What goes next, or is wrong.
    Bad,
    /// What matters less.
    Faint,
    /// What was dropped.
    Struck,
    /// One of several curves.
    Series(usize),
}

impl Style {
    /// The parameters of the escape sequence that begins it (ECMA-48, SGR).
    fn code(self) -> &'static str {
        match self {
            Style::Title => "1",
            Style::Good => "32",
            Style::Bad => "31",
            Style::Faint => "2",
            Style::Struck => "2;9",
            Style::Series(i) => ["36", "33", "35", "32", "34", "31", "37", "96"][i % 8],
        }
    }
}

impl Look {
    /// Plain text of up to 120 columns: pipes, files, `print`.
    pub const PLAIN: Look = Look { colours: Colours::None, width: 120, most: usize::MAX };

    /// Words with commas between them, in rows that are not wider than there are columns.
    pub fn rows(&self, words: &[&str]) -> String {
        let mut rows = vec![String::new()];
        for (i, word) in words.iter().enumerate() {
            let comma = if i + 1 < words.len() { "," } else { "" };
            let row = rows.last().map_or(0, String::len);
            if row > 0 && row + 1 + word.len() + comma.len() >= self.width {
                rows.push(String::new());
            }
            if let Some(row) = rows.last_mut() {
                *row += &format!("{}{word}{comma}", if row.is_empty() { "" } else { " " });
            }
        }
        rows.join("\n")
    }

    /// `text` in a style; without colours as it is.
    pub fn paint(&self, style: Style, text: &str) -> String {
        match self.colours {
            Colours::None => text.to_string(),
            _ if text.is_empty() => String::new(),
            _ => format!("\x1b[{}m{text}\x1b[0m", style.code()),
        }
    }

    /// A dropped candidate in a column `width` wide: its struck name, or a dot where nothing can be struck or it has no room.
    pub fn dropped(&self, name: &str, width: usize) -> String {
        if self.colours == Colours::None || name.len() > width {
            return self.paint(Style::Faint, &format!("{:width$}", "·"));
        }
        format!("{}{}", self.paint(Style::Struck, name), " ".repeat(width - name.len()))
    }

    /// Two pixels, one above the other, in one character; `r, g, b` each. Without colours a shade of their mean.
    pub fn pixels(&self, [above, below]: [[u8; 3]; 2]) -> String {
        match self.colours {
            Colours::None => {
                let mean = above.iter().chain(&below).map(|v| usize::from(*v)).sum::<usize>() / 6;
                [" ", "░", "▒", "▓", "█"][mean * 5 / 256].to_string()
            }
            Colours::Palette => format!("\x1b[38;5;{};48;5;{}m▀", palette(above), palette(below)),
            Colours::True => {
                let [r, g, b] = above;
                let [r2, g2, b2] = below;
                format!("\x1b[38;2;{r};{g};{b};48;2;{r2};{g2};{b2}m▀")
            }
        }
    }

    /// The end of coloured pixels.
    pub fn reset(&self) -> &'static str {
        if self.colours == Colours::None { "" } else { "\x1b[0m" }
    }
}

/// The nearest of the 6 x 6 x 6 colours, or of the 24 greys, of the 256 that terminals have.
fn palette(rgb: [u8; 3]) -> u8 {
    let [r, g, b] = rgb;
    if r.abs_diff(g) < 8 && g.abs_diff(b) < 8 {
        return match r {
            0..4 => 16,
            239.. => 231,
            r => 232 + (r - 3) / 10,
        };
    }
    let step = |v: u8| (u16::from(v) * 5 + 127) / 255;
    (16 + 36 * step(r) + 6 * step(g) + step(b)) as u8
}

/// A bar of `width` characters at most, in eighths of one, for `part` of a whole of 1.
pub fn bar(part: f64, width: usize) -> String {
    let eighths = (part.clamp(0.0, 1.0) * (8 * width) as f64).round() as usize;
    let end = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    // What is not nothing is seen.
    let end = if part > 0.0 && eighths == 0 { "▏" } else { end };
    "█".repeat(eighths / 8) + end
}

/// A number with its thousands apart: `1_234_567` as Rhai would read it.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("_")
}

/// A count with a unit: `12.3 M`.
pub fn millions(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{:.1} k", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.1} G", n as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_by_eighths_and_show_what_is_not_nothing() {
        let cases = [(0.0, ""), (0.001, "▏"), (0.25, "▊"), (0.5, "█▌"), (1.0, "███"), (7.0, "███"), (f64::NAN, "")];
        for (part, text) in cases {
            assert_eq!(bar(part, 3), text, "{part}");
        }
    }

    #[test]
    fn plain_text_has_no_escapes_and_colours_end() {
        let colour = Look { colours: Colours::Palette, width: 80, ..Look::PLAIN };
        assert_eq!(Look::PLAIN.paint(Style::Good, "a"), "a");
        assert_eq!(colour.paint(Style::Good, "a"), "\x1b[32ma\x1b[0m");
        assert_eq!(Look::PLAIN.dropped("none", 6), "·     ");
        assert_eq!(colour.dropped("none", 6), "\x1b[2;9mnone\x1b[0m  ");
        assert_eq!(Look::PLAIN.pixels([[0; 3], [255; 3]]), "▒");
    }

    #[test]
    fn the_palette_has_the_colour_or_grey_that_is_near() {
        for (rgb, index) in [([0; 3], 16), ([255; 3], 231), ([128; 3], 244), ([255, 0, 0], 196), ([0, 0, 255], 21)] {
            assert_eq!(palette(rgb), index, "{rgb:?}");
        }
    }

    #[test]
    fn counts_are_readable() {
        for (n, apart, short) in [(7, "7", "7"), (12_345, "12_345", "12.3 k"), (2_500_000, "2_500_000", "2.5 M")] {
            assert_eq!((thousands(n).as_str(), millions(n).as_str()), (apart, short));
        }
    }
}
