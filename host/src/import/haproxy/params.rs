//! What is said of a server behind its address, and by `default-server`.

use std::time::Duration;

use super::keyword::{self, Keyword};
use super::ledger::Ledger;
use super::line::Line;
use super::server_keywords::{self, KEYWORDS};
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::proxy_protocol::ProxyProtocol;

/// Later lines replace what earlier ones said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params {
    pub(super) weight: Option<u64>,
    pub(super) backup: bool,
    pub(super) max_connections: Option<u64>,
    pub(super) slow_start: Option<Duration>,
    pub(super) closes_on_down: bool,
    pub(super) check: CheckParams,
    pub(super) disabled: bool,
    /// Whether connections to the server are encrypted by the balancer.
    pub(super) encrypts: bool,
    /// In which version it is sent a PROXY header.
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    /// Whether the server is asked on another address than it serves on.
    pub(super) other_address: bool,
}

/// How the server is probed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CheckParams {
    pub(super) is_on: bool,
    pub(super) tls: bool,
    pub(super) interval: Option<Duration>,
    pub(super) fast_interval: Option<Duration>,
    pub(super) down_interval: Option<Duration>,
    pub(super) rise: Option<u64>,
    pub(super) fall: Option<u64>,
    pub(super) port: Option<u16>,
    pub(super) verify: Option<Verification>,
    pub(super) ca_file: Option<String>,
}

/// What `verify` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    None,
    Required,
}

impl Params {
    /// Takes in the keywords of a line, from a word on, and gives those that the
    /// configuration can say.
    ///
    /// # Errors
    /// A value can't be read.
    pub(super) fn apply<'l>(
        &mut self,
        source: &Source<'_>,
        line: &'l Line,
        from: usize,
        ledger: &mut Ledger,
    ) -> Result<Vec<&'l str>, ImportError> {
        let mut taken = Vec::new();
        for keyword in keyword::keywords(line, from, &KEYWORDS) {
            let name = keyword.name;
            if self.takes(source, line, &keyword)? {
                taken.push(name);
                if let Some(why) = server_keywords::reason_in_part(name) {
                    ledger.left(line, name, why);
                }
                continue;
            }
            ledger.left(line, name, server_keywords::reason(&keyword));
        }
        Ok(taken)
    }

    /// Whether the keyword is one that the configuration can say.
    fn takes(
        &mut self,
        source: &Source<'_>,
        line: &Line,
        keyword: &Keyword<'_>,
    ) -> Result<bool, ImportError> {
        let value = keyword.index + 1;
        let text = || source.value(line, value, "a value");
        let count = |range| source.number(line, value, range);
        let time = || source.time(line, value);
        match keyword.name {
            "weight" => self.weight = Some(count((0, 256))?),
            "backup" => self.backup = true,
            "no-backup" => self.backup = false,
            "maxconn" => self.max_connections = Some(count((0, u64::MAX))?),
            "disabled" => self.disabled = true,
            "enabled" => self.disabled = false,
            "slowstart" => self.slow_start = Some(time()?).filter(|time| !time.is_zero()),
            "on-marked-down" => self.closes_on_down = text()? == "shutdown-sessions",
            "ssl" => self.encrypts = true,
            "no-ssl" => self.encrypts = false,
            "send-proxy" => self.proxy_protocol = Some(ProxyProtocol::V1),
            // The latter two are version 2 with more in it.
            "send-proxy-v2" | "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" => {
                self.proxy_protocol = Some(ProxyProtocol::V2);
            }
            "no-send-proxy"
            | "no-send-proxy-v2"
            | "no-send-proxy-v2-ssl"
            | "no-send-proxy-v2-ssl-cn" => self.proxy_protocol = None,
            "addr" => self.other_address = true,
            "check" => self.check.is_on = true,
            "no-check" => self.check.is_on = false,
            "check-ssl" => self.check.tls = true,
            "no-check-ssl" => self.check.tls = false,
            "inter" => self.check.interval = Some(time()?),
            "fastinter" => self.check.fast_interval = Some(time()?),
            "downinter" => self.check.down_interval = Some(time()?),
            "rise" => self.check.rise = Some(count((1, u64::MAX))?),
            "fall" => self.check.fall = Some(count((1, u64::MAX))?),
            "port" => self.check.port = u16::try_from(count((1, 65535))?).ok(),
            "verify" => {
                self.check.verify = Some(match text()? {
                    "none" => Verification::None,
                    "required" => Verification::Required,
                    other => {
                        let problem =
                            format!("{other:?} is no way to verify; expected none or required");
                        return Err(source.wrong(line, value, problem));
                    }
                });
            }
            "ca-file" => self.check.ca_file = Some(source.path(line, value)?.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What differs between servers and is one thing for all replicas here.
pub(super) fn note_differences(lines: &[&Line], params: &[&Params], ledger: &mut Ledger) {
    let Some(first) = params.iter().find(|params| params.check.is_on) else {
        return;
    };
    for (line, params) in lines.iter().zip(params) {
        if !params.check.is_on {
            let text = "HAProxy did not ask this server how it is; here each replica is probed";
            ledger.advice(line, text);
        } else if params.check != first.check {
            let why = "differs from the first server's, which is taken for all replicas";
            ledger.left(line, "check", why);
        }
    }
}
