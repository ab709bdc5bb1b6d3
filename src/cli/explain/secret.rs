//! Passwords are not printed, wherever they stand: values are hidden by the trace, and what may quote
//! them is hidden here.

use crate::rules::trace::{Outcome, Step};

use super::model::{End, Lookup};

const HIDDEN: &str = "(hidden)";

/// Types whose names are names of files or services, and hold no values.
const NAMED: &[&str] = &[
    "btree", "cdb", "cidr", "environ", "fail", "hash", "lmdb", "pcre", "regexp", "texthash", "unix",
];

/// The name of a table as it may be printed: `inline:{[gw]:587=user:password}` is `inline:(hidden)`.
pub(super) fn table_name(name: &str) -> String {
    let (type_name, behind) = name.split_once(':').unwrap_or(("", name));
    if matches!(type_name, "debug" | "proxy") {
        return format!("{type_name}:{}", table_name(behind));
    }
    match NAMED.contains(&type_name) && !behind.contains('{') {
        true => name.to_owned(),
        false => format!("{type_name}:{HIDDEN}"),
    }
}

/// Hides what may be a password in the names and messages of `lookup`. `quotes_value` says that the
/// error it ended with has a value in its text.
pub(super) fn hide(lookup: &mut Lookup, quotes_value: bool) {
    let mut hides_reason = quotes_value;
    for step in &mut lookup.steps {
        let Step::Key { answers, .. } = step else {
            continue;
        };
        for (name, outcome) in answers {
            let shown = table_name(name);
            let is_hidden = shown != *name;
            *name = shown;
            if let Outcome::Failed(reason) = outcome
                && (is_hidden || quotes_value)
            {
                hides_reason = true;
                *reason = format!("{name}: {HIDDEN}");
            }
        }
    }
    for near in &mut lookup.near {
        near.table = table_name(&near.table);
    }
    if let End::Failed(reason) = &mut lookup.end
        && hides_reason
    {
        *reason = "a table failed; --show-passwords prints why".to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_values_are_hidden() {
        for (name, shown) in [
            ("hash:/etc/postfix/sasl", "hash:/etc/postfix/sasl"),
            (
                "proxy:hash:/etc/postfix/sasl",
                "proxy:hash:/etc/postfix/sasl",
            ),
            ("static:user:password", "static:(hidden)"),
            ("proxy:static:user:password", "proxy:static:(hidden)"),
            ("inline:{a=user:password}", "inline:(hidden)"),
            ("regexp:{{/x/ user:password}}", "regexp:(hidden)"),
            ("unionmap:{static:u:p,hash:x}", "unionmap:(hidden)"),
            ("user:password", "user:(hidden)"),
            ("password", ":(hidden)"),
        ] {
            assert_eq!(table_name(name), shown);
        }
    }
}
