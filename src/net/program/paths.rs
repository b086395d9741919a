//! Parts of a program: what a node depends on, and what is left where candidates are not computed.

use super::{Coef, MixId, NodeId, Norm, Origin, Program, Term};
use crate::net::Paths;
use crate::net::ids::Table;

impl Program {
    /// For each node, whether the last node depends on it.
    pub fn useful(&self) -> Table<NodeId, bool> {
        self.behind([self.nodes.last()])
    }

    /// For each node, whether it is one of `ends` or one of them depends on it.
    fn behind(&self, ends: impl IntoIterator<Item = NodeId>) -> Table<NodeId, bool> {
        let mut behind = self.nodes.beside(|_| false);
        ends.into_iter().for_each(|end| behind[end] = true);
        for i in self.nodes.ids().rev() {
            if behind[i] {
                self.sources(i).into_iter().for_each(|s| behind[s] = true);
            }
        }
        behind
    }

    /// For each of the mixing weights `mix`, whether it is that of a candidate that a pass with `paths` leaves out.
    pub fn left_out(&self, mix: &[f32], paths: Paths) -> Table<MixId, bool> {
        let mut out = Table::filled(self.n_mix, false);
        if paths != Paths::All {
            for &i in self.nodes.iter().flat_map(|n| &n.mixed) {
                out[i] = mix[i.0] == 0.0;
            }
        }
        out
    }

    /// The program without the candidates whose mixing weights `out` names, and for each node whether it has to be computed.
    /// Nodes and convolutions keep their numbers.
    ///
    /// Where nothing that is left joins the image to the last node, the norms with running statistics are computed all the same:
    /// these move as if every candidate were.
    pub fn without(&self, out: &Table<MixId, bool>) -> (Program, Table<NodeId, bool>) {
        let mut part = self.clone();
        let stays = |coef: Coef| coef.mix().is_none_or(|i| !out[i]);
        let mut gone = self.convs.beside(|_| false);
        for node in part.nodes.items_mut() {
            if let Origin::Sum(terms) = &mut node.origin {
                for term in terms.extract_if(.., |t| !stays(t.coef())) {
                    if let Term::Conv { conv, .. } = term {
                        gone[conv] = true;
                    }
                }
            }
            node.copies.retain(|&(_, coef)| stays(coef));
            node.pools3.retain(|&(.., coef)| stays(coef));
        }
        for node in part.nodes.items_mut() {
            node.convs.iter_mut().for_each(|group| group.retain(|&c| !gone[c]));
            node.convs.retain(|group| !group.is_empty());
        }
        let useful = self.useful();
        let moving = self.convs.iter().filter(|c| matches!(c.norm, Norm::Affine(_)) && useful[c.dst]);
        let wanted = part.behind(moving.map(|c| c.dst).chain([self.nodes.last()]));
        (part, wanted)
    }
}
