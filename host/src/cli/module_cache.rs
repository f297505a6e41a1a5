//! Where compiled filters are kept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder that the environment names; `None`: compiled filters are not kept.
pub(super) fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(folder) = variable("DTR_LB_CACHE_DIR") {
        return (!folder.is_empty()).then(|| folder.into());
    }
    // Set by systemd for CacheDirectory=; one folder of a list is enough.
    if let Some(folder) = variable("CACHE_DIRECTORY") {
        return std::env::split_paths(&folder).find(|folder| folder.is_absolute());
    }
    let caches = match variable("XDG_CACHE_HOME").map(PathBuf::from) {
        // As its specification has it, others don't count.
        Some(caches) if caches.is_absolute() => caches,
        _ => Path::new(&variable("HOME")?).join(".cache"),
    };
    // Where there is none it is not made: the user of a service has no home, and a warning
    // would be about a folder that nobody asked for.
    caches.is_dir().then(|| caches.join("dtr-lb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_variable_names_the_folder() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path().to_str().expect("its name is text");
        std::fs::create_dir(format!("{home}/.cache")).expect("a folder in it");
        let own = format!("{home}/.cache/dtr-lb");
        let xdg = format!("{home}/dtr-lb");
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
        let cases: [Case<'_>; 10] = [
            (&[], None),
            (&[("HOME", home)], Some(&own)),
            (&[("HOME", "/nowhere")], None),
            (
                &[("HOME", "/nowhere"), ("XDG_CACHE_HOME", home)],
                Some(&xdg),
            ),
            (&[("HOME", home), ("XDG_CACHE_HOME", "cache")], Some(&own)),
            (&[("HOME", home), ("CACHE_DIRECTORY", "/v")], Some("/v")),
            (&[("CACHE_DIRECTORY", "/v/a:/v/b")], Some("/v/a")),
            (&[("HOME", home), ("CACHE_DIRECTORY", "")], None),
            (
                &[("DTR_LB_CACHE_DIR", "a"), ("CACHE_DIRECTORY", "/v")],
                Some("a"),
            ),
            (
                &[
                    ("DTR_LB_CACHE_DIR", ""),
                    ("CACHE_DIRECTORY", "/v"),
                    ("HOME", home),
                ],
                None,
            ),
        ];
        for (variables, expected) in cases {
            let found = folder(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.into())
            });
            assert_eq!(found.as_deref(), expected.map(Path::new), "{variables:?}");
        }
    }
}
