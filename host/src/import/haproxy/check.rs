//! How the servers of a section are probed.

use std::rc::Rc;
use std::time::Duration;

use super::ledger::Ledger;
use super::line::Line;
use super::params::{CheckParams, Verification};
use super::request;
use super::server::Server;
use super::settings::{CHECK, Settings};
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::found::{At, Check, CheckKind, Verify};
use crate::import::written;

/// What of `global` counts for checks.
#[derive(Debug, Default)]
pub(super) struct CheckDefaults {
    /// Where relative paths of authorities' files start.
    pub(super) ca_base: Option<String>,
    /// `ssl-server-verify none`.
    pub(super) believes_any: Option<Rc<Line>>,
}

/// A check, and the name that it calls the registry.
#[derive(Debug, Default)]
pub(super) struct Probed {
    pub(super) check: Option<At<Check>>,
    pub(super) host: Option<At<String>>,
}

/// Reads what the servers of a section are asked, and how often.
///
/// # Errors
/// A value can't be read, or servers are asked elsewhere than they serve.
pub(super) fn check(
    source: &Source<'_>,
    (settings, servers): (&Settings, &[Server<'_>]),
    defaults: &CheckDefaults,
    ledger: &mut Ledger,
) -> Result<Probed, ImportError> {
    let option = settings.line(CHECK);
    let on = servers.iter().find(|server| server.params.check.is_on);
    let asks_http = option.is_some_and(|line| line.text(1) == "httpchk");
    let Some(server) = on.or(servers.first().filter(|_| asks_http)) else {
        return Ok(Probed::default());
    };
    if let (None, Some(option)) = (on, option) {
        let text = "no server here has \"check\", so that HAProxy asked none of them; each replica is \
                    probed now";
        ledger.advice(option, text);
    }
    if let Some(server) = servers.iter().find(|server| server.params.other_address) {
        let problem = "addr: probes go where connections go; probe the server's own address";
        return Err(source.wrong(server.line, 0, problem));
    }
    let params = &server.params.check;
    let line = option.map_or(server.line, |line| line);
    let connect = connect(source, settings, asks_http, ledger)?;
    let tls = (params.tls || connect.tls).then(|| verify(params, defaults, ledger));
    let (kind, host) = match option {
        Some(option) if asks_http => {
            let request = request::request(source, option, settings, ledger)?;
            let kind = CheckKind::Http {
                tls,
                path: request.path,
                statuses: request.statuses,
                headers: request.headers,
            };
            (kind, request.host)
        }
        _ => {
            note_connecting(option, server.line, ledger);
            (CheckKind::Tcp, None)
        }
    };
    let timeout = settings.time(source, "timeout check")?;
    if let Some((timeout, line)) = &timeout {
        let text = format!(
            "timeout check: {}, into \"health\"",
            written::time(timeout.value)
        );
        ledger.taken(line, text);
    }
    let interval = params.interval;
    let check = Check {
        kind,
        port: connect.port.or(params.port),
        interval,
        fast_interval: params.fast_interval,
        down_interval: params.down_interval,
        // HAProxy waits for an answer until it would ask again.
        timeout: timeout
            .map(|(timeout, _)| timeout.value)
            .or(interval.filter(|interval| *interval > DEFAULT_TIMEOUT)),
        rise: params.rise,
        fall: params.fall,
    };
    let place = line.place.clone();
    Ok(Probed {
        check: Some(At {
            value: check,
            place,
        }),
        host,
    })
}

#[derive(Default)]
struct Connect {
    tls: bool,
    port: Option<u16>,
}

/// `http-check connect [ssl] [port N] [sni NAME] ...`
fn connect(
    source: &Source<'_>,
    settings: &Settings,
    asks_http: bool,
    ledger: &mut Ledger,
) -> Result<Connect, ImportError> {
    let mut connect = Connect::default();
    let line = settings.line("http-check connect").filter(|_| asks_http);
    let Some(line) = line else {
        return Ok(connect);
    };
    ledger.taken(
        line,
        "http-check connect: into the \"target\" of \"health\"",
    );
    let mut index = 2;
    while let Some(word) = line.words.get(index) {
        index += match word.text.as_str() {
            "ssl" => {
                connect.tls = true;
                1
            }
            "port" => {
                let port = source.number(line, index + 1, (1, 65535))?;
                connect.port = u16::try_from(port).ok();
                2
            }
            "default" | "linger" => 1,
            "comment" => 2,
            "sni" => {
                ledger.left(line, "sni", "probes ask for the registry's name (\"fqdn\")");
                2
            }
            "addr" => {
                let problem =
                    "addr: probes go where connections go; probe the server's own address";
                return Err(source.wrong(line, index, problem));
            }
            other @ ("send-proxy" | "via-socks4") => {
                ledger.left(line, other, "not had");
                1
            }
            other => {
                ledger.left(line, other, "not had");
                2
            }
        };
    }
    Ok(connect)
}

/// How a certificate is verified that a probe is shown.
fn verify(params: &CheckParams, defaults: &CheckDefaults, ledger: &mut Ledger) -> Verify {
    let believes_any = match params.verify {
        Some(verify) => verify == Verification::None,
        None => defaults.believes_any.is_some() && params.ca_file.is_none(),
    };
    if let (None, true, Some(line)) = (params.verify, believes_any, &defaults.believes_any) {
        ledger.taken(line, "ssl-server-verify none: \"verify\" is none");
    }
    let file = params.ca_file.as_deref();
    match (believes_any, file, &defaults.ca_base) {
        (true, ..) => Verify::None,
        (false, None | Some("@system-ca"), _) => Verify::System,
        (false, Some(file), Some(base)) if !file.starts_with('/') => {
            Verify::CaFile(format!("{}/{file}", base.trim_end_matches('/')))
        }
        (false, Some(file), _) => Verify::CaFile(file.to_owned()),
    }
}

/// A check that only opens a connection, or speaks another protocol.
fn note_connecting(option: Option<&Rc<Line>>, server: &Line, ledger: &mut Ledger) {
    let line = option.map_or(server, |line| line);
    if let Some(option) = option {
        let kind = option.text(1);
        let text = match kind {
            "tcp-check" => "option tcp-check: \"health\" opens a connection".to_owned(),
            _ => format!(
                "option {kind}: \"health\" opens a connection, which is the nearest; that protocol is not \
                 spoken"
            ),
        };
        ledger.taken(option, text);
    }
    ledger.advice(
        line,
        "whether a replica accepts connections says little of a registry: have it asked, such as with \
         \"health\": {\"target\": \"https:443/_ping\"}",
    );
}

/// Our own; HAProxy has none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
