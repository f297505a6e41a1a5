use std::path::Path;

use super::*;

#[test]
fn a_ca_file_is_looked_for_beside_the_configuration_and_must_hold_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), "no certificate").unwrap();
    let file = folder.path().join("lb.json");
    std::fs::write(&file, with(r#""health": {"verify": "ca.pem"}"#)).unwrap();

    let message = Config::load(&file).unwrap_err().to_string();
    assert!(
        message.contains("it holds no certificate; correct it"),
        "{message}"
    );

    let key = rcgen::generate_simple_self_signed(["dtr.example.com".to_owned()]).unwrap();
    std::fs::write(folder.path().join("ca.pem"), key.cert.pem()).unwrap();
    let config = Config::load(&file).unwrap();
    let verify = Verify::CaFile(folder.path().join("ca.pem"));
    assert_eq!(config.checks[0].tls, Some(verify));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let message = Config::load(Path::new("/no/such/lb.json"))
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("/no/such/lb.json: the configuration can't be read"),
        "{message}"
    );
}

#[test]
fn a_file_that_is_no_configuration_is_refused_before_it_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lb.json");
    let endless = std::fs::File::create(&path).unwrap();
    endless.set_len(1 << 40).unwrap();
    let message = Config::load(&path).unwrap_err().to_string();
    assert!(
        message.ends_with("longer than 16 MiB; is this the configuration?"),
        "{message}"
    );
    std::fs::write(&path, b"{ \"fqdn\": \"\xff").unwrap();
    let message = Config::load(&path).unwrap_err().to_string();
    assert!(
        message.ends_with("not UTF-8 at byte 11; save it as UTF-8"),
        "{message}"
    );
}
