//! Bracket expressions: `[a-z]`, `[^[:space:]]`, `[[.-.]-0]`, `[[=a=]]`.
//!
//! In the C locale, so that a collating element is a byte and equivalent to itself only.

use super::ast::ByteSet;
use super::parse::{Cursor, Flags, PatternError};

/// The longest name between `[:` and `:]`, in bytes.
const NAME_LEN_MAX: usize = 32;

/// What stands at one place of the list.
enum Element {
    Byte(u8),
    Symbol(Vec<u8>),
    Equivalent(Vec<u8>),
    Class(Vec<u8>),
}

/// Parses what follows the opening bracket, up to and with the closing one.
pub(super) fn parse(cursor: &mut Cursor<'_>, flags: Flags) -> Result<ByteSet, PatternError> {
    let negated = cursor.take(b'^');
    if cursor.peek().is_none() {
        return Err(PatternError::BadPattern);
    }
    let mut set = ByteSet::EMPTY;
    let mut is_first = true;
    loop {
        match element(cursor, is_first)? {
            Element::Class(name) => set.union(class(&name, flags)?),
            Element::Equivalent(name) => set.insert(flags.translate(one_byte(&name)?)),
            from => match range_end(cursor)? {
                Some(to) => {
                    let (from, to) = (flags.translate(byte(from)?), flags.translate(byte(to)?));
                    if from > to {
                        return Err(PatternError::RangeEnd);
                    }
                    set.union(ByteSet::of(|byte| from <= byte && byte <= to));
                }
                None => set.insert(flags.translate(byte(from)?)),
            },
        }
        is_first = false;
        match cursor.peek() {
            None => return Err(PatternError::Bracket),
            Some(b']') => break,
            Some(_) => {}
        }
    }
    cursor.next();
    if negated {
        set = set.complement();
        if flags.lines {
            set = ByteSet::of(|byte| set.contains(byte) && byte != b'\n');
        }
    }
    Ok(flags.untranslate(set))
}

/// The next element. A hyphen that is neither the first nor the last one, nor an end of a range,
/// is an error.
fn element(cursor: &mut Cursor<'_>, takes_hyphen: bool) -> Result<Element, PatternError> {
    let first = cursor.next().ok_or(PatternError::Bracket)?;
    match (first, cursor.peek()) {
        (b'[', Some(kind @ (b'.' | b'=' | b':'))) => {
            cursor.next();
            let name = name(cursor, kind)?;
            Ok(match kind {
                b'.' => Element::Symbol(name),
                b'=' => Element::Equivalent(name),
                _ => Element::Class(name),
            })
        }
        (b'-', next) if !takes_hyphen && next != Some(b']') => Err(PatternError::RangeEnd),
        _ => Ok(Element::Byte(first)),
    }
}

/// The other end, when what follows makes a range of the element before.
fn range_end(cursor: &mut Cursor<'_>) -> Result<Option<Element>, PatternError> {
    match (cursor.peek(), cursor.peek_second()) {
        (None, _) | (Some(b'-'), None) => Err(PatternError::Bracket),
        (Some(b'-'), Some(b']')) => Ok(None),
        (Some(b'-'), Some(_)) => {
            cursor.next();
            match element(cursor, true)? {
                Element::Class(_) | Element::Equivalent(_) => Err(PatternError::RangeEnd),
                end => Ok(Some(end)),
            }
        }
        _ => Ok(None),
    }
}

/// A name up to and with `kind` and a closing bracket.
fn name(cursor: &mut Cursor<'_>, kind: u8) -> Result<Vec<u8>, PatternError> {
    let mut name = Vec::new();
    loop {
        let byte = cursor.next().ok_or(PatternError::Bracket)?;
        if byte == kind && cursor.take(b']') {
            return Ok(name);
        }
        if name.len() == NAME_LEN_MAX {
            return Err(PatternError::Bracket);
        }
        name.push(byte);
    }
}

fn byte(element: Element) -> Result<u8, PatternError> {
    match element {
        Element::Byte(byte) => Ok(byte),
        Element::Symbol(name) | Element::Equivalent(name) | Element::Class(name) => one_byte(&name),
    }
}

fn one_byte(name: &[u8]) -> Result<u8, PatternError> {
    match name {
        [byte] => Ok(*byte),
        _ => Err(PatternError::Collation),
    }
}

/// The bytes of a class such as `alpha`.
fn class(name: &[u8], flags: Flags) -> Result<ByteSet, PatternError> {
    let holds = match name {
        b"upper" | b"lower" if flags.ignore_case => |byte: u8| byte.is_ascii_alphabetic(),
        b"alnum" => |byte: u8| byte.is_ascii_alphanumeric(),
        b"alpha" => |byte: u8| byte.is_ascii_alphabetic(),
        b"blank" => |byte: u8| matches!(byte, b' ' | b'\t'),
        b"cntrl" => |byte: u8| byte.is_ascii_control(),
        b"digit" => |byte: u8| byte.is_ascii_digit(),
        b"graph" => |byte: u8| byte.is_ascii_graphic(),
        b"lower" => |byte: u8| byte.is_ascii_lowercase(),
        b"print" => |byte: u8| byte.is_ascii_graphic() || byte == b' ',
        b"punct" => |byte: u8| byte.is_ascii_punctuation(),
        b"space" => |byte: u8| crate::source::is_blank(byte),
        b"upper" => |byte: u8| byte.is_ascii_uppercase(),
        b"xdigit" => |byte: u8| byte.is_ascii_hexdigit(),
        _ => return Err(PatternError::Class),
    };
    Ok(ByteSet::of(holds))
}
