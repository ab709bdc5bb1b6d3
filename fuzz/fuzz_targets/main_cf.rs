//! Any bytes as main.cf.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rpostmap::config::Config;

fuzz_target!(|data: &[u8]| {
    let mut warn = |text: Vec<u8>| assert!(!text.is_empty());
    let Ok(config) = Config::from_reader(Path::new("main.cf"), data, &mut warn) else {
        return;
    };
    let _ = config.smtputf8_enable(&mut warn);
    let _ = config.check_limits(&mut warn);
    if let Ok(table_type) = config.default_database_type(&mut warn) {
        assert!(!table_type.is_empty());
    }
    if let Ok(size) = config.lmdb_map_size(&mut warn) {
        assert!(size >= 1);
    }
    if let Ok(variables) = config.import_environment(&mut warn) {
        assert!(variables.iter().all(|(name, _)| !name.is_empty()));
    }
    for name in ["alias_database", "x", "compatibility_level"] {
        let text = config.text(name, &mut warn).ok();
        assert_eq!(config.text(name, &mut warn).ok(), text);
        // However often names stand in each other's values.
        assert!(text.is_none_or(|text| text.len() <= 16 << 20));
    }
});
