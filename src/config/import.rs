//! `import_environment`: variables for programs that Postfix starts.

use super::{Config, config_error};
use crate::error::Result;
use crate::find::find;
use crate::source::{braces, is_blank, trim};

/// A name and its value.
type Variable = (Vec<u8>, Vec<u8>);

impl Config {
    /// The variables that `import_environment` sets, in its order. Names without a value stand for
    /// variables that are there already, and are left out.
    ///
    /// # Errors
    ///
    /// `Config` for an item with unbalanced braces or without a name.
    pub fn import_environment(&self, warn: &mut dyn FnMut(Vec<u8>)) -> Result<Vec<Variable>> {
        let text = self.text("import_environment", warn)?;
        let variables = braces::items(&text).filter_map(|item| variable(item).transpose());
        variables.collect()
    }
}

/// `name=value`, or `{ name = value }`.
fn variable(item: &[u8]) -> Result<Option<Variable>> {
    let braced = item.first() == Some(&b'{');
    let text = match (braced, braces::closing(item)) {
        (false, _) => item,
        (true, None) => {
            return Err(config_error(b"import_environment: missing '}' in ", item));
        }
        (true, Some(end)) if end + 1 < item.len() => {
            let what = b"import_environment: syntax error after '}' in ";
            return Err(config_error(what, item));
        }
        (true, Some(end)) => trim(item.get(1..end).unwrap_or_default()),
    };
    let Some(equals) = find(b'=', text) else {
        return Ok(None);
    };
    let (name, rest) = text.split_at_checked(equals).unwrap_or((text, b"="));
    let name = trim(name);
    if name.is_empty() || name.iter().copied().any(is_blank) {
        let what = [b"update_env: missing attribute name in: ", text].concat();
        return Err(config_error(&what, None));
    }
    let value = trim(rest.strip_prefix(b"=").unwrap_or(rest));
    Ok(Some((name.to_vec(), value.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<String, String> {
        let mut config = Config::default();
        config.set_default("import_environment", value);
        let variables = config
            .import_environment(&mut |_| {})
            .map_err(|error| error.to_string())?;
        let text = variables.iter().map(|(name, value)| {
            let (name, value) = (name.escape_ascii(), value.escape_ascii());
            format!("{name}|{value};")
        });
        Ok(text.collect())
    }

    #[test]
    fn items_with_a_value_are_variables() {
        for (value, expect) in [
            ("TZ, FOO=bar", Ok("FOO|bar;")),
            (
                "A=1 A=2 {B=1} { C } {D= } E= {F = {x}}",
                Ok("A|1;A|2;B|1;D|;E|;F|{x};"),
            ),
            ("{ BAR = baz x } { FOO=1, 2}", Ok("BAR|baz x;FOO|1, 2;")),
            ("BAR==", Ok("BAR|=;")),
            ("", Ok("")),
            ("X =", Err("update_env: missing attribute name in: =")),
            ("{=BAR}", Err("update_env: missing attribute name in: =BAR")),
            (
                "{BAR = baz",
                Err("import_environment: missing '}' in \"{BAR = baz\""),
            ),
            (
                "{FOO=1}x",
                Err("import_environment: syntax error after '}' in \"{FOO=1}x\""),
            ),
        ] {
            let expect = expect.map(String::from).map_err(String::from);
            assert_eq!(read(value), expect, "{value}");
        }
    }

    #[test]
    fn the_language_is_c() {
        let variables = Config::default().import_environment(&mut |_| {}).unwrap();
        assert_eq!(variables, [(b"LANG".to_vec(), b"C".to_vec())]);
    }
}
