//! `dtr-lb manual` and `dtr-lb completions`: what a package installs beside the binary.

use crate::{output, text};

#[test]
fn each_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    let written = output(&["manual", "--out", out.to_str().unwrap()]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));

    let help = text(&output(&["--help"]).stdout);
    let commands = help.split("Commands:\n").nth(1).unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.contains(&"run"), "{help}");
    for name in names {
        let page = std::fs::read_to_string(out.join(format!("dtr-lb-{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("no page of {name}: {error}"));
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
}

#[test]
fn shells_complete_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = output(&["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{shell}");
        let script = text(&script.stdout);
        assert!(
            script.contains("dtr-lb") && script.contains("check"),
            "{shell}: {script}"
        );
    }
    let unknown = output(&["completions", "tcsh"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("possible values: bash"));
}
