//! What arrives at a node from all that reads it, but for convolutions, and the norms of its own terms: one job a node.

use super::Writing;
use crate::error::Result;
use crate::net::gpu::places::{dims, group_sums};
use crate::net::gpu::tape::Tape;
use crate::net::graph::PoolKind;
use crate::net::program::{Coef, Filter, Node, NodeId, Origin, Term};
use crate::ops::gpu::jobs::{
    Address, GROUP, GatherDot, GatherJob, GatherRow, GatherSource, GatherTerm, Gradient, Groups,
};

impl Writing<'_, '_> {
    /// All that arrives at a node, and the norms of its own terms; one of so many jobs side by side.
    pub(super) fn gather(&mut self, tape: &mut Tape, i: NodeId, jobs: usize) -> Result<GatherJob> {
        let (places, program) = (self.places, self.places.program);
        let node = &program.nodes[i];
        let through = self.convs(i).any(|c| !matches!(program.convs[c].filter, Filter::Pool { .. }));
        let (pixels, c) = (places.pixels(i), node.size.c);
        let groups = c.div_ceil(GROUP);
        let plain = GatherRow { source: -1, ..GatherRow::default() };
        let mut rows = vec![plain];
        let mut dots = Vec::new();
        let mut sources = Vec::new();
        // Averages of stride 1 come first, for they go back together, then what arrives as it is.
        let is_average = |s: &GatherSource| s.kind == 1 && s.stride == 1 && s.dz.a == 0;
        let is_plain = |s: &GatherSource| s.kind == 0 && s.dz.a == 0;
        let mut arriving = self.sources(i);
        arriving.sort_by_key(|(s, _)| (!is_average(s), !is_plain(s)));
        let n_averages = arriving.iter().filter(|(s, _)| is_average(s)).count() as i32;
        let n_plain = arriving.iter().filter(|(s, _)| is_plain(s)).count() as i32;
        for (source, coef) in arriving {
            if let (Some(mix), 0) = (coef.mix(), source.dz.a) {
                dots.push(GatherDot { row: rows.len() as i32, unused: 0, dmix: self.slot(mix, groups) });
                let dy = GatherRow { right: source.dz.dy, r: source.dz.r, ..plain };
                rows.push(match (source.kind, is_average(&source)) {
                    (0, _) => GatherRow { left: 1, ..dy },
                    // The node's average times dy is the node times dy's average, back.
                    (_, true) => GatherRow { left: 2, ..dy },
                    _ => GatherRow { left: 1, source: sources.len() as i32, ..plain },
                });
            }
            sources.push(source);
        }
        let mut terms = Vec::new();
        for term in node.origin.terms() {
            let Term::Conv { conv, coef } = *term else { continue };
            let (mix, r) = places.coef(coef);
            let mut sum = 0;
            if r != 0 {
                sum = rows.len() as i32;
                rows.push(GatherRow { r, ..plain });
            }
            let dot = rows.len() as i32;
            rows.push(GatherRow { right: places.z[conv], r, mean: places.norms[conv].mean, ..plain });
            let dmix = coef.mix().map_or(0, |mix| self.slot(mix, groups));
            let place = (node.channels, &places.norms[conv]);
            let norm = places.norm_back(program.convs[conv].norm, place, &self.left.weights, (mix, dmix));
            terms.push(GatherTerm { sum, dot, norm });
        }
        let mut ghost = 0;
        if !node.mixed.is_empty() {
            ghost = self.values + 8 * self.used as u64;
            self.left.ghosts.push((ghost, groups, i));
            self.used += groups;
        }
        if terms.is_empty() && dots.is_empty() && ghost == 0 {
            rows.clear();
        }
        let [b, h, w, c_p] = dims(places.batch, node);
        let mut job = GatherJob {
            b,
            h,
            w,
            c: c_p,
            channels: node.channels as i32,
            base: if through { self.dy[i] } else { 0 },
            x: places.x[i],
            dx: self.dy[i],
            n_sources: sources.len() as i32,
            n_averages,
            n_plain,
            tiles: 1 + rows.iter().map(|row| row.left).max().unwrap_or(0),
            n_rows: rows.len() as i32,
            n_terms: terms.len() as i32,
            n_dots: dots.len() as i32,
            sources: tape.table(&sources)?,
            rows: tape.table(&rows)?,
            terms: tape.table(&terms)?,
            dots: tape.table(&dots)?,
            ghost,
            live: places.live_node(i, true),
            ..GatherJob::default()
        };
        let cut = Groups::of(pixels, c, jobs, job.most());
        (job.blocks, job.each) = (cut.all(), cut.pixels as i32);
        job.sums = group_sums(tape, cut, rows.len().max(1), c)?;
        Ok(job)
    }

    /// What arrives at node `i` from those made of it, pools with a norm among them.
    fn sources(&self, i: NodeId) -> Vec<(GatherSource, Coef)> {
        let (places, program) = (self.places, self.places.program);
        let node = &program.nodes[i];
        let mut sources = Vec::new();
        let mut add = |kind: i32, from: NodeId, stride: usize, at: usize, dz: Gradient, choice: Address, coef: Coef| {
            let live = places.live_node(from, true);
            let Node { size, channels, .. } = program.nodes[from];
            let [h, w, c] = [size.h, size.w, size.c].map(|n| n as i32);
            // Of first channels, no more arrive.
            let [stride, at, channels] = [stride, at, node.channels.min(channels)].map(|n| n as i32);
            let mix = places.coef(coef).0;
            sources
                .push((GatherSource { kind, h, w, c, stride, at, channels, unused: 0, dz, mix, choice, live }, coef));
        };
        let from =
            |dst: NodeId, coef: Coef| Gradient { dy: self.dy[dst], r: places.coef(coef).1, ..Gradient::default() };
        for &(dst, coef) in node.copies.iter().filter(|(dst, _)| self.useful[*dst]) {
            add(0, dst, 1, 0, from(dst, coef), 0, coef);
        }
        for &(dst, stride, coef) in node.pools3.iter().filter(|(dst, ..)| self.useful[*dst]) {
            add(1, dst, stride, 0, from(dst, coef), 0, coef);
        }
        if i == program.nodes.last() {
            let [a, b, g] = places.head_norm.back;
            let dz = match program.head.norm {
                Some(_) => Gradient { dy: self.dn, z: places.x[i], a, b, g, r: 0 },
                None => Gradient { dy: self.dn, ..Gradient::default() },
            };
            add(0, i, 1, 0, dz, 0, Coef::One);
        }
        for &dst in node.derived.iter().filter(|dst| self.useful[**dst]) {
            let dz = from(dst, Coef::One);
            match program.nodes[dst].origin {
                Origin::AvgPool2(_) => add(3, dst, 2, 0, dz, 0, Coef::One),
                Origin::MaxPool3 { stride, .. } => add(2, dst, stride, 0, dz, places.chosen[dst], Coef::One),
                Origin::MaxPool2(_) => add(7, dst, 2, 0, dz, places.chosen[dst], Coef::One),
                Origin::First { .. } => add(5, dst, 1, 0, dz, 0, Coef::One),
                Origin::Shuffle { first, rest, groups } => {
                    let n = program.nodes[first].channels;
                    if first == i {
                        add(8, dst, groups, 0, dz, 0, Coef::One);
                    }
                    if rest == i {
                        add(8, dst, groups, n, dz, 0, Coef::One);
                    }
                }
                Origin::Halves(_) => add(4, dst, 2, 0, dz, 0, Coef::One),
                Origin::Concat(ref parts) => {
                    let mut at = 0;
                    for &part in parts {
                        if part == i {
                            add(5, dst, 1, at, dz, 0, Coef::One);
                        }
                        at += program.nodes[part].channels;
                    }
                }
                Origin::Input | Origin::Sum(_) | Origin::Dropout { .. } => {}
            }
        }
        let mut pools = Vec::new();
        for c in self.convs(i) {
            let conv = &program.convs[c];
            if let Filter::Pool { kind, stride, .. } = conv.filter {
                let kind = match kind {
                    None => 0,
                    Some(PoolKind::Average) => 1,
                    Some(PoolKind::Maximum) => 2,
                };
                add(kind, conv.dst, stride, 0, self.incoming(c), places.conv_chosen[c], Coef::One);
                pools.push(c);
            }
        }
        // A pool behind a norm is left out by itself: its gradient has no weight that could say so.
        let behind = sources.len() - pools.len();
        sources[behind..].iter_mut().zip(pools).for_each(|((source, _), c)| source.live = places.live_conv(c, true));
        if let Some(tap) = program.tap.filter(|tap| tap.node == i) {
            let (h, w) = (tap.window.outputs(node.size.h), tap.window.outputs(node.size.w));
            let dy = places.outward + 4 * (places.batch * program.head.classes) as u64;
            let [h, w, c, stride, at, channels] =
                [h, w, node.channels, tap.window.stride, tap.window.kernel, node.channels].map(|n| n as i32);
            let dz = Gradient { dy, ..Gradient::default() };
            sources.push((
                GatherSource { kind: 6, h, w, c, stride, at, channels, unused: 0, dz, mix: 0, choice: 0, live: 0 },
                Coef::One,
            ));
        }
        sources
    }
}
