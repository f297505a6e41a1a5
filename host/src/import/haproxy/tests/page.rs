//! The statistics page.

use super::imported;
use crate::import::note::Note;

#[test]
fn the_advice_on_the_token_says_who_could_take_servers_out() {
    let all = "every client that reached the page could take replicas out";
    let some = "those whom the file let in could take replicas out";
    let cases = [
        ("stats admin if TRUE", all),
        ("stats admin if LOCALHOST", some),
        ("stats admin if TRUE\nstats auth a:b", some),
        (
            "stats admin if TRUE\nhttp-request deny unless { src 10.0.0.0/8 }",
            some,
        ),
    ];
    for (lines, expected) in cases {
        let page = format!("listen page\nmode http\nbind :8181\nstats enable\n{lines}\n");
        let (_, notes) = imported(&format!("{page}{DTR}")).unwrap();
        let notes: Vec<String> = notes.iter().map(Note::to_string).collect();
        let notes = notes.join("\n");
        assert!(notes.contains(expected), "{lines}: {notes}");
        assert!(!notes.contains("HTTP only"), "{lines}: {notes}");
    }
}

const DTR: &str = "listen dtr\nbind :443\nserver a 10.0.0.1:443\n";

#[test]
fn a_page_is_admin_with_and_without_tls() {
    let advice = "the page spoke TLS, and \"admin\" speaks HTTP until it has a \"tls\"";
    let cases = [
        ("in the clear", "bind :8181", Some(8181), false),
        (
            "with TLS",
            "bind :8443 ssl crt /etc/lb.pem",
            Some(8443),
            true,
        ),
        (
            "both: the first in the clear",
            "bind :8443 ssl crt /etc/lb.pem\nbind :8181",
            Some(8181),
            false,
        ),
        ("nowhere", "maxconn 10", None, false),
    ];
    for (why, bind, port, spoke_tls) in cases {
        let page = format!("listen page\nmode http\n{bind}\nstats enable\nstats admin if TRUE\n");
        let (found, notes) = imported(&format!("{page}{DTR}")).unwrap();
        let notes: Vec<String> = notes.iter().map(Note::to_string).collect();
        let notes = notes.join("\n");
        let found = found.admin.map(|admin| admin.value.port());
        assert_eq!(found, port, "{why}: {notes}");
        assert_eq!(notes.contains(advice), spoke_tls, "{why}: {notes}");
        let is_admin = notes.contains("listen page: the page is \"admin\"");
        assert_eq!(is_admin, port.is_some(), "{why}: {notes}");
        let has_token = notes.contains("needs the token");
        assert_eq!(has_token, port.is_some(), "{why}: {notes}");
    }
}
