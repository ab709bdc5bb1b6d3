//! From the tree of an expression to that of the crate which makes automata.

use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

use super::ast::{ByteSet, Node, Place};

impl Node {
    /// The same expression for `regex_automata`.
    pub(crate) fn hir(&self) -> Hir {
        match self {
            Node::Empty => Hir::empty(),
            Node::Set(set) => set_hir(set),
            Node::Look(place) => Hir::look(match place {
                Place::Start => Look::Start,
                Place::End => Look::End,
                Place::LineStart => Look::StartLF,
                Place::LineEnd => Look::EndLF,
                Place::WordEdge => Look::WordAscii,
                Place::NotWordEdge => Look::WordAsciiNegate,
                Place::WordStart => Look::WordStartAscii,
                Place::WordEnd => Look::WordEndAscii,
            }),
            Node::Group(index, node) => Hir::capture(Capture {
                index: *index,
                name: None,
                sub: Box::new(node.hir()),
            }),
            Node::Concat(nodes) => Hir::concat(nodes.iter().map(Node::hir).collect()),
            Node::Alternation(nodes) => Hir::alternation(nodes.iter().map(Node::hir).collect()),
            Node::Repeat { min, max, node } => Hir::repetition(Repetition {
                min: *min,
                max: *max,
                greedy: true,
                sub: Box::new(node.hir()),
            }),
        }
    }
}

fn set_hir(set: &ByteSet) -> Hir {
    let ranges = set.iter().map(|byte| ClassBytesRange::new(byte, byte));
    Hir::class(Class::Bytes(ClassBytes::new(ranges)))
}
