//! A second look at a port whose answer leaves open what is wrong there.

use dtr_lb_filter::compare::Certificate;
use dtr_lb_filter::config::CheckKind;
use dtr_lb_filter::health::probe_failure::ProbeFailure;
use dtr_lb_filter::health::reason::Reason;
use tokio::time::timeout;

use super::answer::Answer;
use super::question::{Question, Request, get};
use super::targets::{Targets, Through};
use crate::upstream::certificate::{self, Signer};
use crate::upstream::connect::{Purpose, connect};

/// What a second look found.
#[derive(Clone, Debug, Default)]
pub(super) enum CrossCheck {
    /// Nothing, or nobody looked.
    #[default]
    Nothing,
    /// The certificate that was refused.
    Refused(Certificate, Signer),
    /// The port speaks TLS, with this certificate if it can be read.
    SpeaksTls(Option<Certificate>),
    /// The port speaks HTTP in the clear.
    SpeaksHttp,
}

impl CrossCheck {
    /// Looks again where a check's failure leaves open what is there.
    pub(super) async fn of(
        failure: &ProbeFailure,
        status: Option<u16>,
        question: &Question,
        targets: &Targets,
    ) -> CrossCheck {
        let Request::Http(CheckKind::Http { scheme, .. }) = &question.request else {
            return CrossCheck::Nothing;
        };
        let was_clear = scheme == "http";
        match failure.reason {
            // The handshake that failed shows no certificate: it is made once more, and
            // this time trusts anybody, since nothing is sent over it.
            Reason::Certificate => match handshake(question, targets).await {
                Some(Some((certificate, signer))) => CrossCheck::Refused(certificate, signer),
                _ => CrossCheck::Nothing,
            },
            Reason::Tls => match is_http(question, targets).await {
                true => CrossCheck::SpeaksHttp,
                false => CrossCheck::Nothing,
            },
            // TLS servers answer a request in the clear with an alert, nothing, or 400.
            Reason::NotHttp | Reason::Reset | Reason::Status
                if was_clear && status.is_none_or(|status| status == 400) =>
            {
                match handshake(question, targets).await {
                    Some(read) => CrossCheck::SpeaksTls(read.map(|(certificate, _)| certificate)),
                    None => CrossCheck::Nothing,
                }
            }
            _ => CrossCheck::Nothing,
        }
    }

    /// What certificate it saw.
    pub(super) fn certificate(&self) -> Option<&Certificate> {
        match self {
            CrossCheck::Refused(certificate, _) => Some(certificate),
            CrossCheck::SpeaksTls(certificate) => certificate.as_ref(),
            CrossCheck::Nothing | CrossCheck::SpeaksHttp => None,
        }
    }
}

/// Makes a TLS handshake with any server, and closes. `None`: no TLS there; `Some(None)`: a
/// certificate that can't be read.
pub(super) async fn handshake(
    question: &Question,
    targets: &Targets,
) -> Option<Option<(Certificate, Signer)>> {
    let to = targets.endpoint(question.place, question.port, &Through::AnyTls)?;
    let connecting = timeout(targets.limit, connect(to, &targets.fqdn, Purpose::Any));
    let connected = connecting.await.ok()?.ok()?;
    Some(certificate::read(&connected.certificate?))
}

/// Whether a request in the clear gets an answer there.
async fn is_http(question: &Question, targets: &Targets) -> bool {
    let to = targets.endpoint(question.place, question.port, &Through::Clear);
    match to {
        Some(to) => {
            let answer = Answer::to(&get("http", "/"), &targets.fqdn, to, targets.limit).await;
            answer.status().is_some()
        }
        None => false,
    }
}
