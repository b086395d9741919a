//! Genotypes drawn: as a matrix of nodes for a terminal, and in the DOT language for Graphviz.

use super::{Genotype, Plan, Primitive, Topology};
use std::fmt::Write;

impl Genotype {
    /// A row for every node, a column for every node it may read. Two ops on one edge stand one above the other.
    ///
    /// ```
    /// # use isdarts_host::space::Genotype;
    /// let cell = Genotype::parse("|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|avg_pool_3x3~2|")?;
    /// assert_eq!(cell.draw(), "\
    /// cell    from input    from 1        from 2
    /// 1       skip_connect
    /// 2       none          nor_conv_3x3
    /// 3       none          none          avg_pool_3x3
    /// output = 3
    /// ");
    /// # Ok::<(), isdarts_host::Error>(())
    /// ```
    pub fn draw(&self) -> String {
        let (first, mut text) = (self.space.inputs(), String::new());
        let last = first + self.space.nodes() - 1;
        for (t, title) in self.titles().into_iter().enumerate() {
            let sources = (0..last).map(|from| format!("from {}", self.node_name(from)));
            let mut rows = vec![(title, sources.collect::<Vec<_>>())];
            for (i, inputs) in self.inputs_of_nodes(t).iter().enumerate() {
                let on = |from: usize| -> Vec<&str> {
                    inputs.iter().filter(|(source, _)| *source == from).map(|(_, op)| op.name()).collect()
                };
                let cells: Vec<Vec<&str>> = (0..last).map(on).collect();
                for line in 0..cells.iter().map(Vec::len).max().unwrap_or_default().max(1) {
                    let name = if line == 0 { self.node_name(first + i) } else { String::new() };
                    rows.push((name, cells.iter().map(|c| c.get(line).unwrap_or(&"").to_string()).collect()));
                }
            }
            for (name, cells) in rows {
                let cells: String = cells.iter().map(|cell| format!("{cell:14}")).collect();
                let _ = writeln!(text, "{}", format!("{name:<width$}{cells}", width = self.title_width()).trim_end());
            }
            let _ = writeln!(text, "output = {}", self.output_nodes(t));
        }
        text
    }

    /// A directed graph, one cluster a cell type: `dot -Tsvg` draws it. `none` is dotted: it carries nothing.
    pub fn to_dot(&self) -> String {
        let mut text = String::from("digraph genotype {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n");
        for (t, title) in self.titles().into_iter().enumerate() {
            let id = |node: &str| format!("\"{title} {node}\"");
            let _ = writeln!(text, "  subgraph cluster_{t} {{\n    label=\"{title}\";");
            let (first, nodes) = (self.space.inputs(), self.space.nodes());
            for node in 0..first + nodes {
                let name = self.node_name(node);
                let _ = writeln!(text, "    {} [label=\"{name}\"];", id(&name));
            }
            let _ = writeln!(text, "    {} [label=\"output\"];", id("output"));
            for (i, inputs) in self.inputs_of_nodes(t).iter().enumerate() {
                let to = id(&self.node_name(first + i));
                for (from, op) in inputs {
                    let style = if *op == Primitive::None { ", style=dotted" } else { "" };
                    let _ = writeln!(text, "    {} -> {to} [label=\"{op}\"{style}];", id(&self.node_name(*from)));
                }
            }
            for node in Plan::from(self).outputs_of(t) {
                let _ = writeln!(text, "    {} -> {};", id(&self.node_name(node)), id("output"));
            }
            text.push_str("  }\n");
        }
        text.push_str("}\n");
        text
    }

    pub(super) fn titles(&self) -> Vec<String> {
        match self.space.cell_types() {
            [_] => vec!["cell".to_string()],
            types => types.iter().map(|t| t.to_string()).collect(),
        }
    }

    fn title_width(&self) -> usize {
        2 + self.titles().iter().map(String::len).max().unwrap_or_default().max(6)
    }

    pub(super) fn node_name(&self, node: usize) -> String {
        match (self.space.topology(), node) {
            (Topology::NasBench201, 0) => "input".to_string(),
            (Topology::Darts, 0) => "c_{k-2}".to_string(),
            (Topology::Darts, 1) => "c_{k-1}".to_string(),
            _ => node.to_string(),
        }
    }

    fn output_nodes(&self, cell_type: usize) -> String {
        let outputs = Plan::from(self).outputs_of(cell_type);
        match &outputs[..] {
            [only] => self.node_name(*only),
            [first, .., last] if *first >= self.space.inputs() && outputs.windows(2).all(|w| w[1] == w[0] + 1) => {
                format!("concat of {first} to {last}")
            }
            nodes => format!("concat of {}", nodes.iter().map(|n| self.node_name(*n)).collect::<Vec<_>>().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DARTS: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), \
        ('sep_conv_3x3', 0), ('none', 2), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 4)], \
        normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
        ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
        reduce_concat=[2, 3, 4, 5])";

    #[test]
    fn two_ops_on_one_edge_stand_one_above_the_other() {
        let normal = "\
normal     from c_{k-2}  from c_{k-1}  from 2        from 3        from 4
2          sep_conv_3x3  sep_conv_3x3
3          skip_connect
           sep_conv_3x3
4          skip_connect                none
5          skip_connect                                            dil_conv_3x3
output = concat of 2 to 5
reduction  from c_{k-2}";
        let drawn = Genotype::parse(DARTS).unwrap().draw();
        assert!(drawn.starts_with(normal), "{drawn}");
    }

    #[test]
    fn the_graph_has_an_arrow_for_every_chosen_op_and_for_every_output() {
        for (text, ops, outputs) in
            [(DARTS, 16, 8), ("|none~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|", 6, 1)]
        {
            let dot = Genotype::parse(text).unwrap().to_dot();
            let arrows: Vec<&str> = dot.lines().filter(|l| l.contains(" -> ")).collect();
            assert_eq!(arrows.iter().filter(|l| l.contains("[label=")).count(), ops, "{dot}");
            assert_eq!(arrows.iter().filter(|l| l.ends_with(" output\";")).count(), outputs, "{dot}");
            assert_eq!(dot.matches('{').count() - dot.matches("c_{k").count(), 1 + dot.matches("subgraph").count());
        }
        let dot = Genotype::parse(DARTS).unwrap().to_dot();
        assert!(dot.contains(r#""normal 2" -> "normal 4" [label="none", style=dotted];"#), "{dot}");
        assert!(dot.contains(r#""reduction c_{k-2}" -> "reduction 2" [label="max_pool_3x3"];"#), "{dot}");
    }
}
