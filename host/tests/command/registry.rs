//! A registry of stand-ins, and a command that is run on its configuration.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use dtr_lb::standin::{Condition, Registry, Replica};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{output, text};

pub(crate) const FQDN: &str = "dtr.example.com";

/// A registry of three, and a configuration of it.
pub(crate) struct Stage {
    command: &'static str,
    runtime: Runtime,
    pub(crate) folder: TempDir,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) config: Value,
}

/// What the command printed, and how it ended.
pub(crate) struct Shown {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Stage {
    /// For a command that is run again and again.
    pub(crate) fn of(command: &'static str) -> Stage {
        let runtime = Runtime::new().unwrap();
        let registry = Registry::new(FQDN).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let start = |name: &str| runtime.block_on(registry.replica(name, any, any)).unwrap();
        let replicas: Vec<Replica> = ["a1", "b2", "c3"].into_iter().map(start).collect();
        let entries = replicas.iter().map(|replica| {
            json!({
                "id": replica.name(), "address": "127.0.0.1",
                "ports": { "443": replica.https().port() },
            })
        });
        let config = json!({
            "fqdn": FQDN,
            "replicas": entries.collect::<Vec<Value>>(),
            "listeners": [{ "bind": "127.0.0.1:1", "port": 443 }],
            "health": { "verify": "ca.pem" },
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), registry.ca_pem()).unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "password\n").unwrap();
        std::fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
        Stage {
            command,
            runtime,
            folder,
            replicas,
            config,
        }
    }

    pub(crate) fn is(&self, replica: usize, condition: Condition) {
        let changing = self.replicas[replica].set_condition(condition);
        self.runtime.block_on(changing).unwrap();
    }

    pub(crate) fn open_uploads(&self) -> usize {
        self.replicas.iter().map(Replica::open_uploads).sum()
    }

    pub(crate) fn show(&self, flags: &[&str]) -> Shown {
        let file = self.folder.path().join("lb.json");
        std::fs::write(&file, self.config.to_string()).unwrap();
        run(self.command, file.to_str().unwrap(), flags)
    }

    /// As an administrator.
    pub(crate) fn ask(&self, flags: &[&str]) -> Shown {
        let password = self.folder.path().join("password");
        let password = password.to_str().unwrap();
        let login = ["--user", "admin", "--password-file", password];
        self.show(&[&login, flags].concat())
    }
}

impl Shown {
    /// What it says, without the breaks of its lines.
    pub(crate) fn says(&self, expected: &str) {
        let said: Vec<&str> = self.stdout.split_whitespace().collect();
        assert!(
            said.join(" ").contains(expected),
            "no {expected:?} in {}{}",
            self.stdout,
            self.stderr
        );
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Runs a command on a configuration.
pub(crate) fn run(command: &str, file: &str, flags: &[&str]) -> Shown {
    let output = output(&[&[command, "--config", file], flags].concat());
    Shown {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
