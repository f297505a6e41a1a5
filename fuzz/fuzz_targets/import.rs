//! Other balancers' configurations: whatever a file contains, each reader makes a
//! configuration of it or says why not, and what it makes is accepted or refused.
#![no_main]

use dtr_lb::config::ConfigFile;
use dtr_lb::import::{ForeignFormat, ImportOptions, NoSources, OldFile, import};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = OldFile {
        name: "file".to_owned(),
        text: String::from_utf8_lossy(bytes).into_owned(),
    };
    let options = ImportOptions {
        instances: [("i-1".to_owned(), "10.0.0.11".to_owned())].into(),
        token: "0123456789abcdef".to_owned(),
        ..ImportOptions::default()
    };
    let _ = file.format();
    for format in [
        ForeignFormat::Nginx,
        ForeignFormat::Haproxy,
        ForeignFormat::AwsElb,
    ] {
        match import(&file, format, &options, &mut NoSources) {
            Ok(imported) => drop(ConfigFile::parse(&imported.config, "result")),
            Err(error) => drop(error.to_string()),
        }
    }
});
