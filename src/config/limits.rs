//! Parameters that are numbers.

use super::{Config, config_error};
use crate::error::Result;

impl Config {
    /// `lmdb_map_size`: how large an `lmdb` file may become at first, in bytes.
    ///
    /// # Errors
    ///
    /// `Config` for what is no number, or less than 1.
    pub fn lmdb_map_size(&self, warn: &mut dyn FnMut(Vec<u8>)) -> Result<u64> {
        self.at_least_1("lmdb_map_size", i64::MAX, warn)
    }

    /// `header_size_limit`: the most bytes of a message header that are looked at.
    ///
    /// # Errors
    ///
    /// As [`Config::lmdb_map_size`].
    pub fn header_size_limit(&self, warn: &mut dyn FnMut(Vec<u8>)) -> Result<u64> {
        self.at_least_1("header_size_limit", i64::from(i32::MAX), warn)
    }

    /// `mime_nesting_limit`: how deep the parts of a message may nest.
    ///
    /// # Errors
    ///
    /// As [`Config::lmdb_map_size`].
    pub fn mime_nesting_limit(&self, warn: &mut dyn FnMut(Vec<u8>)) -> Result<u64> {
        self.at_least_1("mime_nesting_limit", i64::from(i32::MAX), warn)
    }

    /// `mime_boundary_length_limit`: the most bytes of a boundary between parts that count.
    ///
    /// # Errors
    ///
    /// As [`Config::lmdb_map_size`].
    pub fn mime_boundary_length_limit(&self, warn: &mut dyn FnMut(Vec<u8>)) -> Result<u64> {
        self.at_least_1("mime_boundary_length_limit", i64::from(i32::MAX), warn)
    }

    /// That all of these are numbers, and the sizes of Berkeley DB's memory too. The original says so whatever it was asked to do.
    ///
    /// # Errors
    ///
    /// As [`Config::lmdb_map_size`].
    pub fn check_limits(&self, warn: &mut dyn FnMut(Vec<u8>)) -> Result<()> {
        self.header_size_limit(warn)?;
        self.mime_nesting_limit(warn)?;
        self.mime_boundary_length_limit(warn)?;
        for unused in [
            "berkeley_db_create_buffer_size",
            "berkeley_db_read_buffer_size",
        ] {
            self.at_least_1(unused, i64::from(i32::MAX), warn)?;
        }
        self.lmdb_map_size(warn)?;
        Ok(())
    }

    fn at_least_1(&self, name: &str, max: i64, warn: &mut dyn FnMut(Vec<u8>)) -> Result<u64> {
        let text = self.text(name, warn)?;
        // Decimal, with a sign or without.
        let number = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
            .filter(|&number| number <= max && number >= -max - 1);
        let Some(number) = number else {
            let what = format!("bad numerical configuration: {name} = ");
            return Err(config_error(&[what.as_bytes(), &text].concat(), None));
        };
        match u64::try_from(number) {
            Ok(number) if number >= 1 => Ok(number),
            _ => {
                let what = format!("invalid {name} parameter value {number} < 1");
                Err(config_error(what.as_bytes(), None))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_and_at_least_1() {
        for (value, long, int) in [
            ("5", Ok(5), Ok(5)),
            ("+5", Ok(5), Ok(5)),
            ("007", Ok(7), Ok(7)),
            ("$x", Ok(12), Ok(12)),
            (
                "0",
                Err("invalid N parameter value 0 < 1"),
                Err("invalid N parameter value 0 < 1"),
            ),
            (
                "-1",
                Err("invalid N parameter value -1 < 1"),
                Err("invalid N parameter value -1 < 1"),
            ),
            (
                "2147483648",
                Ok(1 << 31),
                Err("bad numerical configuration: N = 2147483648"),
            ),
            (
                "10M",
                Err("bad numerical configuration: N = 10M"),
                Err("bad numerical configuration: N = 10M"),
            ),
            (
                "",
                Err("bad numerical configuration: N = "),
                Err("bad numerical configuration: N = "),
            ),
            (
                "1 2",
                Err("bad numerical configuration: N = 1 2"),
                Err("bad numerical configuration: N = 1 2"),
            ),
        ] {
            let mut config = Config::default();
            config.set_default("x", "12");
            for (name, expect) in [("lmdb_map_size", long), ("header_size_limit", int)] {
                config.set_default(name, value);
                let got = match name {
                    "lmdb_map_size" => config.lmdb_map_size(&mut |_| {}),
                    _ => config.header_size_limit(&mut |_| {}),
                };
                let expect = expect.map_err(|text: &str| text.replace('N', name));
                assert_eq!(got.map_err(|error| error.to_string()), expect, "{value}");
            }
        }
    }

    #[test]
    fn limits_have_defaults() {
        let config = Config::default();
        config.check_limits(&mut |_| {}).unwrap();
        assert_eq!(config.lmdb_map_size(&mut |_| {}).unwrap(), 16 << 20);
        assert_eq!(config.header_size_limit(&mut |_| {}).unwrap(), 102_400);
        assert_eq!(config.mime_nesting_limit(&mut |_| {}).unwrap(), 100);
        assert_eq!(
            config.mime_boundary_length_limit(&mut |_| {}).unwrap(),
            2048
        );
    }
}
