//! The walk from a domain to its parents, in two styles.

/// How a domain stands for its subdomains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// `.example` covers the subdomains of `example`, and `example` itself only.
    Dot,
    /// `example` covers itself and its subdomains; keys with a leading dot are never tried.
    Parent,
}

/// The keys for `domain`, most specific first: `a.b.c` gives `a.b.c`, `.b.c`, `.c`, or in the other
/// style `a.b.c`, `b.c`, `c`.
///
/// It includes the top-level domain and knows nothing about brackets.
///
/// ```
/// use rpostmap::rules::suffix::{Style, suffixes};
///
/// assert!(suffixes(b"a.b.c", Style::Dot).eq([b"a.b.c".as_slice(), b".b.c", b".c"]));
/// ```
pub fn suffixes(domain: &[u8], style: Style) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(domain), move |key| {
        // A dot in the first place was the start of this key.
        let behind_first = key.get(1..)?;
        let dot = 1 + memchr::memchr(b'.', behind_first)?;
        match style {
            Style::Dot => key.get(dot..),
            Style::Parent => key.get(dot + 1..),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_styles_end_at_the_top_level_domain() {
        for (domain, dot, parent) in [
            (
                "a.b.c",
                &["a.b.c", ".b.c", ".c"][..],
                &["a.b.c", "b.c", "c"][..],
            ),
            ("a", &["a"], &["a"]),
            ("", &[""], &[""]),
            ("a.", &["a.", "."], &["a.", ""]),
            (".a", &[".a"], &[".a"]),
            (".a.b", &[".a.b", ".b"], &[".a.b", "b"]),
            ("a..b", &["a..b", "..b", ".b"], &["a..b", ".b"]),
            (
                "[192.0.2.7]",
                &["[192.0.2.7]", ".0.2.7]", ".2.7]", ".7]"],
                &["[192.0.2.7]", "0.2.7]", "2.7]", "7]"],
            ),
        ] {
            let walk = |style| {
                suffixes(domain.as_bytes(), style)
                    .map(|key| String::from_utf8(key.to_vec()).unwrap())
                    .collect::<Vec<_>>()
            };
            assert_eq!(walk(Style::Dot), dot, "{domain}");
            assert_eq!(walk(Style::Parent), parent, "{domain}");
        }
    }

    proptest! {
        #[test]
        fn keys_are_ever_shorter_suffixes_at_dots(domain in "[ab.]{0,12}") {
            let domain = domain.as_bytes();
            for style in [Style::Dot, Style::Parent] {
                let keys: Vec<_> = suffixes(domain, style).collect();
                prop_assert_eq!(keys[0], domain);
                for pair in keys.windows(2) {
                    prop_assert!(pair[1].len() < pair[0].len());
                }
                for key in &keys[1..] {
                    prop_assert!(domain.ends_with(key));
                    let start = domain.len() - key.len();
                    prop_assert_eq!(domain[start - usize::from(style == Style::Parent)], b'.');
                }
            }
            // A name without empty labels has as many keys in one style as in the other.
            let whole = !domain.is_empty() && domain.split(|&b| b == b'.').all(|l| !l.is_empty());
            if whole {
                let labels = domain.split(|&b| b == b'.').count();
                prop_assert_eq!(suffixes(domain, Style::Dot).count(), labels);
                prop_assert_eq!(suffixes(domain, Style::Parent).count(), labels);
            }
        }
    }
}
