//! `dtr-lb demo`.

use std::net::{TcpListener, TcpStream};

use rustix::process::Signal;

use crate::running::Running;
use crate::{ask, dtr_lb, output, text};

#[test]
fn the_demo_says_where_everything_is_and_ends_at_sigterm() {
    let ports = [
        "demo",
        "--http",
        "0",
        "--https",
        "0",
        "--admin",
        "0",
        "--control",
        "0",
    ];
    let demo = Running::printing(&mut dtr_lb(&ports));
    let tour = demo.lines_until("Ctrl-C");
    let address = |start: &str| {
        let line = tour.iter().find(|line| line.trim().starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no {start:?} in {tour:#?}"));
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split([' ', '/']).next().unwrap().to_owned()
    };

    let answer = ask(&address("balancer"), "GET /", "");
    assert!(answer.contains("x-replica: r"), "{answer}");
    let status = ask(&address("admin"), "GET /status", "");
    assert!(status.contains(r#""fqdn":"dtr.example.com""#), "{status}");
    let order = ask(&address("curl -sd gone"), "POST /r2", "gone");
    assert!(order.contains("r2 is gone"), "{order}");
    let refused = TcpStream::connect(address("replica r2"));
    assert!(refused.is_err(), "replica 2 still listens");
    for _ in 0..6 {
        let answer = ask(&address("balancer"), "GET /", "");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(!answer.contains("x-replica: r2"), "{answer}");
    }

    demo.signal(Signal::TERM);
    assert_eq!(demo.ends(), Some(0));
}

#[test]
fn a_port_that_is_taken_names_each_option_that_chooses_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    let free = "0";
    for (option, named) in [
        ("--admin", "--http, --https, --admin and --control"),
        ("--control", "choose another port with --control"),
    ] {
        let mut arguments = vec!["demo"];
        for each in ["--http", "--https", "--admin", "--control"] {
            arguments.extend([each, if each == option { &taken } else { free }]);
        }
        let output = output(&arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{option}: {error}");
        assert!(error.contains(named), "{option}: {error}");
    }
}
