//! A running balancer, and what an operator asks of it.

use std::process::Output;

use serde_json::{Value, json};

use crate::balancer::{Balancer, Config, echoing};
use crate::running::eventually;
use crate::{dtr_lb, output, text};

/// A balancer before two replicas that echo, and what is asked of it.
pub(crate) struct Stage {
    pub(crate) balancer: Balancer,
    folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new(fields: Value) -> Stage {
        Stage::of_replicas([echoing(), echoing()], fields)
    }

    pub(crate) fn of_replicas(ports: [u16; 2], fields: Value) -> Stage {
        let replicas =
            ports.map(|port| json!({ "address": "127.0.0.1", "ports": { "443": port } }));
        let health = json!({ "preset": "tcp", "interval": "50ms", "fall": 1, "rise": 1 });
        let mut all = json!({ "replicas": replicas, "health": health });
        for (field, value) in fields.as_object().into_iter().flatten() {
            all[field] = value.clone();
        }
        let config = Config::balancing(0, all);
        let balancer = Balancer::logging(&mut dtr_lb(&[]), config);
        Stage {
            balancer,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Runs a command against it.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        output(&[arguments, &["--admin", &self.balancer.admin]].concat())
    }

    /// Runs one that has to succeed: what it prints.
    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        let problem = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {problem}");
        text(&output.stdout)
    }

    /// Runs one that has to fail with this exit code: the error.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32) -> String {
        let output = self.ask(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        text(&output.stderr)
    }

    /// The row of a replica in the table, once it is in this state.
    pub(crate) fn row(&self, replica: &str, state: &str) -> String {
        eventually(&format!("{replica} to be {state}"), || {
            let shown = text(&self.ask(&["status"]).stdout);
            let row = shown.lines().find(|line| line.starts_with(replica))?;
            let is_so = row.split_whitespace().nth(1) == Some(state);
            is_so.then(|| row.to_owned())
        })
    }

    /// Writes a file: its path.
    pub(crate) fn file(&self, name: &str, contents: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }
}
