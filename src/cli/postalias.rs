//! What `postalias` has of its own: where entries come from, and how they are printed.

use std::path::Path;
use std::time::SystemTime;

use crate::cli::postmap::Work;
use crate::cli::progress::Input;
use crate::cli::report::Personality;
use crate::error::Result;
use crate::source::{AliasSource, Entry, EntrySource, MapSource, Mark, Warning};

/// The source of either program.
pub(super) enum AnySource {
    Map(MapSource<Input>),
    Alias(AliasSource<Input>),
}

impl EntrySource for AnySource {
    fn next_entry(&mut self, warn: &mut dyn FnMut(Warning)) -> Result<Option<Entry<'_>>> {
        match self {
            AnySource::Map(source) => source.next_entry(warn),
            AnySource::Alias(source) => source.next_entry(warn),
        }
    }

    fn marks(&self) -> &[Mark] {
        match self {
            AnySource::Map(source) => source.marks(),
            AnySource::Alias(source) => source.marks(),
        }
    }
}

impl Work<'_> {
    /// The entries in `input`, which messages call `name`.
    pub(super) fn entries(&self, name: &Path, input: impl Into<Input>) -> AnySource {
        let input = input.into();
        match self.program.personality {
            Personality::Postalias => AnySource::Alias(
                AliasSource::new(name, input, self.utf8)
                    .with_nis_marks(SystemTime::now(), &self.host_name),
            ),
            Personality::Postmap | Personality::Newaliases => {
                let source = MapSource::new(name, input, self.utf8);
                AnySource::Map(source.with_file_values(self.request.file_values))
            }
        }
    }

    /// What stands between a key and its value in the output.
    pub(super) fn separator(&self) -> &'static [u8] {
        match self.program.personality {
            Personality::Postalias => b":\t",
            Personality::Postmap | Personality::Newaliases => b"\t",
        }
    }
}
