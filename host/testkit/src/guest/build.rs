//! Builds guest crates.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::guest::Guest;
use crate::guest::folder::{resolve, target_folder};

/// How to build a guest crate; [`Guest::build`] is the short form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Build {
    path: PathBuf,
    package: Option<String>,
    example: Option<String>,
    target: String,
    profile: String,
    features: Vec<String>,
}

/// Why a guest crate could not be built.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Cargo could not be run, or a file not be read or locked.
    #[error("guest {}: {action}: {error}", path.display())]
    Io {
        /// The crate.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        error: Arc<std::io::Error>,
    },
    /// Cargo failed.
    #[error("guest {}: cargo cannot build it:\n{output}", path.display())]
    Cargo {
        /// The crate.
        path: PathBuf,
        /// What cargo printed.
        output: String,
    },
    /// Cargo made no `.wasm`.
    #[error(
        "guest {}: cargo made no .wasm file; the crate needs crate-type = [\"cdylib\"]",
        path.display()
    )]
    NoModule {
        /// The crate.
        path: PathBuf,
    },
}

impl Guest {
    /// Builds a guest crate for `wasm32-unknown-unknown`, in release mode, and
    /// reads what comes out. A path that is not absolute counts from the tested
    /// package's folder. Each crate is built once per process; a second process
    /// waits for the first and finds it built.
    ///
    /// # Errors
    /// When it cannot be built; the error shows what cargo printed.
    pub fn build(path: impl AsRef<Path>) -> Result<Guest, BuildError> {
        Build::new(path).run()
    }
}

impl Build {
    /// Builds the crate in this folder. A path that is not absolute counts from
    /// the tested package's folder.
    pub fn new(path: impl AsRef<Path>) -> Build {
        Build {
            path: resolve(path.as_ref()),
            package: None,
            example: None,
            target: "wasm32-unknown-unknown".to_owned(),
            profile: "release".to_owned(),
            features: Vec::new(),
        }
    }

    /// Builds this package of the workspace there.
    pub fn package(mut self, name: &str) -> Build {
        self.package = Some(name.to_owned());
        self
    }

    /// Builds this example, not the library.
    pub fn example(mut self, name: &str) -> Build {
        self.example = Some(name.to_owned());
        self
    }

    /// Another target, such as `wasm32-wasip1`.
    pub fn target(mut self, target: &str) -> Build {
        self.target = target.to_owned();
        self
    }

    /// Another profile, such as `dev`.
    pub fn profile(mut self, profile: &str) -> Build {
        self.profile = profile.to_owned();
        self
    }

    /// With this feature of the crate.
    pub fn feature(mut self, feature: &str) -> Build {
        self.features.push(feature.to_owned());
        self
    }

    /// Builds it, once per process.
    ///
    /// # Errors
    /// When it cannot be built; the error shows what cargo printed.
    pub fn run(&self) -> Result<Guest, BuildError> {
        type Slot = Arc<Mutex<Option<Result<Guest, BuildError>>>>;
        static BUILT: LazyLock<Mutex<HashMap<Build, Slot>>> = LazyLock::new(Mutex::default);

        let slot = {
            let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
            built.entry(self.clone()).or_default().clone()
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert_with(|| self.cargo()).clone()
    }

    fn cargo(&self) -> Result<Guest, BuildError> {
        let io = |action| {
            let path = self.path.clone();
            move |error| BuildError::Io {
                path,
                action,
                error: Arc::new(error),
            }
        };
        let folder = target_folder(&self.path);
        std::fs::create_dir_all(&folder).map_err(io("making the target folder"))?;
        // Cargo has its own lock, but announces a wait on the terminal; this one is silent.
        let lock = File::create(folder.join("testkit.lock")).map_err(io("making the lock file"))?;
        lock.lock().map_err(io("waiting for another build"))?;

        let mut command = Command::new("cargo");
        command
            .current_dir(&self.path)
            .args(["build", "--message-format=json-render-diagnostics"])
            .args(["--target", &self.target, "--profile", &self.profile])
            .arg("--target-dir")
            .arg(&folder)
            .stdin(Stdio::null());
        match (&self.package, &self.example) {
            (_, Some(example)) => command.args(["--example", example]),
            (Some(package), None) => command.args(["--package", package, "--lib"]),
            (None, None) => command.arg("--lib"),
        };
        for feature in &self.features {
            command.args(["--features", feature]);
        }
        // What cargo and rustc set for this test is not meant for the guest.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let kept = ["CARGO_HOME", "CARGO_BUILD_JOBS", "CARGO_NET_OFFLINE"];
            let ours = text.starts_with("CARGO") || text.starts_with("RUSTC");
            let flags = ["RUSTFLAGS", "RUSTDOCFLAGS", "RUST_RECURSION_COUNT"];
            if (ours && !kept.contains(&&*text)) || flags.contains(&&*text) {
                command.env_remove(&name);
            }
        }
        let output = command.output().map_err(io("running cargo"))?;
        if !output.status.success() {
            return Err(BuildError::Cargo {
                path: self.path.clone(),
                output: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        let Some(module) = self.module(&output.stdout) else {
            return Err(BuildError::NoModule {
                path: self.path.clone(),
            });
        };
        Guest::file(module).map_err(io("reading the module"))
    }

    /// The `.wasm` among cargo's messages: that of the crate built last, since
    /// dependencies come first.
    fn module(&self, messages: &[u8]) -> Option<PathBuf> {
        let lines = messages.split(|byte| *byte == b'\n').rev();
        lines
            .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
            .filter(|message| message["reason"] == "compiler-artifact")
            .find_map(|message| {
                let files = message["filenames"].as_array()?.iter();
                let mut modules = files.filter_map(|file| file.as_str());
                modules
                    .find(|file| file.ends_with(".wasm"))
                    .map(PathBuf::from)
            })
    }
}
