//! From the text of a POSIX regular expression, basic or extended, to its tree.
//!
//! The grammar is that of regcomp(3) in glibc 2.36 and the C locale, learned by asking it. What
//! differs from POSIX is noted where it is done.

use super::ast::{ByteSet, Node, Place};
use super::bracket;

/// The most repetitions that can be asked for (`RE_DUP_MAX`).
const REPEAT_MAX: u32 = 0x7fff;
/// How deep groups can be nested.
const DEPTH_MAX: usize = 100;
/// How many repetitions can follow one thing, as in `x{2}{3}`.
const CHAIN_MAX: usize = 8;
/// The most states of an automaton; `x{32767}` has that many of one kind.
pub(crate) const SIZE_MAX: usize = 100_000;

/// How an expression is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Extended syntax, not basic.
    pub extended: bool,
    /// Letters of ASCII match in either case.
    pub ignore_case: bool,
    /// `^` and `$` match at line feeds, which `.` and `[^a]` do not match.
    pub lines: bool,
}

impl Flags {
    /// How a byte of a pattern or a key is compared. When case is ignored, both are made upper
    /// case first: `[_-a]` is an empty range then, and `[A-z]` does not hold `_`.
    pub(super) fn translate(self, byte: u8) -> u8 {
        if self.ignore_case {
            byte.to_ascii_uppercase()
        } else {
            byte
        }
    }

    /// The bytes of keys that [`Flags::translate`] brings into `set`.
    pub(super) fn untranslate(self, set: ByteSet) -> ByteSet {
        if self.ignore_case {
            ByteSet::of(|byte| set.contains(self.translate(byte)))
        } else {
            set
        }
    }
}

/// What is wrong with an expression. The text is that of regerror(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternError {
    /// The pattern ends where a list begins.
    BadPattern,
    /// A collating element that is not one byte.
    Collation,
    /// No such class.
    Class,
    /// A backslash at the end.
    Escape,
    /// A reference to a group that is not complete.
    Reference,
    /// A list without end.
    Bracket,
    /// A group without beginning or end.
    Parenthesis,
    /// An interval without end.
    Brace,
    /// An interval that is none.
    Interval,
    /// A range whose end comes before its start.
    RangeEnd,
    /// Something is repeated that cannot be.
    Repeat,
    /// The automaton would be too big, or is nested too deep.
    Size,
    /// A reference to a complete group: our own text, automata cannot do it.
    ReferenceUnsupported,
}

impl PatternError {
    /// The text, as messages show it.
    pub fn text(self) -> &'static str {
        match self {
            PatternError::BadPattern => "Invalid regular expression",
            PatternError::Collation => "Invalid collation character",
            PatternError::Class => "Invalid character class name",
            PatternError::Escape => "Trailing backslash",
            PatternError::Reference => "Invalid back reference",
            PatternError::Bracket => "Unmatched [, [^, [:, [., or [=",
            PatternError::Parenthesis => "Unmatched ( or \\(",
            PatternError::Brace => "Unmatched \\{",
            PatternError::Interval => "Invalid content of \\{\\}",
            PatternError::RangeEnd => "Invalid range end",
            PatternError::Repeat => "Invalid preceding regular expression",
            PatternError::Size => "Regular expression too big",
            PatternError::ReferenceUnsupported => {
                "back-references are not supported: skipping this rule"
            }
        }
    }
}

/// Where the parser is in the text.
#[derive(Clone)]
pub(super) struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
}

impl Cursor<'_> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn peek_second(&self) -> Option<u8> {
        self.text.get(self.at + 1).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Goes over `byte` if that is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }
}

/// The next thing in the text, whatever the syntax calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    End,
    /// A byte that stands for itself.
    Byte(u8),
    /// A byte behind a backslash, which is compared as it is.
    Escaped(u8),
    Any,
    List,
    Open,
    Close,
    Or,
    /// `*`, `+` or `?`, as 0 or 1 to 1 or more.
    Star,
    Plus,
    Question,
    IntervalOpen,
    IntervalClose,
    Caret,
    Dollar,
    Look(Place),
    /// `\w` and `\s`, or the opposite.
    Word(bool),
    Space(bool),
    Reference(u8),
    LoneBackslash,
}

/// An expression that was read.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub(crate) node: Node,
    /// How many groups it has.
    pub groups: u32,
}

/// Reads an expression.
///
/// # Errors
///
/// What is wrong with it, or that it would take too much memory.
pub fn parse(text: &[u8], flags: Flags) -> Result<Parsed, PatternError> {
    let mut parser = Parser {
        cursor: Cursor { text, at: 0 },
        flags,
        groups: 0,
        complete: 0,
        has_reference: false,
    };
    let node = parser.alternation(0)?;
    // Only a closing parenthesis ends an expression early, and that of extended syntax is taken
    // for a byte there.
    if parser.token().0 != Token::End {
        return Err(PatternError::Parenthesis);
    }
    if parser.has_reference {
        return Err(PatternError::ReferenceUnsupported);
    }
    if node.size() > SIZE_MAX {
        return Err(PatternError::Size);
    }
    Ok(Parsed {
        node,
        groups: parser.groups,
    })
}

struct Parser<'t> {
    cursor: Cursor<'t>,
    flags: Flags,
    groups: u32,
    /// The groups that are closed and on the way here, not in another branch: bit 1 for the first.
    complete: u16,
    has_reference: bool,
}

impl Parser<'_> {
    /// The next token and where it ends.
    fn token(&self) -> (Token, usize) {
        let mut cursor = self.cursor.clone();
        let Some(byte) = cursor.next() else {
            return (Token::End, cursor.at);
        };
        let extended = self.flags.extended;
        let token = match byte {
            b'\\' => match cursor.next() {
                None => Token::LoneBackslash,
                Some(byte) => self.escape(byte),
            },
            b'.' => Token::Any,
            b'[' => Token::List,
            b'*' => Token::Star,
            b'^' => Token::Caret,
            b'$' => Token::Dollar,
            b'(' if extended => Token::Open,
            b')' if extended => Token::Close,
            b'|' if extended => Token::Or,
            b'+' if extended => Token::Plus,
            b'?' if extended => Token::Question,
            b'{' if extended => Token::IntervalOpen,
            b'}' if extended => Token::IntervalClose,
            _ => Token::Byte(byte),
        };
        (token, cursor.at)
    }

    /// What a byte behind a backslash means.
    fn escape(&self, byte: u8) -> Token {
        let extended = self.flags.extended;
        match byte {
            b'w' => Token::Word(true),
            b'W' => Token::Word(false),
            b's' => Token::Space(true),
            b'S' => Token::Space(false),
            b'b' => Token::Look(Place::WordEdge),
            b'B' => Token::Look(Place::NotWordEdge),
            b'<' => Token::Look(Place::WordStart),
            b'>' => Token::Look(Place::WordEnd),
            b'`' => Token::Look(Place::Start),
            b'\'' => Token::Look(Place::End),
            b'1'..=b'9' => Token::Reference(byte - b'0'),
            b'(' if !extended => Token::Open,
            b')' if !extended => Token::Close,
            b'|' if !extended => Token::Or,
            b'+' if !extended => Token::Plus,
            b'?' if !extended => Token::Question,
            b'{' if !extended => Token::IntervalOpen,
            b'}' if !extended => Token::IntervalClose,
            _ => Token::Escaped(byte),
        }
    }

    fn take(&mut self) -> Token {
        let (token, end) = self.token();
        self.cursor.at = end;
        token
    }

    fn alternation(&mut self, depth: usize) -> Result<Node, PatternError> {
        let before = self.complete;
        let mut branches = vec![self.branch(depth)?];
        while self.token().0 == Token::Or {
            self.take();
            let of_others = std::mem::replace(&mut self.complete, before);
            branches.push(self.branch(depth)?);
            self.complete |= of_others;
        }
        Ok(match branches.len() {
            1 => branches.pop().unwrap_or(Node::Empty),
            _ => Node::Alternation(branches),
        })
    }

    fn branch(&mut self, depth: usize) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        loop {
            match self.token().0 {
                Token::End | Token::Or => break,
                // Without a group to close it is an ordinary byte in extended syntax.
                Token::Close if depth > 0 || !self.flags.extended => break,
                _ => {}
            }
            let is_start = nodes.is_empty();
            nodes.push(self.piece(is_start, depth)?);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.pop().unwrap_or(Node::Empty),
            _ => Node::Concat(nodes),
        })
    }

    /// An atom and how often it is repeated. `is_start`: of a branch.
    fn piece(&mut self, is_start: bool, depth: usize) -> Result<Node, PatternError> {
        let (mut node, is_place) = self.atom(is_start, depth)?;
        if is_place && self.at_repetition() {
            // After a place, `*` stands for itself in basic syntax and is an error otherwise;
            // `\{` always is one.
            if self.flags.extended || self.token().0 == Token::IntervalOpen {
                return Err(PatternError::Repeat);
            }
            return Ok(Node::Concat(vec![node, self.piece(true, depth)?]));
        }
        let (mut times, mut levels) = (0_usize, 0_usize);
        while self.at_repetition() {
            times += 1;
            let token = self.take();
            let double = !self.flags.extended && matches!(token, Token::Star | Token::IntervalOpen);
            if times > 1 && double {
                return Err(PatternError::Repeat);
            }
            let (min, max) = match token {
                Token::Star => (0, None),
                Token::Plus => (1, None),
                Token::Question => (0, Some(1)),
                _ => self.interval()?,
            };
            let is_same = (min, max) == (0, None) && is_star(&node);
            if !is_same {
                levels += 1;
                node = Node::Repeat {
                    min,
                    max,
                    node: Box::new(node),
                };
            }
            if levels > CHAIN_MAX {
                return Err(PatternError::Size);
            }
        }
        Ok(node)
    }

    fn at_repetition(&self) -> bool {
        matches!(
            self.token().0,
            Token::Star | Token::Plus | Token::Question | Token::IntervalOpen
        )
    }

    /// What can be repeated, and whether it is a place.
    fn atom(&mut self, is_start: bool, depth: usize) -> Result<(Node, bool), PatternError> {
        let flags = self.flags;
        let byte_node = |byte| Node::Set(flags.untranslate(ByteSet::one(flags.translate(byte))));
        // A byte behind a backslash is not made upper case: `\a` finds nothing when case is
        // ignored. So does the original.
        let escaped_node = |byte| Node::Set(flags.untranslate(ByteSet::one(byte)));
        let node = match self.take() {
            Token::Byte(byte) => byte_node(byte),
            Token::Escaped(byte) => escaped_node(byte),
            Token::IntervalClose => byte_node(b'}'),
            Token::Close => byte_node(b')'),
            Token::Any => Node::Set(ByteSet::of(|byte| !flags.lines || byte != b'\n')),
            Token::List => Node::Set(bracket::parse(&mut self.cursor, flags)?),
            Token::Word(is_in) => Node::Set(ByteSet::of(|byte| is_word(byte) == is_in)),
            Token::Space(is_in) => {
                Node::Set(ByteSet::of(|byte| crate::source::is_blank(byte) == is_in))
            }
            Token::Look(place) => return Ok((Node::Look(place), true)),
            Token::Caret if flags.extended || is_start => {
                let place = if flags.lines {
                    Place::LineStart
                } else {
                    Place::Start
                };
                return Ok((Node::Look(place), true));
            }
            Token::Caret => byte_node(b'^'),
            Token::Dollar
                if flags.extended
                    || matches!(self.token().0, Token::End | Token::Close | Token::Or) =>
            {
                let place = if flags.lines {
                    Place::LineEnd
                } else {
                    Place::End
                };
                return Ok((Node::Look(place), true));
            }
            Token::Dollar => byte_node(b'$'),
            Token::Open => self.group(depth)?,
            Token::Reference(number) => {
                if self.complete & (1 << number) == 0 {
                    return Err(PatternError::Reference);
                }
                self.has_reference = true;
                Node::Empty
            }
            Token::LoneBackslash => return Err(PatternError::Escape),
            // Nothing stands before it.
            Token::Star if !flags.extended => byte_node(b'*'),
            Token::Plus if !flags.extended => byte_node(b'+'),
            Token::Question if !flags.extended => byte_node(b'?'),
            Token::Star | Token::Plus | Token::Question | Token::IntervalOpen => {
                return Err(PatternError::Repeat);
            }
            Token::Or | Token::End => Node::Empty,
        };
        Ok((node, false))
    }

    fn group(&mut self, depth: usize) -> Result<Node, PatternError> {
        if depth >= DEPTH_MAX {
            return Err(PatternError::Size);
        }
        self.groups += 1;
        let number = self.groups;
        let node = self.alternation(depth + 1)?;
        if self.take() != Token::Close {
            return Err(PatternError::Parenthesis);
        }
        if number <= 9 {
            self.complete |= 1 << number;
        }
        Ok(Node::Group(number, Box::new(node)))
    }

    /// The two numbers of an interval, up to and with its end.
    fn interval(&mut self) -> Result<(u32, Option<u32>), PatternError> {
        let (first, mut end) = self.number()?;
        let min = match (first, end) {
            (Number::None, Token::Byte(b',')) => Some(0),
            (Number::None, _) => return Err(PatternError::Interval),
            (Number::Bad, _) => None,
            (Number::Good(number), _) => Some(number),
        };
        let mut max = min;
        if min.is_some() && end == Token::Byte(b',') {
            let (second, second_end) = self.number()?;
            end = second_end;
            max = match second {
                Number::None => Some(u32::MAX),
                Number::Good(number) => Some(number),
                Number::Bad => None,
            };
        }
        let (Some(min), Some(max)) = (min, max) else {
            return Err(PatternError::Interval);
        };
        if end != Token::IntervalClose || min > max {
            return Err(PatternError::Interval);
        }
        let max = (max != u32::MAX).then_some(max);
        if max.unwrap_or(min) > REPEAT_MAX {
            return Err(PatternError::Size);
        }
        Ok((min, max))
    }

    /// A number up to a comma or the end of the interval, and which of them it was.
    fn number(&mut self) -> Result<(Number, Token), PatternError> {
        let mut number = Number::None;
        loop {
            let token = match self.take() {
                // Digits and commas behind a backslash are what they are without.
                Token::Escaped(byte) => Token::Byte(byte),
                token => token,
            };
            number = match (token, number) {
                (Token::End, _) => return Err(PatternError::Brace),
                (Token::IntervalClose | Token::Byte(b','), _) => return Ok((number, token)),
                (Token::Byte(digit @ b'0'..=b'9'), Number::None) => {
                    Number::Good(u32::from(digit - b'0'))
                }
                (Token::Byte(digit @ b'0'..=b'9'), Number::Good(number)) => {
                    Number::Good((number * 10 + u32::from(digit - b'0')).min(REPEAT_MAX + 1))
                }
                _ => Number::Bad,
            };
        }
    }
}

#[derive(Clone, Copy)]
enum Number {
    None,
    Good(u32),
    Bad,
}

/// Whether the node is `x*`, which another `*` does not change.
fn is_star(node: &Node) -> bool {
    matches!(
        node,
        Node::Repeat {
            min: 0,
            max: None,
            ..
        }
    )
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
