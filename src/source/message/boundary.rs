//! The boundaries between the parts of a message that are waited for.

use super::content_type::ContentType;

/// Boundaries more than the limit says, as in the original.
const BEYOND_LIMIT: usize = 2;

/// The boundaries that are waited for, the outermost first.
pub(super) struct Boundaries {
    waiting: Vec<Boundary>,
    count_max: usize,
    len_max: usize,
}

struct Boundary {
    text: Vec<u8>,
    parts: PartType,
}

/// What the parts of a multipart are unless they say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartType {
    Text,
    Message,
}

/// What a boundary in a message means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// A part begins. This is what it holds unless it says otherwise.
    Part(ContentType),
    /// There are no more parts.
    Close,
}

impl Boundaries {
    /// Waits for none. `nesting` and `len_max` are the fields of
    /// [`MessageLimits`](super::MessageLimits).
    pub(super) fn new(nesting: usize, len_max: usize) -> Boundaries {
        Boundaries {
            waiting: Vec::new(),
            count_max: nesting.saturating_add(BEYOND_LIMIT),
            len_max,
        }
    }

    /// Waits for one more, inside the others, unless there are too many.
    pub(super) fn push(&mut self, text: &[u8], parts: PartType) {
        if self.waiting.len() < self.count_max {
            let text = text.get(..self.len_max).unwrap_or(text).to_vec();
            self.waiting.push(Boundary { text, parts });
        }
    }

    /// What `line` means if it is a boundary. Those inside it are no longer waited for, and
    /// neither is the boundary itself if there are no more parts.
    pub(super) fn cross(&mut self, line: &[u8]) -> Option<Delimiter> {
        let line = line.strip_prefix(b"--")?;
        let is_here = |boundary: &Boundary| line.starts_with(&boundary.text);
        let at = self.waiting.iter().rposition(is_here)?;
        self.waiting.truncate(at + 1);
        let found = self.waiting.last()?;
        if line.strip_prefix(found.text.as_slice())?.starts_with(b"--") {
            self.waiting.pop();
            return Some(Delimiter::Close);
        }
        Some(Delimiter::Part(match found.parts {
            PartType::Text => ContentType::Text,
            PartType::Message => ContentType::Message,
        }))
    }
}
