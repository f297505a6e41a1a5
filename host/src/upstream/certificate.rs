//! What a server's certificate says.
//!
//! It is the other end's own text, and nobody has vouched for it yet: what can't be read
//! is no certificate, and what can is made fit to be shown.

use std::fmt::Write as _;
use std::net::IpAddr;

use dtr_lb_filter::compare::Certificate;
use dtr_lb_filter::printable::printable;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use crate::sha256::sha256;

/// Whose signature a certificate carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signer {
    /// Its own: issuer and subject are the same.
    Itself,
    /// Another's.
    Authority,
}

/// Reads a certificate in DER form; `None`: it can't be read.
pub(crate) fn read(der: &[u8]) -> Option<(Certificate, Signer)> {
    let read = x509_cert::Certificate::from_der(der).ok()?;
    let contents = read.tbs_certificate();
    let names = match contents.get_extension::<SubjectAltName>().ok()? {
        Some((_, names)) => names.0.iter().filter_map(shown).collect(),
        None => Vec::new(),
    };
    let not_after = contents.validity().not_after.to_unix_duration().as_secs();
    let signer = match contents.issuer() == contents.subject() {
        true => Signer::Itself,
        false => Signer::Authority,
    };
    let certificate = Certificate {
        sha256: sha256(der),
        issuer: in_words(contents.issuer())?,
        names,
        not_after: i64::try_from(not_after).unwrap_or(i64::MAX),
    };
    Some((certificate, signer))
}

/// A name that clients may use.
fn shown(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(printable(name.as_str())),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
            v4.or_else(|_| v6()).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// As RFC 4514 writes it, such as `CN=DTR CA,O=Example`.
fn in_words(name: &Name) -> Option<String> {
    let mut text = String::new();
    // `to_string` would panic where a value can't be written.
    write!(text, "{name}").ok()?;
    Some(printable(&text))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
    };

    use super::*;

    fn params(names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(2030, 1, 1);
        params
    }

    fn authority(name: &str) -> Issuer<'static, KeyPair> {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Issuer::new(params, KeyPair::generate().unwrap())
    }

    #[test]
    fn issuer_names_and_end_are_read() {
        let key = KeyPair::generate().unwrap();
        let mut params = params(&["dtr.example.com", "*.example.com", "10.0.0.1", "::1"]);
        let mail = "a@example.com".try_into().unwrap();
        params.subject_alt_names.push(SanType::Rfc822Name(mail));
        let made = params.signed_by(&key, &authority("Größe, CA\n")).unwrap();
        let (read, signer) = read(made.der()).unwrap();
        assert_eq!(signer, Signer::Authority);
        assert_eq!(read.issuer, r"CN=Größe\, CA\0a");
        assert_eq!(
            read.names,
            ["dtr.example.com", "*.example.com", "10.0.0.1", "::1"],
            "a mail address is no name of a server"
        );
        assert_eq!(read.not_after, 1_893_456_000);
        assert_eq!(read.sha256.len(), 64, "{}", read.sha256);
    }

    #[test]
    fn one_that_signed_itself_is_known() {
        let made = rcgen::generate_simple_self_signed(vec!["dtr.example.com".to_owned()]).unwrap();
        let (_, signer) = read(made.cert.der()).unwrap();
        assert_eq!(signer, Signer::Itself);
    }

    #[test]
    fn hostile_bytes_are_no_certificate_and_no_panic() {
        let key = KeyPair::generate().unwrap();
        let made = params(&["dtr.example.com"]).self_signed(&key).unwrap();
        let der = made.der().as_ref();
        for length in 0..der.len() {
            assert!(read(&der[..length]).is_none(), "its first {length} bytes");
        }
        let mut unreadable = 0;
        for at in 0..der.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = der.to_vec();
                changed[at] ^= flip;
                unreadable += usize::from(read(&changed).is_none());
            }
        }
        assert!(unreadable > 100, "only {unreadable} were refused");
    }
}
