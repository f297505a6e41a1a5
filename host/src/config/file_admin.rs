//! What a file says of the admin listener, whatever else is wrong in it.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::address::Bind;
use super::admin::{Admin, AdminSpec};
use super::admin_contact::AdminContact;
use super::config_file::{ConfigFile, Form, form, load, parse, read_text};
use super::error::ConfigErrors;
use super::json;
use super::problems::Problems;
use crate::transport::Transport;

/// The admin listener of a balancer, as its file has it. Who asks a running balancer needs
/// no more of the file, and is not kept from it by an error elsewhere: the balancer serves
/// on with the file as it was before.
///
/// ```
/// use dtr_lb::config::{FileAdmin, Needed, Serves};
///
/// let text = r#"{ "replicas": "not yet", "admin": { "bind": "127.0.0.1:8181" } }"#;
/// let file = FileAdmin::parse(text, "lb.json", Needed::Access)?;
/// assert_eq!(file.serves, Serves::Replicas);
/// assert_eq!(file.admin.map(|admin| admin.bind.port()), Some(8181));
/// # Ok::<(), dtr_lb::config::ConfigErrors>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FileAdmin {
    /// `None`: nobody can be asked.
    pub admin: Option<AdminContact>,
    /// What the balancer leads its clients to.
    pub serves: Serves,
}

/// What has to be known of the admin listener, and so what is read of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Where it is, to ask how the balancer is. With no secret to be sent it does not matter
    /// who answers: no certificate is read, which may be another by now, and no token.
    Place,
    /// The token too, and so to whom it may be sent.
    Access,
}

/// What a balancer leads its clients to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// The replicas of one or several registries.
    Replicas,
    /// The clusters of a chain of filters, which knows no replicas.
    Chain,
}

impl FileAdmin {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The file can't be read, or [`FileAdmin::parse`] refuses it.
    pub fn load(path: &Path, needed: Needed) -> Result<FileAdmin, ConfigErrors> {
        let (text, name) = load(path)?;
        FileAdmin::parse(&text, &name, needed)
    }

    /// Reads what `input` contains. `name` is for messages.
    ///
    /// # Errors
    /// It can't be read, or [`FileAdmin::parse`] refuses it.
    pub fn read(input: impl Read, name: &str, needed: Needed) -> Result<FileAdmin, ConfigErrors> {
        let text = read_text(input, name)?;
        FileAdmin::parse(&text, name, needed)
    }

    /// Reads the text of a file; `file_name` as in [`ConfigFile::parse`].
    ///
    /// # Errors
    /// The text is no JSON object, or what is wrong with what is read of its `admin`.
    pub fn parse(text: &str, file_name: &str, needed: Needed) -> Result<FileAdmin, ConfigErrors> {
        parse(text, file_name, |mut problems| {
            let serves = match form(problems.root()) {
                Form::Chain => Serves::Chain,
                Form::Balancer | Form::Services => Serves::Replicas,
            };
            let admin = match needed {
                Needed::Place => only_place(&mut problems),
                Needed::Access => only_admin(&mut problems),
            };
            let (admin, _) = problems.finish(admin)?;
            Ok(FileAdmin { admin, serves })
        })
    }

    /// That of a file in which nothing is wrong.
    #[must_use]
    pub fn of(file: &ConfigFile) -> FileAdmin {
        let (admin, serves) = match file {
            ConfigFile::Chain(chain) => (chain.admin.as_ref(), Serves::Chain),
            file => {
                let first = file.registries().first();
                (first.and_then(|one| one.admin.as_ref()), Serves::Replicas)
            }
        };
        FileAdmin {
            admin: admin.map(Admin::contact),
            serves,
        }
    }
}

/// The one field that matters.
#[derive(Deserialize)]
struct OnlyAdmin<A> {
    admin: Option<A>,
}

/// What of it says where the listener is.
#[derive(Deserialize)]
struct OnlyPlace {
    bind: Bind,
    tls: Option<IgnoredAny>,
}

fn only_admin(problems: &mut Problems) -> Option<Option<AdminContact>> {
    let file: OnlyAdmin<AdminSpec> = json::read(problems)?;
    Some(file.admin.map(|admin| admin.read_contact(problems)))
}

fn only_place(problems: &mut Problems) -> Option<Option<AdminContact>> {
    let file: OnlyAdmin<OnlyPlace> = json::read(problems)?;
    Some(file.admin.map(|place| AdminContact {
        bind: place.bind.0,
        transport: match place.tls {
            Some(_) => Transport::TlsWithAnybody,
            None => Transport::Clear,
        },
        token: None,
    }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn the_admin_listener_is_known_whatever_else_is_wrong() {
        use Serves::{Chain, Replicas};
        let cases = [
            (r#"{"admin": {"bind": "127.0.0.1:8181"}}"#, Replicas),
            (
                r#"{"polcy": 1, "admin": {"bind": "127.0.0.1:8181"}, "replicas": {}, "replicas": 1}"#,
                Replicas,
            ),
            (
                r#"{"services": 1, "admin": {"bind": "127.0.0.1:8181"}}"#,
                Replicas,
            ),
            (
                r#"{"clusters": 1, "admin": {"bind": "127.0.0.1:8181"}}"#,
                Chain,
            ),
        ];
        for (text, expected) in cases {
            let file = FileAdmin::parse(text, "lb.json", Needed::Access)
                .map_err(|errors| errors.to_string());
            let found = file.map(|file| (file.admin.map(|one| one.bind.port()), file.serves));
            assert_eq!(found, Ok((Some(8181), expected)), "{text}");
        }
        let without =
            FileAdmin::parse(r#"{"fqdn": 1}"#, "lb.json", Needed::Access).map(|file| file.admin);
        assert_eq!(without.map_err(|errors| errors.to_string()), Ok(None));
    }

    #[test]
    fn what_is_wrong_with_the_admin_listener_is_all_that_is_refused() {
        let cases = [
            (
                r#"{"polcy": 1, "admin": {"bind": "here", "tokn": "s3cret-enough"}}"#,
                vec![
                    "lb.json: admin.bind is \"here\"",
                    "lb.json: unknown field \"tokn\"",
                ],
            ),
            (
                r#"{"polcy": 1, "admin": {"bind": "127.0.0.1:8181", "protect": "all"}}"#,
                vec!["lb.json: admin.protect is \"all\""],
            ),
            (
                r#"{"admin": {"bind": "127.0.0.1:8181"}"#,
                vec!["lb.json: not JSON at line 1"],
            ),
            ("frontend registry\n  bind :443", vec!["lb.json: "]),
        ];
        for (text, expected) in cases {
            let errors = FileAdmin::parse(text, "lb.json", Needed::Access).map_err(|errors| {
                let errors = errors.iter().map(ToString::to_string);
                errors.collect::<Vec<String>>()
            });
            let errors = errors.err().unwrap_or_default();
            let is_so = errors.len() == expected.len()
                && errors
                    .iter()
                    .zip(&expected)
                    .all(|(error, start)| error.starts_with(start));
            assert!(is_so, "{text}: {errors:#?}");
        }
    }

    #[test]
    fn who_asks_for_health_reads_no_certificate_key_or_token() {
        use Transport::{Clear, TlsWithAnybody};
        let cases = [
            (r#""token_file": "none", "protect": "all""#, Clear),
            (r#""tls": null"#, Clear),
            (
                r#""tls": {"certificate": "none", "key": "none"}"#,
                TlsWithAnybody,
            ),
        ];
        for (fields, transport) in cases {
            let text = format!(r#"{{"admin": {{"bind": "127.0.0.1:8181", {fields}}}}}"#);
            let file = FileAdmin::parse(&text, "lb.json", Needed::Place);
            let contact = AdminContact {
                bind: SocketAddr::from(([127, 0, 0, 1], 8181)),
                transport,
                token: None,
            };
            let found = file.map(|file| file.admin);
            let found = found.map_err(|errors| errors.to_string());
            assert_eq!(found, Ok(Some(contact)), "{text}");
        }
    }

    #[test]
    fn who_asks_needs_no_private_key() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("admin.pem");
        let made = rcgen::generate_simple_self_signed(["lb.example.com".to_owned()]).unwrap();
        fs::write(&certificate, made.cert.pem()).unwrap();
        let certificate = certificate.display();
        let tls = format!(r#"{{"certificate": "{certificate}", "key": "none"}}"#);
        let text = format!(r#"{{"admin": {{"bind": "127.0.0.1:8181", "tls": {tls}}}}}"#);
        let file = FileAdmin::parse(&text, "lb.json", Needed::Access);
        let found = file.map(|file| file.admin.map(|admin| admin.transport));
        let found = found.map_err(|errors| errors.to_string());
        let expected = Transport::TlsWith(made.cert.der().clone());
        assert_eq!(found, Ok(Some(expected)));
    }
}
