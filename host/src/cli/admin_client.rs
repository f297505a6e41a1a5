//! What a command asks of the admin listener of a running balancer.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args;
use dtr_lb::config::{Needed, Serves};
use dtr_lb::{HttpServer, Transport, exposure, http_request, read_secret};
use dtr_lb_filter::printable::printable;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::admin_address::{AdminAddress, AdminListener, Source};
use super::failure::Failure;
use super::log::Log;

/// Whose admin listener a command asks, and who asks.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    #[command(flatten)]
    address: AdminAddress,
    /// With --admin: a file whose only line is the token that changes need [default: the
    /// variable DTR_LB_ADMIN_TOKEN; of --config its own token].
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    token_file: Option<PathBuf>,
}

/// The admin listener of a running balancer.
pub(super) struct AdminClient {
    server: HttpServer,
    /// What changes carry; marked as sensitive, so that no text has it.
    authorization: Option<HeaderValue>,
    /// Where the token is from, or would be.
    token_source: TokenSource,
    serves: Serves,
}

#[derive(Clone, Copy)]
enum TokenSource {
    Config,
    FileOrVariable,
}

/// An answer that was got.
pub(super) struct Answer {
    status: StatusCode,
    body: String,
    remedy: Option<&'static str>,
}

impl AdminArgs {
    /// The listener, with the token where one is known.
    ///
    /// # Errors
    /// The arguments, the configuration or the token's file are wrong.
    pub(super) fn client(&self, log: &Log) -> Result<AdminClient, Failure> {
        let listener = self.address.resolve(Needed::Access)?;
        let (token, token_source) = match listener.source {
            Source::Config { token } => (token, TokenSource::Config),
            Source::Flag => {
                let given = match &self.token_file {
                    Some(file) => {
                        if let Some(problem) = exposure(file) {
                            let file = file.display();
                            log.print(&format!("warning: --token-file is {file}; {problem}"));
                        }
                        Some(read_secret("token", file).map_err(usage)?)
                    }
                    None => token_of_variable()?,
                };
                (given, TokenSource::FileOrVariable)
            }
        };
        AdminClient::new(listener.server, listener.serves, (token, token_source))
    }
}

impl AdminClient {
    /// The listener of a configuration, with the token that stands there.
    ///
    /// # Errors
    /// The token is none.
    pub(super) fn of(listener: AdminListener) -> Result<AdminClient, Failure> {
        let token = match listener.source {
            Source::Config { token } => token,
            Source::Flag => None,
        };
        AdminClient::new(
            listener.server,
            listener.serves,
            (token, TokenSource::Config),
        )
    }

    fn new(
        server: HttpServer,
        serves: Serves,
        (token, token_source): (Option<String>, TokenSource),
    ) -> Result<AdminClient, Failure> {
        let authorization = token.map(|token| {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            value.map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        let authorization = authorization
            .transpose()
            .map_err(|_| usage("the token has characters that no token may have".to_owned()))?;
        Ok(AdminClient {
            server,
            authorization,
            token_source,
            serves,
        })
    }

    pub(super) fn server(&self) -> &HttpServer {
        &self.server
    }

    /// Goes on only where there are replicas.
    ///
    /// # Errors
    /// It is a chain of filters.
    pub(super) fn needs_replicas(&self) -> Result<(), Failure> {
        match self.serves {
            Serves::Replicas => Ok(()),
            Serves::Chain => Err(Failure::Usage(anyhow!(
                "a chain of filters has no replicas; give the configuration of a balancer"
            ))),
        }
    }

    /// Reads what is at this path.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, anyhow::Error> {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a request, with a body of JSON if there is one, and the token if there is one:
    /// what may be read without it is the balancer's configuration's to say.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, anyhow::Error> {
        let asked = format!("{}{path}", self.server);
        let mut request = Request::builder().method(method).uri(path);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = match body {
            None => Bytes::new(),
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                body.to_string().into()
            }
        };
        let answer = http_request(&self.server, request.body(body)?).await;
        let (status, body) = answer.context(asked)?;
        let remedy = match status {
            StatusCode::UNAUTHORIZED => Some(self.token_remedy()),
            _ => None,
        };
        Ok(Answer {
            status,
            body,
            remedy,
        })
    }

    fn token_remedy(&self) -> &'static str {
        match (self.token_source, &self.authorization) {
            (TokenSource::Config, _) if self.server.transport != Transport::Clear => {
                "the running balancer has another one than the configuration; reload it, so that \
                 it has that of the configuration: systemctl reload dtr-lb, or SIGHUP"
            }
            (TokenSource::Config, _) => {
                "the running balancer has another one than the configuration; give that with \
                 --admin and --token-file"
            }
            (TokenSource::FileOrVariable, None) => {
                "give it with --token-file, in the variable DTR_LB_ADMIN_TOKEN, or with --config"
            }
            (TokenSource::FileOrVariable, Some(_)) => "the one given is wrong",
        }
    }
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The body of what was asked for.
    ///
    /// # Errors
    /// What is answered instead, and what to do.
    pub(super) fn into_body(self) -> Result<String, anyhow::Error> {
        #[derive(Deserialize)]
        struct Problem {
            error: String,
        }
        if self.status == StatusCode::OK {
            return Ok(self.body);
        }
        let problem = match serde_json::from_str::<Problem>(&self.body) {
            Ok(problem) => printable(&problem.error),
            Err(_) => format!("{}: {}", self.status, printable(self.body.trim())),
        };
        Err(match self.remedy {
            Some(remedy) => anyhow!("{problem}; {remedy}"),
            None => anyhow!("{problem}"),
        })
    }
}

/// Waits for what a command asks.
///
/// # Errors
/// The system gives no runtime, or what is awaited fails.
pub(super) fn block_on<T, E: Into<Failure>>(
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(asking).map_err(Into::into)
}

fn token_of_variable() -> Result<Option<String>, Failure> {
    match std::env::var_os(TOKEN_VARIABLE) {
        None => Ok(None),
        Some(token) if token.is_empty() => Ok(None),
        Some(token) => match token.into_string() {
            Ok(token) => Ok(Some(token)),
            Err(_) => Err(usage(format!("{TOKEN_VARIABLE} is not text"))),
        },
    }
}

fn usage(problem: String) -> Failure {
    Failure::Usage(anyhow!(problem))
}

const TOKEN_VARIABLE: &str = "DTR_LB_ADMIN_TOKEN";
