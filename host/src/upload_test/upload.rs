//! An upload: begun, asked for, deleted.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::{Answer, Client, Request};
use super::login::authorization;
use super::repository::Repository;
use super::trial::Seen;
use crate::cluster_status::Credentials;

/// An upload that was begun. It has no text for debugging: the state of an upload, and what
/// lets its user in, are secrets.
pub(crate) struct Upload {
    /// Where it goes on, state included.
    path: String,
    authorization: Option<String>,
}

impl Upload {
    /// Begins one, logged in as the replica wants it.
    ///
    /// # Errors
    /// Why that can't be; never with the credentials.
    pub(crate) async fn begin(
        client: &Client<'_>,
        repository: &Repository,
        credentials: Option<&Credentials>,
    ) -> Result<Upload, String> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let request = Request {
            method: "POST",
            path: &path,
            authorization: None,
        };
        let mut answer = client.send(request).await?;
        let mut login = None;
        if answer.status == 401 {
            let challenge = answer.challenge.as_deref();
            let challenge = challenge.ok_or("it answers 401 and does not say how to log in")?;
            let given = authorization(client, challenge, (repository, credentials)).await?;
            let request = Request {
                authorization: Some(&given),
                ..request
            };
            answer = client.send(request).await?;
            login = Some(given);
        }
        match answer.status {
            202 => Ok(Upload {
                path: place(&answer)?,
                authorization: login,
            }),
            _ => Err(refused(&answer, repository)),
        }
    }

    /// What a replica knows of it. Where it has no such upload, it is asked again for a
    /// while: storage may lag.
    pub(crate) async fn seen_by(&self, client: &Client<'_>) -> Seen {
        patiently(async || self.is_known_to(client).await).await
    }

    /// Has it deleted at the replica at which it was begun.
    ///
    /// # Errors
    /// Why it may still be there.
    pub(crate) async fn delete(&self, client: &Client<'_>) -> Result<(), String> {
        let answer = client.send(self.request("DELETE")).await?;
        match answer.status {
            200..=299 => Ok(()),
            _ => Err(format!("it answers {}", answer.in_short())),
        }
    }

    async fn is_known_to(&self, client: &Client<'_>) -> Seen {
        let answer = match client.send(self.request("GET")).await {
            Ok(answer) => answer,
            Err(why) => return Seen::Failed(why),
        };
        let code = answer.code();
        match (answer.status, code.as_deref()) {
            (200..=299, _) => Seen::Known(Duration::ZERO),
            (_, Some("BLOB_UPLOAD_INVALID")) => Seen::OtherSecret,
            (404, _) | (_, Some("BLOB_UPLOAD_UNKNOWN")) => Seen::NotStored,
            (401 | 403, _) => Seen::LoginRefused(answer.in_short()),
            _ => Seen::Failed(format!("it answers {}", answer.in_short())),
        }
    }

    fn request(&self, method: &'static str) -> Request<'_> {
        Request {
            method,
            path: &self.path,
            authorization: self.authorization.as_deref(),
        }
    }
}

/// Asks until the upload is known, or for as long as storage may lag.
async fn patiently(ask: impl AsyncFn() -> Seen) -> Seen {
    let began = Instant::now();
    let mut seen = ask().await;
    if seen != Seen::NotStored {
        return seen;
    }
    while seen == Seen::NotStored && began.elapsed() < PATIENCE {
        sleep(PAUSE).await;
        seen = ask().await;
    }
    match seen {
        Seen::Known(_) => Seen::Known(began.elapsed()),
        seen => seen,
    }
}

/// Path and query of where an upload goes on: any replica is asked for it under the same
/// name.
fn place(answer: &Answer) -> Result<String, String> {
    let location = answer.location.as_deref().unwrap_or_default();
    let path = match location.split_once("://") {
        Some((_, rest)) if !location.starts_with('/') => {
            rest.find('/').and_then(|at| rest.get(at..))
        }
        _ => Some(location),
    };
    let path = path.filter(|path| path.starts_with('/') && path.len() <= LONGEST);
    path.map(str::to_owned).ok_or_else(|| {
        "it begins an upload and does not say where it goes on (\"Location\")".to_owned()
    })
}

fn refused(answer: &Answer, repository: &Repository) -> String {
    let short = answer.in_short();
    match answer.status {
        401 => format!("it answers {short}: the user or the password is wrong"),
        403 => format!("it answers {short}: the user may not push to {repository}"),
        404 => format!(
            "it answers {short}: create {repository}, or name a repository that is there; is this a \
             registry?"
        ),
        405 => format!(
            "it answers {short}: it takes no uploads; it is a cache of another registry, or read-only"
        ),
        300..=399 => format!("it answers {short}, a redirect, which is not followed"),
        _ => format!("it answers {short}; look into its own log"),
    }
}

/// How long an upload may stay unknown.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);
/// Of a location, in bytes.
const LONGEST: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_long_is_no_storage_that_lags() {
        let at_once = Seen::Known(Duration::ZERO);
        let after = |pauses| Seen::Known(SLOW * (pauses + 1) + PAUSE * pauses);
        let cases = [
            (vec![at_once.clone()], at_once.clone()),
            (vec![at_once.clone(), Seen::NotStored], after(1)),
            (vec![Seen::OtherSecret, Seen::NotStored], Seen::OtherSecret),
            (vec![Seen::NotStored; 20], Seen::NotStored),
        ];
        for (answers, expected) in cases {
            let answers = RefCell::new(answers);
            let ask = async || {
                sleep(SLOW).await;
                answers.borrow_mut().pop().unwrap_or(Seen::OtherSecret)
            };
            assert_eq!(patiently(ask).await, expected);
        }
    }

    #[test]
    fn an_upload_goes_on_under_the_path_of_its_location() {
        let cases = [
            (
                "https://dtr.example.com/v2/a/uploads/1?_state=x",
                Some("/v2/a/uploads/1?_state=x"),
            ),
            ("http://10.0.0.1:5000/v2/a", Some("/v2/a")),
            ("/v2/a?b=c://d/e", Some("/v2/a?b=c://d/e")),
            ("https://dtr.example.com", None),
            ("uploads/1", None),
            ("", None),
        ];
        for (location, expected) in cases {
            let answer = Answer {
                status: 202,
                location: Some(location.to_owned()),
                challenge: None,
                body: Vec::new(),
            };
            assert_eq!(place(&answer).ok().as_deref(), expected, "{location}");
        }
    }

    /// Longer than between two questions.
    const SLOW: Duration = Duration::from_millis(500);
}
