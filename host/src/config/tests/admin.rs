use std::fs;

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
