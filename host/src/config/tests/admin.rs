use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_certificate_given_as_the_key_is_said_to_be_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("admin.pem");
    let file = certificate.display();
    let made = rcgen::generate_simple_self_signed(["lb.example.com".to_owned()]).unwrap();
    fs::write(&certificate, made.cert.pem()).unwrap();
    let admin = format!(
        r#""admin": {{"bind": "127.0.0.1:8181",
            "tls": {{"certificate": "{file}", "key": "{file}"}}}}"#
    );
    let expected = format!(
        r#"lb.json: admin.tls.key is "{file}"; as a private key (PEM) it holds no private key; correct it"#
    );
    assert_eq!(refusal(&with(&admin)), expected);
}

#[test]
fn a_token_in_a_file_that_others_may_read_is_warned_of_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lb.json");
    let inline = with(r#""admin": {"bind": "127.0.0.1:8181", "token": "s3cret-enough"}"#);
    fs::write(&path, inline).unwrap();
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let file = ConfigFile::load(&path).unwrap();
        let found: Vec<String> = file.warnings().iter().map(ToString::to_string).collect();
        let expected = format!(
            "{}: admin.token is (not shown); anybody on this machine may read or change it; \
             have only the user that runs dtr-lb read it (chmod 600), or give a \"token_file\"",
            path.display()
        );
        let expected: &[String] = if warned { &[expected] } else { &[] };
        assert_eq!(found, expected, "{mode:o}");
    }
}

#[test]
fn what_may_be_a_secret_is_in_no_error() {
    let of_admin =
        |value: &str| format!(r#""admin": {{"bind": "127.0.0.1:8181", "token": {value}}}"#);
    let of_headers = |value: &str| format!(r#""health": {{"headers": {value}}}"#);
    let cases = [
        of_admin(r#""s3cret""#),
        of_admin(r#""s3cret with a space""#),
        of_admin(r#"["s3cret"]"#),
        r#""admin": "s3cret""#.to_owned(),
        r#""admin": ["s3cret"]"#.to_owned(),
        of_headers(r#"{"authorization": "Bearer s3cret\u0001"}"#),
        of_headers(r#"{"authorization": ["s3cret"]}"#),
        of_headers(r#""authorization: s3cret""#),
    ];
    for fields in cases {
        let error = refusal(&with(&fields));
        assert!(!error.contains("s3cret"), "{error}");
        assert!(error.contains(" is (not shown); "), "{error}");
    }
}

#[test]
fn a_token_that_is_not_found_is_the_one_error() {
    let cases = [
        (
            r#""token_env": "DTR_LB_NO_SUCH_VARIABLE""#,
            "lb.json: admin.token_env: the environment has no variable",
        ),
        (
            r#""token_file": "none/such""#,
            "lb.json: admin.token_file: the token",
        ),
    ];
    for (field, expected) in cases {
        let admin = format!(r#""admin": {{"bind": "127.0.0.1:8181", "protect": "all", {field}}}"#);
        let error = refusal(&with(&admin));
        let is_one = error.lines().count() == 1;
        assert!(is_one && error.starts_with(expected), "{error}");
    }
}
