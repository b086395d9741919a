//! Genotypes as pictures: SVG, laid out by the crate `layout`.

use super::{Genotype, Plan, Primitive};
use layout::adt::dag::NodeHandle;
use layout::backends::svg::SVGWriter;
use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::geometry::Point;
use layout::core::style::{LineStyleKind, StyleAttr};
use layout::std_shapes::shapes::{Arrow, Element, LineEndKind, ShapeKind};
use layout::topo::layout::VisualGraph;
use std::fmt::Write;

/// Colours of the boxes: inputs, nodes, outputs, ops with weights, ops without, `none`.
const INPUT: u32 = 0xcf_e8_cf_ff;
const NODE: u32 = 0xd6_e4_f7_ff;
const OUTPUT: u32 = 0xf7_ec_c6_ff;
const WEIGHTS: u32 = 0xff_ff_ff_ff;
const FREE: u32 = 0xf2_f2_f2_ff;
const INK: u32 = 0x33_33_33_ff;
const PALE: u32 = 0xbb_bb_bb_ff;

/// Pixels between cells, and of a title.
const GAP: f64 = 12.0;
const TITLE: f64 = 28.0;

impl Genotype {
    /// A picture of the cells, one above the other: inputs, nodes, and a box for each op between them.
    pub fn to_svg(&self) -> String {
        let (mut body, mut width, mut height) = (String::new(), 0f64, 0f64);
        for (t, title) in self.titles().into_iter().enumerate() {
            let (cell, (w, h)) = placed(&self.cell_svg(t), height + TITLE);
            let y = height + TITLE - 8.0;
            let _ = writeln!(
                body,
                "<text x=\"12\" y=\"{y}\" font-size=\"16\" font-family=\"sans-serif\">{title}</text>\n{cell}"
            );
            width = width.max(w);
            height += TITLE + h + GAP;
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} \
             {height}\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }

    fn cell_svg(&self, cell_type: usize) -> String {
        let mut graph = VisualGraph::new(Orientation::LeftToRight);
        let (first, nodes) = (self.space.inputs(), self.space.nodes());
        let handles: Vec<NodeHandle> = (0..first + nodes)
            .map(|node| add(&mut graph, &self.node_name(node), if node < first { INPUT } else { NODE }, INK))
            .collect();
        for (i, inputs) in self.inputs_of_nodes(cell_type).iter().enumerate() {
            for &(from, op) in inputs {
                let (ink, line) = match op {
                    Primitive::None => (PALE, LineStyleKind::Dotted),
                    _ => (INK, LineStyleKind::Normal),
                };
                let fill = if op.has_weights() { WEIGHTS } else { FREE };
                let middle = add(&mut graph, op.name(), fill, ink);
                graph.add_edge(arrow(ink, line), handles[from], middle);
                graph.add_edge(arrow(ink, line), middle, handles[first + i]);
            }
        }
        let output = add(&mut graph, "output", OUTPUT, INK);
        for node in Plan::from(self).outputs_of(cell_type) {
            graph.add_edge(arrow(INK, LineStyleKind::Normal), handles[node], output);
        }
        let mut writer = SVGWriter::new();
        graph.do_it(false, false, false, &mut writer);
        writer.finalize()
    }
}

fn style(fill: u32, ink: u32) -> StyleAttr {
    StyleAttr::new(Color::new(ink), 1, Some(Color::new(fill)), 8, 14)
}

fn add(graph: &mut VisualGraph, name: &str, fill: u32, ink: u32) -> NodeHandle {
    let size = Point::new(8.0 * name.len() as f64 + 24.0, 34.0);
    graph.add_node(Element::create(ShapeKind::new_box(name), style(fill, ink), Orientation::LeftToRight, size))
}

fn arrow(ink: u32, line: LineStyleKind) -> Arrow {
    Arrow::new(LineEndKind::None, LineEndKind::Arrow, line, "", &style(WEIGHTS, ink), &None, &None)
}

/// A picture moved down by `y` into another, and its width and height.
fn placed(svg: &str, y: f64) -> (String, (f64, f64)) {
    let inner = svg.find("<svg").map_or("", |at| &svg[at..]).replace("Times, serif", "sans-serif");
    let number = |key: &str| {
        let rest = inner.split_once(&format!("{key}=\"")).map_or("", |(_, rest)| rest);
        rest.split('"').next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
    };
    let size = (number("width"), number("height"));
    (inner.replacen("<svg", &format!("<svg y=\"{y}\""), 1), size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_a_box_for_every_node_and_op_and_an_arrow_at_both_ends_of_an_op() {
        for (text, ops, nodes, arrows) in [
            ("DARTS_V2", 16, 2 * 7, 2 * 16 + 8),
            ("SNAS_aggressive", 16, 2 * 7, 2 * 16 + 8),
            ("|none~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|", 6, 5, 2 * 6 + 1),
        ] {
            let genotype = Genotype::read(text).unwrap();
            let svg = genotype.to_svg();
            let cells = genotype.space.cell_types().len();
            // Each cell is a picture in the picture; one rectangle is the background.
            assert_eq!((svg.matches("<svg").count(), svg.matches("</svg>").count()), (cells + 1, cells + 1));
            assert_eq!(svg.matches("<rect").count(), 1 + ops + nodes, "{text}");
            assert_eq!(svg.matches("url(#endarrow)").count(), arrows, "{text}");
            for (_, op) in genotype.inputs_of_nodes(0).concat() {
                assert!(svg.contains(&format!(">{op}<")), "{op}: {svg}");
            }
        }
    }
}
