//! What the verifiers of all file formats find: which rule is broken, where, and how bad that is.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{ErrorKind, Result};

/// How many defects of one rule are kept; the rest are counted.
const KEPT_MAX: usize = 1000;

/// A rule that an intact file keeps, by the name it has in the documentation of the format.
pub trait Rule: Copy + Ord + fmt::Debug {
    /// Its name, for example "H10".
    fn id(self) -> &'static str;

    /// What it demands.
    fn text(self) -> &'static str;
}

/// Whether a violation can lose or hide entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Wasteful or odd, but every entry is found.
    Warning,
    /// Entries can be lost, hidden or wrong, now or at the next update.
    Error,
}

impl Severity {
    /// "warning" or "error".
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Where in a file a defect lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Place {
    /// The file as a whole.
    File,
    /// A page, counted from 0.
    Page(u64),
    /// A page, and the entry of its index, both counted from 0.
    Slot(u64, u16),
    /// A number of bytes from the beginning of a file without pages.
    Offset(u64),
}

impl Place {
    /// The page.
    pub fn page(self) -> Option<u64> {
        match self {
            Place::Page(page) | Place::Slot(page, _) => Some(page),
            Place::File | Place::Offset(_) => None,
        }
    }

    /// The index entry.
    pub fn slot(self) -> Option<u16> {
        match self {
            Place::Slot(_, slot) => Some(slot),
            Place::File | Place::Page(_) | Place::Offset(_) => None,
        }
    }
}

/// A place where a file breaks a rule. `Display` is a line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Defect<R> {
    /// The rule.
    pub rule: R,
    /// How bad that is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What was expected and what was found.
    pub what: String,
}

impl<R: Rule> fmt::Display for Defect<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.severity.name(), self.rule.id())?;
        match self.place {
            // The text has the offsets that matter.
            Place::File | Place::Offset(_) => {}
            Place::Page(page) => write!(f, "page {page}: ")?,
            Place::Slot(page, slot) => write!(f, "page {page}, slot {slot}: ")?,
        }
        f.write_str(&self.what)
    }
}

/// The result of verifying a file whose rules are `R` and of which `S` is counted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report<R, S> {
    /// What was counted; `None` when the file's head does not tell enough to look further.
    pub statistics: Option<S>,
    /// In the order they were found. Of each rule the first thousand.
    pub defects: Vec<Defect<R>>,
    /// How many more defects there are.
    pub omitted: u64,
}

impl<R, S> Default for Report<R, S> {
    fn default() -> Report<R, S> {
        Report {
            statistics: None,
            defects: Vec::new(),
            omitted: 0,
        }
    }
}

impl<R: Rule, S> Report<R, S> {
    /// Whether no defect is an error. Warnings do not count.
    pub fn is_clean(&self) -> bool {
        self.first_error().is_none()
    }

    /// The first defect that is more than a warning.
    pub fn first_error(&self) -> Option<&Defect<R>> {
        let mut defects = self.defects.iter();
        defects.find(|defect| defect.severity == Severity::Error)
    }

    /// How many defects there are, the omitted ones included.
    pub fn defect_count(&self) -> u64 {
        self.defects.len() as u64 + self.omitted
    }
}

/// Where defects are gathered.
pub(crate) struct Defects<R> {
    list: Vec<Defect<R>>,
    /// How many were found, and whether an error was among them.
    counts: BTreeMap<R, (usize, bool)>,
    omitted: u64,
}

impl<R> Default for Defects<R> {
    fn default() -> Defects<R> {
        Defects {
            list: Vec::new(),
            counts: BTreeMap::new(),
            omitted: 0,
        }
    }
}

impl<R: Rule> Defects<R> {
    pub(crate) fn into_report<S>(self, statistics: Option<S>) -> Report<R, S> {
        Report {
            statistics,
            defects: self.list,
            omitted: self.omitted,
        }
    }

    /// Whether the rule was found broken.
    pub(crate) fn has(&self, rule: R) -> bool {
        self.counts.contains_key(&rule)
    }

    /// An error of the file as a whole.
    pub(crate) fn file(&mut self, rule: R, what: impl Into<String>) {
        self.add(rule, Severity::Error, Place::File, what);
    }

    /// An error on a page.
    pub(crate) fn page(&mut self, rule: R, page: impl Into<u64>, what: impl Into<String>) {
        self.add(rule, Severity::Error, Place::Page(page.into()), what);
    }

    /// An error in an index entry of a page.
    pub(crate) fn slot(
        &mut self,
        rule: R,
        page: impl Into<u64>,
        slot: usize,
        what: impl Into<String>,
    ) {
        self.add(rule, Severity::Error, at_slot(page, slot), what);
    }

    /// An error.
    pub(crate) fn error(&mut self, rule: R, place: Place, what: impl Into<String>) {
        self.add(rule, Severity::Error, place, what);
    }

    /// Something odd.
    pub(crate) fn warn(&mut self, rule: R, place: Place, what: impl Into<String>) {
        self.add(rule, Severity::Warning, place, what);
    }

    pub(crate) fn add(
        &mut self,
        rule: R,
        severity: Severity,
        place: Place,
        what: impl Into<String>,
    ) {
        let (count, has_error) = self.counts.entry(rule).or_default();
        *count += 1;
        // The first error is kept behind any number of warnings.
        let first_error = severity == Severity::Error && !*has_error;
        *has_error |= first_error;
        if *count > KEPT_MAX && !first_error {
            self.omitted += 1;
            return;
        }
        self.list.push(Defect {
            rule,
            severity,
            place,
            what: what.into(),
        });
    }

    /// Takes damage that a reading function found as a defect; any other error ends the
    /// verification.
    pub(crate) fn found<T>(&mut self, rule: R, result: Result<T>) -> Result<Option<T>> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let ErrorKind::Corrupt { page, slot, what } = error.kind() else {
            return Err(error);
        };
        let place = match (*page, *slot) {
            (None, _) => Place::File,
            (Some(page), None) => Place::Page(page.into()),
            (Some(page), Some(slot)) => Place::Slot(page.into(), slot),
        };
        self.add(rule, Severity::Error, place, what);
        Ok(None)
    }
}

/// An index entry of a page. One that no page can have stands for the page.
pub(crate) fn at_slot(page: impl Into<u64>, slot: usize) -> Place {
    let page = page.into();
    u16::try_from(slot).map_or(Place::Page(page), |slot| Place::Slot(page, slot))
}

/// Declares the enum of the rules of a format.
macro_rules! rules {
    ($(#[$about:meta])* $vis:vis enum $name:ident { $($id:ident $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        $vis enum $name {
            $(
                #[doc = concat!("`", stringify!($id), "`: ", $text, ".")]
                $id,
            )*
        }

        impl $name {
            /// All of them.
            $vis const ALL: &'static [$name] = &[$($name::$id),*];
        }

        impl $crate::defect::Rule for $name {
            fn id(self) -> &'static str {
                match self {
                    $($name::$id => stringify!($id),)*
                }
            }

            fn text(self) -> &'static str {
                match self {
                    $($name::$id => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::defect::Rule::id(*self))
            }
        }
    };
}
pub(crate) use rules;

#[cfg(test)]
mod tests {
    use super::*;

    rules! {
        /// For the tests.
        enum Law {
            X1 "one",
            X2 "two",
        }
    }

    fn place(place: Place) -> String {
        let mut defects = Defects::default();
        defects.add(Law::X2, Severity::Warning, place, "odd");
        defects.into_report::<()>(None).defects[0].to_string()
    }

    #[test]
    fn defects_are_lines_for_people() {
        assert_eq!(place(Place::File), "warning: X2: odd");
        assert_eq!(place(Place::Page(3)), "warning: X2: page 3: odd");
        assert_eq!(place(at_slot(3_u32, 4)), "warning: X2: page 3, slot 4: odd");
        assert_eq!(place(at_slot(3_u32, 70_000)), place(Place::Page(3)));
        assert_eq!(place(Place::Offset(2048)), place(Place::File));
        let texts: Vec<&str> = Law::ALL.iter().map(|law| law.text()).collect();
        assert_eq!(texts, ["one", "two"]);
    }

    #[test]
    fn a_thousand_of_a_rule_are_kept_and_its_first_error_too() {
        let mut defects = Defects::default();
        for page in 0..KEPT_MAX as u64 + 10 {
            defects.warn(Law::X1, Place::Page(page), "odd");
        }
        defects.page(Law::X1, 7_u64, "wrong");
        defects.page(Law::X1, 8_u64, "wrong");
        defects.file(Law::X2, "wrong");
        assert!(defects.has(Law::X2));
        let report = defects.into_report::<()>(None);
        assert_eq!(report.defects.len(), KEPT_MAX + 2);
        assert_eq!(report.omitted, 11);
        assert_eq!(report.defect_count(), KEPT_MAX as u64 + 13);
        assert_eq!(
            report.first_error().map(|first| first.place),
            Some(Place::Page(7))
        );
        assert!(!report.is_clean());
    }
}
