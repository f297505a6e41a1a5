//! The admin listener.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dtr_lb_filter::config::{self as filter, Protect};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Bind;
use super::admin_contact::AdminContact;
use super::problems::Problems;
use super::string::Token;
use super::text::{PATH, Text};
use super::verify::{read_certificates, read_pem};
use super::warnings;
use super::words::Words;
use crate::secret_file::{exposure, read_regular};
use crate::transport::Transport;

/// The admin listener as the operator writes it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Admin")]
pub(super) struct AdminSpec {
    /// Where `/status`, `/_ping`, `/metrics` and `/ready` are served.
    pub(super) bind: Bind,
    /// The token every change needs; without one changes are taken on loopback only [default:
    /// none].
    token: Option<Token>,
    /// The file whose only line is the token; of `token`, `token_file` and `token_env` one at
    /// most [default: none].
    #[schemars(title = PATH)]
    token_file: Option<String>,
    /// The environment variable that holds the token [default: none].
    #[schemars(title = "the name of a variable")]
    token_env: Option<String>,
    /// What needs the token: changes, or all but `/_ping` and `/ready` [default: `changes`].
    #[schemars(with = "Option<Words<Protect>>")]
    protect: Option<Protect>,
    /// The certificate that clients are shown; they speak HTTPS then [default: none, clients
    /// speak in the clear].
    tls: Option<AdminTlsSpec>,
}

/// The certificate of the admin listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AdminTls")]
struct AdminTlsSpec {
    /// A PEM file of the certificate and what leads to its authority; read again with the
    /// configuration.
    #[schemars(title = PATH)]
    certificate: String,
    /// A PEM file of its private key; read again with it.
    #[schemars(title = PATH)]
    key: String,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Port 0 means any free port.
    pub bind: SocketAddr,
    /// The token every change needs; `None`: changes need a loopback listener.
    pub token: Option<String>,
    /// What needs the token.
    pub protect: Protect,
    /// What clients are shown; `None`: they speak in the clear.
    pub tls: Option<AdminTls>,
}

impl Admin {
    /// The same for who asks it.
    pub(super) fn contact(&self) -> AdminContact {
        let leaf = self.tls.as_ref().and_then(AdminTls::leaf);
        AdminContact {
            bind: self.bind,
            transport: Transport::of(leaf.cloned()),
            token: self.token.clone(),
        }
    }

    /// Who may see and change what there.
    pub(crate) fn access(&self) -> filter::Admin {
        filter::Admin {
            token: self.token.clone(),
            loopback: self.bind.ip().is_loopback(),
            protect: self.protect,
        }
    }
}

impl AdminSpec {
    /// Checks it, and reads what it names.
    pub(super) fn read(&self, problems: &mut Problems) -> Admin {
        Admin {
            bind: self.bind.0,
            token: self.read_token(problems),
            protect: self.protect.unwrap_or_default(),
            tls: self.tls.as_ref().and_then(|tls| tls.read(problems)),
        }
    }

    /// The same for who asks it, which needs no private key.
    pub(super) fn read_contact(&self, problems: &mut Problems) -> AdminContact {
        let chain = self.tls.as_ref().and_then(|tls| tls.read_chain(problems));
        let leaf = chain.and_then(|chain| chain.into_iter().next());
        AdminContact {
            bind: self.bind.0,
            transport: Transport::of(leaf),
            token: self.read_token(problems),
        }
    }

    /// Checks that one is given where everything needs it.
    fn read_token(&self, problems: &mut Problems) -> Option<String> {
        let is_given =
            self.token.is_some() || self.token_file.is_some() || self.token_env.is_some();
        let protect = self.protect.unwrap_or_default();
        if protect == Protect::All && !is_given && !problems.is_refused_in_part("admin") {
            let problem = "nobody could see anything, since there is no token; give a \"token\", \
                           a \"token_file\" or a \"token_env\"";
            problems.refuse("admin.protect", "all", problem);
        }
        self.find_token(problems)
    }

    fn find_token(&self, problems: &mut Problems) -> Option<String> {
        let given = [
            ("admin.token", self.token.is_some()),
            ("admin.token_file", self.token_file.is_some()),
            ("admin.token_env", self.token_env.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, is_given)| *is_given);
        if let (Some((first, _)), Some((second, _))) = (given.next(), given.next()) {
            let problem = format!("there is {first} already; give one of the two");
            problems.refuse_field(second, problem);
            return None;
        }
        if let Some(token) = &self.token {
            warnings::of_readable_token(problems);
            return Some(token.0.clone());
        }
        let (field, found) = match (&self.token_file, &self.token_env) {
            (Some(file), _) => {
                let field = "admin.token_file";
                let path = problems.source().folder().join(file);
                if let Some(problem) = exposure(&path) {
                    problems.warn(field, file.as_str(), problem);
                }
                (field, read_regular("token", &path))
            }
            (None, Some(variable)) => ("admin.token_env", of_environment(variable)),
            (None, None) => return None,
        };
        let token = found.and_then(|found| {
            let token = Token::read(&found).map(|token| token.0);
            // Not shown: it may be a secret all the same.
            token.ok_or_else(|| {
                "what it holds is no token of 8 to 512 visible ASCII characters without spaces"
                    .to_owned()
            })
        });
        token
            .map_err(|problem| problems.refuse_field(field, problem))
            .ok()
    }
}

fn of_environment(variable: &str) -> Result<String, String> {
    // A name that can't be one has no value either.
    std::env::var_os(variable)
        .and_then(|value| value.into_string().ok())
        .ok_or_else(|| format!("the environment has no variable {variable:?} of text; set it"))
}

/// A certificate with its key, read and found to belong together.
#[derive(Clone, PartialEq)]
pub struct AdminTls {
    /// Where the certificate is.
    pub certificate: PathBuf,
    /// Where its private key is.
    pub key: PathBuf,
    /// The certificate first.
    chain: Vec<CertificateDer<'static>>,
    key_der: Arc<PrivateKeyDer<'static>>,
}

impl AdminTls {
    /// The certificate itself, DER.
    fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.chain.first()
    }

    /// # Errors
    /// The two do not belong together, or can't be used.
    pub(crate) fn server_config(&self) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key_der.clone_key())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl fmt::Debug for AdminTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminTls")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl AdminTlsSpec {
    fn read(&self, problems: &mut Problems) -> Option<AdminTls> {
        let folder = problems.source().folder();
        let (certificate, key) = (folder.join(&self.certificate), folder.join(&self.key));
        let chain = self.read_chain(problems);
        let key_der = read_key(&key).map_err(|reason| {
            let problem = format!("as a private key (PEM) it {reason}; correct it");
            problems.refuse("admin.tls.key", self.key.as_str(), problem);
        });
        if key_der.is_ok()
            && let Some(problem) = exposure(&key)
        {
            problems.warn("admin.tls.key", self.key.as_str(), problem);
        }
        let tls = AdminTls {
            certificate,
            key,
            chain: chain?,
            key_der: Arc::new(key_der.ok()?),
        };
        match tls.server_config() {
            Ok(_) => Some(tls),
            Err(error) => {
                let problem = format!(
                    "certificate and key can't be used together: {error}; give the key of that certificate"
                );
                problems.refuse_field("admin.tls", problem);
                None
            }
        }
    }

    fn read_chain(&self, problems: &mut Problems) -> Option<Vec<CertificateDer<'static>>> {
        let certificate = problems.source().folder().join(&self.certificate);
        let chain = read_certificates(&certificate);
        chain
            .map_err(|reason| {
                let problem = format!("as a certificate (PEM) it {reason}; correct it");
                problems.refuse("admin.tls.certificate", self.certificate.as_str(), problem);
            })
            .ok()
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read_pem(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => "holds no private key".to_owned(),
        error => format!("can't be decoded ({error})"),
    })
}
