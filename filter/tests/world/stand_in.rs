//! What stands for a replica.

use dtr_lb_filter::health::probe_response::{ProbeResponse, ReplySource};
use dtr_lb_filter::random::Random;

/// What a replica does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Answers as the healthy do.
    Well,
    /// Answers 503 with an `Error`.
    Sick,
    /// Refuses connections.
    Refuse,
    /// Accepts, and never answers a probe.
    Hang,
    /// Passes no packet.
    BlackHole,
}

impl Does {
    /// Whether a connection to it is established.
    pub fn accepts(self) -> bool {
        !matches!(self, Does::Refuse | Does::BlackHole)
    }

    /// Its answer to a probe, after how many milliseconds; `None`: it gets lost.
    pub fn answer(self, random: &mut Random) -> (u64, Option<ProbeResponse>) {
        let made_up = |status, cause: &str| {
            let frame = "upstream connect error or disconnect/reset before headers. reset reason: ";
            Some(ProbeResponse {
                status,
                source: ReplySource::Proxy,
                body: format!("{frame}{cause}").into_bytes(),
            })
        };
        let own = |status, body: &str| {
            Some(ProbeResponse {
                status,
                source: ReplySource::Replica,
                body: body.as_bytes().to_vec(),
            })
        };
        let soon = 1 + random.below(40);
        match self {
            Does::Well => (soon, own(200, r#"{"Error":"","Healthy":true}"#)),
            Does::Sick => (
                soon,
                own(503, r#"{"Error":"garant: no answer","Healthy":false}"#),
            ),
            Does::Refuse => (
                1,
                made_up(
                    503,
                    "remote connection failure, transport failure reason: delayed connect error: Connection refused",
                ),
            ),
            // Now and then an answer gets lost altogether.
            Does::Hang | Does::BlackHole if random.below(8) == 0 => (800, None),
            Does::Hang | Does::BlackHole => (800, made_up(504, "upstream request timeout")),
        }
    }
}
