//! Values that are names of files (`-F`): the table stores what the files hold, as base64.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::error::{Error, ErrorKind, Result, masked};

/// The most bytes that the files of one value may have together.
const CONTENT_LEN_MAX: u64 = 1 << 30;

/// Standard base64 with padding. What is read may have any bits in its last character.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// What the files in `list` hold, as base64 with padding and without line ends. Names are separated
/// by commas and blanks; between two files comes a LF.
///
/// # Errors
///
/// `Io` with action "open" or "read" and the name, also for more than 1 GiB; `Spec` for a list
/// without names.
pub fn encode_files(list: &[u8]) -> Result<Vec<u8>> {
    encode_files_up_to(CONTENT_LEN_MAX, list)
}

fn encode_files_up_to(len_max: u64, list: &[u8]) -> Result<Vec<u8>> {
    let mut names = list
        .split(|byte| matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n'))
        .filter(|name| !name.is_empty())
        .peekable();
    if names.peek().is_none() {
        let list = masked(OsStr::from_bytes(list));
        // With the odd quotes of the original.
        let what = format!("empty pathname list: >>{list}<<'");
        return Err(Error::new(ErrorKind::Spec { what }));
    }
    let mut content = Vec::new();
    while let Some(name) = names.next() {
        let path = Path::new(OsStr::from_bytes(name));
        let rest = len_max.saturating_sub(content.len() as u64);
        append_file(path, rest, &mut content)?;
        if names.peek().is_some() {
            content.push(b'\n');
        }
    }
    Ok(BASE64.encode(content).into_bytes())
}

/// Appends what a file of at most `len_max` bytes holds.
fn append_file(path: &Path, len_max: u64, content: &mut Vec<u8>) -> Result<()> {
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let len = file.take(len_max.saturating_add(1)).read_to_end(content);
    let len = len.map_err(|error| Error::io("read", path, error))?;
    if len as u64 > len_max {
        let error = io::Error::from_raw_os_error(nix::libc::EFBIG);
        return Err(Error::io("read", path, error));
    }
    Ok(())
}

/// What `text` is the base64 of. What follows the first `=` does not count.
///
/// `None` if its length is no multiple of four, if there is any other character in it, or if a `=`
/// stands where a byte cannot end.
///
/// ```
/// use rpostmap::source::file_value::decode;
///
/// assert_eq!(decode(b"SGVsbG8K").as_deref(), Some(&b"Hello\n"[..]));
/// assert_eq!(decode(b"SGVsbG8").as_deref(), None);
/// ```
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let end = memchr::memchr(b'=', text).unwrap_or(text.len());
    let is_odd_end = end % 4 < 2 && end < text.len();
    if !text.len().is_multiple_of(4) || is_odd_end {
        return None;
    }
    BASE64.decode(text.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn base64_is_read_as_the_original_reads_it() {
        for (text, content) in [
            ("", Some("")),
            ("SGk=", Some("Hi")),
            ("SG==", Some("H")),
            // Bits that belong to no byte.
            ("SGl=", Some("Hi")),
            ("SH==", Some("H")),
            // Nobody looks behind the first "=".
            ("SGk=SGk=", Some("Hi")),
            ("SG=A", Some("H")),
            ("SGk=!!!!", Some("Hi")),
            ("SGkASGkA", Some("Hi\0Hi\0")),
            ("S", None),
            ("SGk", None),
            ("SGk=x", None),
            ("=Gk=", None),
            ("S=k=", None),
            ("====", None),
            ("SGkA====", None),
            ("SGk!", None),
            ("SG k", None),
            ("SG-_", None),
        ] {
            let content = content.map(|content| content.as_bytes().to_vec());
            assert_eq!(decode(text.as_bytes()), content, "{text}");
        }
    }

    #[test]
    fn names_that_name_nothing_are_errors() {
        for (list, text) in [
            (" , ", "empty pathname list: >> , <<'"),
            ("/nonexistent/a", "open /nonexistent/a"),
            ("/,/", "read /"),
        ] {
            assert_eq!(encode_files(list.as_bytes()).unwrap_err().to_string(), text);
        }
        let error = encode_files_up_to(10, b"/dev/zero").unwrap_err();
        assert_eq!(error.to_string(), "read /dev/zero");
        assert_eq!(encode_files(b"/dev/null").unwrap(), b"");
        assert_eq!(encode_files(b",/dev/null,\r\n /dev/null").unwrap(), b"Cg==");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = BASE64.encode(&content);
            prop_assert_eq!(decode(text.as_bytes()), Some(content));
        }
    }
}
