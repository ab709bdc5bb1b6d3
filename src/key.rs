//! What belongs to keys whatever the file format: case folding and trailing NULs.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, Ordering};

use unicase::UniCase;

use crate::find::find;

/// How keys are folded before they are stored or looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fold {
    /// Not at all (`postmap -f`).
    None,
    /// `A` to `Z` only: UTF-8 support is off.
    Ascii,
    /// Full default case folding as Unicode defines it, without normalisation: UTF-8 support is
    /// on. A folded key can be longer than the key: U+00DF becomes `ss`.
    ///
    /// A key that is not UTF-8 is folded as with [`Fold::Ascii`]. Tables refuse such keys
    /// before they get here; what matters is that one never turns into another key.
    #[default]
    Unicode,
}

impl Fold {
    /// The folded key; borrowed when folding changes nothing.
    pub fn fold(self, key: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Fold::None => Cow::Borrowed(key),
            Fold::Unicode if !key.is_ascii() => match unicode(key) {
                Some(folded) if folded.as_bytes() == key => Cow::Borrowed(key),
                Some(folded) => Cow::Owned(folded.into_bytes()),
                None => Fold::Ascii.fold(key),
            },
            Fold::Ascii | Fold::Unicode => {
                if key.iter().any(u8::is_ascii_uppercase) {
                    Cow::Owned(key.to_ascii_lowercase())
                } else {
                    Cow::Borrowed(key)
                }
            }
        }
    }

    /// Gives the folded key to `f`. Allocates nothing for short ASCII keys.
    pub(crate) fn with_folded<T>(self, key: &[u8], f: impl FnOnce(&[u8]) -> T) -> T {
        const SHORT_KEY_LEN: usize = 254;
        let mut short = [0; SHORT_KEY_LEN];
        match short.get_mut(..key.len()) {
            Some(place) if self != Fold::None && key.is_ascii() => {
                place.copy_from_slice(key);
                place.make_ascii_lowercase();
                f(place)
            }
            _ => f(&self.fold(key)),
        }
    }

    /// Appends the folded key to `to`. Allocates nothing itself for ASCII keys.
    pub fn fold_into(self, key: &[u8], to: &mut Vec<u8>) {
        if self == Fold::Unicode
            && !key.is_ascii()
            && let Some(folded) = unicode(key)
        {
            to.extend_from_slice(folded.as_bytes());
            return;
        }
        let start = to.len();
        to.extend_from_slice(key);
        if self != Fold::None
            && let Some(added) = to.get_mut(start..)
        {
            added.make_ascii_lowercase();
        }
    }
}

fn unicode(key: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(key).ok()?;
    Some(UniCase::unicode(key).to_folded_case())
}

/// What a caller wants to be done about the NUL that programs written in C store at the end of
/// keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NulPolicy {
    /// Write as is customary for the format; read either form.
    #[default]
    Auto,
    /// Write it, and read only keys that have it (`-N`).
    With,
    /// Do not write it, and read only keys without it (`-n`).
    Without,
}

impl NulPolicy {
    /// Whether to write the NUL, in a format where that is customary or not.
    pub fn writes_nul(self, customary: bool) -> bool {
        match self {
            NulPolicy::Auto => customary,
            NulPolicy::With => true,
            NulPolicy::Without => false,
        }
    }
}

/// Which forms of a key to look for in one open table: with a NUL, without, or both until a
/// hit has shown which of them the table uses.
///
/// ```
/// use rpostmap::key::{NulForms, NulPolicy};
///
/// let forms = NulForms::new(NulPolicy::Auto);
/// assert!(forms.to_try().eq([true, false]));
/// forms.learn(false); // found without a NUL
/// assert!(forms.to_try().eq([false]));
/// ```
#[derive(Debug)]
pub struct NulForms(AtomicU8);

impl NulForms {
    const BOTH: u8 = 0;
    const WITH: u8 = 1;
    const WITHOUT: u8 = 2;

    /// The forms that `policy` asks for.
    pub fn new(policy: NulPolicy) -> NulForms {
        NulForms(AtomicU8::new(match policy {
            NulPolicy::Auto => NulForms::BOTH,
            NulPolicy::With => NulForms::WITH,
            NulPolicy::Without => NulForms::WITHOUT,
        }))
    }

    /// The one form to try, if it is known.
    #[inline]
    pub(crate) fn settled(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            NulForms::WITH => Some(true),
            NulForms::WITHOUT => Some(false),
            _ => None,
        }
    }

    /// The forms to try, in order: `true` is the key with a NUL.
    pub fn to_try(&self) -> impl Iterator<Item = bool> + use<> {
        // The value guards nothing else, and a thread that does not see it yet only tries in
        // vain.
        let state = self.0.load(Ordering::Relaxed);
        [true, false].into_iter().filter(move |&with_nul| {
            state
                != if with_nul {
                    NulForms::WITHOUT
                } else {
                    NulForms::WITH
                }
        })
    }

    /// Notes that a key was found in the form `with_nul`. Only the first hit counts.
    pub fn learn(&self, with_nul: bool) {
        // The processor waits with all that comes behind an exchange.
        if self.settled().is_some() {
            return;
        }
        let state = if with_nul {
            NulForms::WITH
        } else {
            NulForms::WITHOUT
        };
        // On failure another hit was first.
        let _ =
            self.0
                .compare_exchange(NulForms::BOTH, state, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// `value` up to its first NUL, which is all that a program written in C sees of it.
#[inline]
pub fn strip_nul(value: &[u8]) -> &[u8] {
    find(0, value)
        .and_then(|len| value.get(..len))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn full_folding_maps_as_unicode_says() {
        for (key, folded) in [
            ("", ""),
            ("User+Ext@Example.COM", "user+ext@example.com"),
            ("\u{df}", "ss"),
            ("\u{1e9e}", "ss"),
            ("\u{3c2}", "\u{3c3}"),
            ("\u{17f}", "s"),
            ("\u{212a}", "k"),
            ("\u{fb01}", "fi"),
            ("\u{130}", "i\u{307}"),
            ("I", "i"),
            ("\u{131}", "\u{131}"),
            ("\u{390}", "\u{3b9}\u{308}\u{301}"),
            // Cherokee folds to upper case.
            ("\u{13f8}", "\u{13f0}"),
            ("\u{ab70}", "\u{13a0}"),
            ("\u{13a0}", "\u{13a0}"),
            ("\u{c4}RGER", "\u{e4}rger"),
            // No normalisation.
            ("A\u{308}", "a\u{308}"),
            ("\u{4e2d}\u{1f600}", "\u{4e2d}\u{1f600}"),
        ] {
            let found = Fold::Unicode.fold(key.as_bytes());
            assert_eq!(found.as_ref(), folded.as_bytes(), "{key}");
            assert_eq!(
                matches!(found, Cow::Borrowed(_)),
                key == folded,
                "{key}: borrowed when unchanged"
            );
        }
    }

    #[test]
    fn other_foldings_leave_other_bytes_alone() {
        for (fold, key, folded) in [
            (
                Fold::None,
                b"\xc3\x84Bc".as_slice(),
                b"\xc3\x84Bc".as_slice(),
            ),
            (Fold::Ascii, b"\xc3\x84Bc", b"\xc3\x84bc"),
            // Not UTF-8.
            (Fold::Unicode, b"\xffB\xc3\x84", b"\xffb\xc3\x84"),
            (Fold::Unicode, b"[\\]^_`{|}~@\0", b"[\\]^_`{|}~@\0"),
        ] {
            assert_eq!(fold.fold(key).as_ref(), folded, "{}", key.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once_and_appends_the_same(
            key in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..12),
            ],
        ) {
            for fold in [Fold::None, Fold::Ascii, Fold::Unicode] {
                let once = fold.fold(&key).into_owned();
                prop_assert!(matches!(fold.fold(&once), Cow::Borrowed(same) if same == once));
                let mut appended = b"X".to_vec();
                fold.fold_into(&key, &mut appended);
                prop_assert_eq!(&appended[1..], once.as_slice());
                let given = fold.with_folded(&key, <[u8]>::to_vec);
                prop_assert_eq!(&given, &once);
                prop_assert_eq!(appended[0], b'X');
            }
        }
    }

    #[test]
    fn forms_to_try_follow_the_policy_and_the_first_hit() {
        let forms = |policy, hits: &[bool]| {
            let forms = NulForms::new(policy);
            hits.iter().for_each(|&hit| forms.learn(hit));
            forms.to_try().collect::<Vec<_>>()
        };
        for (policy, hits, expect) in [
            (NulPolicy::Auto, [].as_slice(), [true, false].as_slice()),
            (NulPolicy::Auto, &[true], &[true]),
            (NulPolicy::Auto, &[false], &[false]),
            (NulPolicy::Auto, &[false, true], &[false]),
            (NulPolicy::With, &[], &[true]),
            (NulPolicy::Without, &[], &[false]),
        ] {
            assert_eq!(forms(policy, hits), expect, "{policy:?} {hits:?}");
        }
    }

    #[test]
    fn the_policy_decides_what_is_written() {
        for customary in [false, true] {
            assert_eq!(NulPolicy::Auto.writes_nul(customary), customary);
            assert!(NulPolicy::With.writes_nul(customary));
            assert!(!NulPolicy::Without.writes_nul(customary));
        }
    }

    #[test]
    fn a_value_ends_at_its_first_nul() {
        for (value, stripped) in [
            (b"".as_slice(), b"".as_slice()),
            (b"a", b"a"),
            (b"a\0", b"a"),
            (b"a\0b\0", b"a"),
            (b"\0", b""),
        ] {
            assert_eq!(strip_nul(value), stripped);
        }
    }
}
