//! What a POSIX regular expression means: the tree between text and automaton.

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub(crate) const EMPTY: ByteSet = ByteSet([0; 4]);

    /// The set of one byte.
    pub(crate) fn one(byte: u8) -> ByteSet {
        ByteSet::of(|other| other == byte)
    }

    /// The bytes for which `holds`.
    pub(crate) fn of(holds: impl Fn(u8) -> bool) -> ByteSet {
        let mut set = ByteSet::EMPTY;
        for byte in 0..=u8::MAX {
            if holds(byte) {
                set.insert(byte);
            }
        }
        set
    }

    pub(crate) fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    pub(crate) fn contains(&self, byte: u8) -> bool {
        self.0
            .get(usize::from(byte >> 6))
            .is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    pub(crate) fn union(&mut self, other: ByteSet) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }

    pub(crate) fn complement(&self) -> ByteSet {
        ByteSet(self.0.map(|word| !word))
    }

    /// The bytes in it, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|&byte| self.contains(byte))
    }
}

impl std::fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: Vec<u8> = self.iter().collect();
        write!(f, "[{}]", bytes.escape_ascii())
    }
}

/// A place between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Start and end of the key.
    Start,
    End,
    /// Start and end of a line.
    LineStart,
    LineEnd,
    /// Between a byte of a word and another, or not; a word begins or ends.
    WordEdge,
    NotWordEdge,
    WordStart,
    WordEnd,
}

/// A regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Nothing, which is found everywhere.
    Empty,
    /// One byte.
    Set(ByteSet),
    /// No byte, but a certain place.
    Look(Place),
    /// A group and its number, from 1.
    Group(u32, Box<Node>),
    /// One after the other.
    Concat(Vec<Node>),
    /// Any of them; of equally long matches the first one gives the groups.
    Alternation(Vec<Node>),
    /// At least `min` and at most `max` times.
    Repeat {
        min: u32,
        max: Option<u32>,
        node: Box<Node>,
    },
}

impl Node {
    /// About how many states an automaton for it has.
    pub(crate) fn size(&self) -> usize {
        match self {
            Node::Empty => 1,
            Node::Set(_) | Node::Look(_) => 1,
            Node::Group(_, node) => node.size().saturating_add(2),
            Node::Concat(nodes) | Node::Alternation(nodes) => nodes
                .iter()
                .fold(1, |sum: usize, node| sum.saturating_add(node.size())),
            Node::Repeat { min, max, node } => {
                let times = max.unwrap_or(min.saturating_add(1)).max(1);
                let times = usize::try_from(times).unwrap_or(usize::MAX);
                node.size().saturating_add(1).saturating_mul(times)
            }
        }
    }
}
