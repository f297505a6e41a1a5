//! What can be wrong with a replica that runs.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use anyhow::{Context, bail};

/// What is wrong with a replica. One at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// `/_ping` says 503; clients are served.
    Sick,
    /// `/_ping` is never answered; clients are served.
    HangsPing,
    /// Each answer begins this many milliseconds late.
    Slow(u64),
    /// Every connection is reset when it is accepted, probes too.
    ResetsOnAccept,
    /// Every connection is closed when it is accepted, probes too.
    ClosesOnAccept,
    /// Clients' connections are reset when their request has been read; probes are
    /// answered.
    ResetsRequests,
    /// Clients' connections are closed when their request has been read; probes are
    /// answered.
    ClosesRequests,
    /// Nothing is accepted, and the queue of connections is full: the kernel drops
    /// each SYN.
    FullBacklog,
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Sick => f.write_str("sick"),
            Self::HangsPing => f.write_str("hangs-ping"),
            Self::Slow(ms) => write!(f, "slow {ms}"),
            Self::ResetsOnAccept => f.write_str("resets-on-accept"),
            Self::ClosesOnAccept => f.write_str("closes-on-accept"),
            Self::ResetsRequests => f.write_str("resets-requests"),
            Self::ClosesRequests => f.write_str("closes-requests"),
            Self::FullBacklog => f.write_str("full-backlog"),
        }
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, number) = text.split_once(' ').unwrap_or((text, ""));
        Ok(match name {
            "none" => Self::None,
            "sick" => Self::Sick,
            "hangs-ping" => Self::HangsPing,
            "slow" => Self::Slow(number.parse().context("slow needs milliseconds")?),
            "resets-on-accept" => Self::ResetsOnAccept,
            "closes-on-accept" => Self::ClosesOnAccept,
            "resets-requests" => Self::ResetsRequests,
            "closes-requests" => Self::ClosesRequests,
            "full-backlog" => Self::FullBacklog,
            _ => bail!("no such fault: {text:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn what_is_sent_is_what_is_understood() {
        for fault in [
            Fault::None,
            Fault::Slow(300),
            Fault::FullBacklog,
            Fault::ResetsRequests,
        ] {
            let text = fault.to_string();
            assert_eq!(text.parse::<Fault>().ok(), Some(fault), "{text}");
        }
    }
}
