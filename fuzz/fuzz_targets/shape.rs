//! What an expression looks like, as far as glibc is known to get such expressions wrong. The errors
//! are those in `docs/original-behaviour.md`.

/// An expression, read roughly: what is wrong in it is not noticed.
#[derive(Debug, Default)]
pub struct Shape {
    /// The product of the highest numbers of all intervals.
    pub repeats: usize,
    /// `^`, `$`, `\b` and the like inside a group that is repeated.
    repeats_place: bool,
    /// `^` with something before it or `$` with something behind it, or either in a group.
    has_inner_edge: bool,
    /// An interval, or two repetitions, behind a group that can be empty.
    repeats_empty_group: bool,
}

/// A group that is open, or the whole.
struct Group {
    /// Whether nothing of the current alternative was read yet.
    is_at_start: bool,
    has_place: bool,
    /// Whether an alternative that is over can be empty.
    other_can_be_empty: bool,
    /// Whether the current one cannot be, up to here.
    has_bytes: bool,
    last: Last,
}

/// What a repetition would be about.
#[derive(Clone, Copy, Default)]
enum Last {
    /// Nothing, or a place, which takes up no bytes.
    #[default]
    Nothing,
    /// Bytes; whether there may be none of them, because they are repeated.
    Bytes { optional: bool },
    /// A group; likewise.
    Group {
        has_place: bool,
        can_be_empty: bool,
        is_repeated: bool,
        optional: bool,
    },
}

impl Shape {
    /// Reads `pattern`, which is extended or basic syntax.
    pub fn of(pattern: &[u8], extended: bool) -> Shape {
        let mut shape = Shape {
            repeats: 1,
            ..Shape::default()
        };
        let or: &[u8] = if extended { b"|" } else { b"\\|" };
        let mut open = Vec::new();
        let mut group = Group::default();
        let mut rest = pattern;
        while let [byte, behind @ ..] = rest {
            rest = behind;
            let mut operator = *byte;
            let mut is_escaped = false;
            if operator == b'\\' {
                let [next, behind @ ..] = rest else { break };
                (operator, rest, is_escaped) = (*next, behind, true);
            }
            let is_syntax = is_escaped != extended;
            // Whether nothing stands before or behind it in the whole alternative.
            let is_edge = match operator {
                b'^' => group.is_at_start,
                _ => rest.is_empty() || rest.starts_with(or),
            };
            if !is_escaped && matches!(operator, b'^' | b'$') {
                shape.has_inner_edge |= !is_edge || !open.is_empty();
            }
            group.is_at_start = false;
            match operator {
                b'[' if !is_escaped => {
                    rest = behind_list(rest);
                    group.next(Last::Bytes { optional: false });
                }
                b'(' if is_syntax => open.push(std::mem::take(&mut group)),
                b')' if is_syntax && !open.is_empty() => {
                    let outer = open.pop().unwrap_or_default();
                    let mut closed = std::mem::replace(&mut group, outer);
                    closed.or();
                    group.has_place |= closed.has_place;
                    group.next(Last::Group {
                        has_place: closed.has_place,
                        can_be_empty: closed.other_can_be_empty,
                        is_repeated: false,
                        optional: false,
                    });
                }
                b'|' if is_syntax => group.or(),
                b'*' if !is_escaped => shape.repeat(&mut group, true, false),
                b'?' if is_syntax => shape.repeat(&mut group, true, false),
                b'+' if is_syntax => shape.repeat(&mut group, false, false),
                b'{' if is_syntax => {
                    let text = rest.split(|&byte| byte == b'}').next().unwrap_or_default();
                    let numbers = text.split(|byte| !byte.is_ascii_digit());
                    let numbers = numbers.filter_map(|n| std::str::from_utf8(n).ok()?.parse().ok());
                    let numbers: Vec<usize> = numbers.collect();
                    let starts_with_number = text.first().is_some_and(u8::is_ascii_digit);
                    let least = numbers.first().copied().filter(|_| starts_with_number);
                    let most = numbers.iter().max().copied().unwrap_or(1);
                    shape.repeats = shape.repeats.saturating_mul(most.max(1));
                    shape.repeat(&mut group, least.unwrap_or(0) == 0, true);
                    rest = &rest[text.len()..];
                    rest = rest.strip_prefix(b"}").unwrap_or(rest);
                }
                b'^' | b'$' if !is_escaped => group.place(),
                b'b' | b'B' | b'<' | b'>' | b'`' | b'\'' if is_escaped => group.place(),
                _ => group.next(Last::Bytes { optional: false }),
            }
        }
        shape
    }

    fn repeat(&mut self, group: &mut Group, none_will_do: bool, is_interval: bool) {
        match &mut group.last {
            Last::Nothing => {}
            Last::Bytes { optional } => *optional |= none_will_do,
            Last::Group {
                has_place,
                can_be_empty,
                is_repeated,
                optional,
            } => {
                self.repeats_place |= *has_place;
                self.repeats_empty_group |= *can_be_empty && (is_interval || *is_repeated);
                *is_repeated = true;
                *optional |= none_will_do;
            }
        }
    }

    /// Whether glibc is known to be wrong about such expressions. `groups_alone`: about groups,
    /// but not about whether there is a match; `inner_lines`: there are line feeds in the key,
    /// although `^` and `$` do not match there.
    pub fn has_known_error(&self, groups_alone: bool, inner_lines: bool) -> bool {
        self.repeats_place
            || (groups_alone && self.repeats_empty_group)
            || (inner_lines && self.has_inner_edge)
    }
}

impl Default for Group {
    fn default() -> Group {
        Group {
            is_at_start: true,
            has_place: false,
            other_can_be_empty: false,
            has_bytes: false,
            last: Last::Nothing,
        }
    }
}

impl Group {
    /// Something new begins; what was last is not repeated any more.
    fn next(&mut self, new: Last) {
        self.has_bytes |= match self.last {
            Last::Nothing => false,
            Last::Bytes { optional } => !optional,
            Last::Group {
                can_be_empty,
                optional,
                ..
            } => !can_be_empty && !optional,
        };
        self.last = new;
    }

    fn place(&mut self) {
        self.has_place = true;
        self.next(Last::Nothing);
    }

    /// The end of an alternative.
    fn or(&mut self) {
        self.next(Last::Nothing);
        self.other_can_be_empty |= !self.has_bytes;
        self.has_bytes = false;
        self.is_at_start = true;
    }
}

/// What stands behind the list that `text` is the inside of.
fn behind_list(text: &[u8]) -> &[u8] {
    let mut rest = text.strip_prefix(b"^").unwrap_or(text);
    rest = rest.strip_prefix(b"]").unwrap_or(rest);
    loop {
        rest = match rest {
            [] => return rest,
            [b']', behind @ ..] => return behind,
            [b'[', kind @ (b':' | b'.' | b'='), behind @ ..] => {
                let end = behind.windows(2).position(|pair| pair == [*kind, b']']);
                end.map_or(behind, |end| &behind[end + 2..])
            }
            [_, behind @ ..] => behind,
        };
    }
}
