//! The sessions that a process keeps whose place another has taken. The other asks for
//! them over the channel of the takeover, as it asks its own workers, until they are over.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use crate::control::all_sessions::{AllSessions, Question};
use crate::takeover::channel::Channel;
use crate::takeover::error::TakeoverError;
use crate::takeover::message::{FromPredecessor, FromSuccessor};

/// Passes questions on to the process whose place this one has taken, until it has no
/// sessions left. While it owes an answer it is asked nothing more: the next one that comes
/// is the late one, and is nobody's.
///
/// # Errors
/// It answers something else, as one of an earlier version does.
pub(super) async fn ask(
    channel: &Channel,
    process: &str,
    mut questions: UnboundedReceiver<Question>,
) -> Result<(), TakeoverError> {
    // Kept from one question to the next: half an answer may have come.
    let mut receiving = pin!(channel.receive::<FromPredecessor>());
    let mut owes_answer = false;
    loop {
        let question = tokio::select! {
            question = questions.recv() => question,
            late = &mut receiving => match late {
                Ok(_) => {
                    receiving.set(channel.receive());
                    owes_answer = false;
                    continue;
                }
                Err(error) => return unless_closed(error),
            },
        };
        let Some(question) = question else {
            return Ok(());
        };
        if owes_answer {
            // Dropped, it is answered: there are none.
            continue;
        }
        let (message, limit) = message_of(&question);
        // One that has ended is noticed below.
        let _ = channel.send(&message, &[]).await;
        match timeout(limit, &mut receiving).await {
            Ok(Ok((answer, _))) => {
                receiving.set(channel.receive());
                pass_back(question, answer)?;
            }
            Ok(Err(error)) => return unless_closed(error),
            Err(_) => {
                owes_answer = true;
                warn!(
                    "process{process} has not said within {limit:?} which connections it has; \
                     they are not listed until it does"
                );
            }
        }
    }
}

/// Waits for the end of a process that says nothing unasked; an answer may be late.
pub(super) async fn closed(channel: &Channel) {
    use TakeoverError::Malformed;
    while let Ok(_) | Err(Malformed(_)) = channel.receive::<FromPredecessor>().await {}
}

/// Answers the process that has taken this one's place, until `over` is dropped. What was
/// asked before is answered: the last session may end by being asked to.
pub(super) async fn answer(
    channel: &Channel,
    sessions: &AllSessions,
    mut over: oneshot::Receiver<()>,
) {
    loop {
        let message = tokio::select! {
            biased;
            message = channel.receive() => message,
            _ = &mut over => return,
        };
        let Ok((message, _)) = message else {
            return;
        };
        let answering = async {
            let answer = match message {
                FromSuccessor::List { replica, limit_ms } => {
                    let replica = replica.map(Arc::from);
                    FromPredecessor::Sessions(sessions.list(replica, limit_of(limit_ms)).await)
                }
                FromSuccessor::Kill { replica, limit_ms } => {
                    let replica = Arc::from(replica);
                    FromPredecessor::Killed(sessions.kill(replica, limit_of(limit_ms)).await)
                }
                _ => return,
            };
            // It may have ended.
            let _ = channel.send(&answer, &[]).await;
        };
        let mut answering = pin!(answering);
        // Without a limit until then: half an answer would spoil those that follow.
        tokio::select! {
            () = &mut answering => {}
            _ = &mut over => {
                let _ = timeout(LAST_ANSWER, answering).await;
                return;
            }
        }
    }
}

/// What it is asked, and how long it may take.
fn message_of(question: &Question) -> (FromSuccessor, Duration) {
    // The rest is for the way back, and for what it has itself.
    let limit_ms = |limit: Duration| u64::try_from(limit.as_millis() / 2).ok();
    match question {
        Question::List { replica, limit, .. } => {
            let list = FromSuccessor::List {
                replica: replica.as_deref().map(str::to_owned),
                limit_ms: limit_ms(*limit),
            };
            (list, *limit)
        }
        Question::Kill { replica, limit, .. } => {
            let kill = FromSuccessor::Kill {
                replica: replica.to_string(),
                limit_ms: limit_ms(*limit),
            };
            (kill, *limit)
        }
    }
}

/// How long the process before may take, in turn.
fn limit_of(limit_ms: Option<u64>) -> Duration {
    limit_ms.map_or(OF_EARLIER_VERSION, Duration::from_millis)
}

fn pass_back(question: Question, answer: FromPredecessor) -> Result<(), TakeoverError> {
    // Who asked may have gone meanwhile.
    match (question, answer) {
        (Question::List { answer, .. }, FromPredecessor::Sessions(list)) => {
            let _ = answer.send(list);
        }
        (Question::Kill { answer, .. }, FromPredecessor::Killed(killed)) => {
            let _ = answer.send(killed);
        }
        (_, other) => {
            let problem = format!("{other:?} at this point");
            return Err(TakeoverError::Malformed(problem));
        }
    }
    Ok(())
}

/// A process that has ended has no sessions left.
fn unless_closed(error: TakeoverError) -> Result<(), TakeoverError> {
    match error {
        TakeoverError::Closed => Ok(()),
        other => Err(other),
    }
}

/// How long it may take to be rid of an answer, once there is nothing more to ask for.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// A process that does not say how long it waits waits for 2 s.
const OF_EARLIER_VERSION: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tokio::net::UnixStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::control::session_list::SessionList;

    /// Has the sessions of another process asked for over a channel, whose other end this is.
    fn asked(sessions: &AllSessions) -> (Channel, JoinHandle<Result<(), TakeoverError>>) {
        let (one, other) = UnixStream::pair().unwrap();
        let (channel, questions) = (Channel::new(one), sessions.join());
        let asking = tokio::spawn(async move { ask(&channel, "", questions).await });
        (Channel::new(other), asking)
    }

    async fn is_asked(channel: &Channel) {
        let (question, _) = channel.receive().await.unwrap();
        assert!(
            matches!(question, FromSuccessor::List { .. }),
            "{question:?}"
        );
    }

    async fn answers(channel: &Channel, total: usize) {
        let list = SessionList {
            total,
            ..SessionList::default()
        };
        let list = FromPredecessor::Sessions(list);
        channel.send(&list, &[]).await.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_hangs_hides_no_sessions_of_the_one_after_it() {
        let (newest, middle) = (AllSessions::default(), AllSessions::default());
        let (to_newest, _asking) = asked(&newest);
        let (first, _asking) = asked(&middle);
        let mut worker = middle.join();
        tokio::spawn(async move {
            while let Some(Question::List { answer, .. }) = worker.recv().await {
                let total = 1;
                let sessions = Vec::new();
                let _ = answer.send(SessionList { total, sessions });
            }
        });
        let (_end, over) = oneshot::channel();
        tokio::spawn(async move { answer(&to_newest, &middle, over).await });

        let limit = Duration::from_secs(2);
        for when in ["at once", "while it owes the first answer"] {
            let listed = newest.list(None, limit).await;
            assert_eq!(listed.total, 1, "{when}");
        }
        drop(first);
    }

    #[tokio::test]
    async fn what_a_process_answers_late_is_not_taken_for_its_next_answer() {
        let sessions = AllSessions::default();
        let (other, asking) = asked(&sessions);
        let listed = sessions.list(None, Duration::from_millis(20)).await;
        assert_eq!(listed.total, 0, "it hangs");
        is_asked(&other).await;
        answers(&other, 40).await;
        let listing = async {
            loop {
                // Until the late one has come it is not asked.
                let listed = sessions.list(None, LONG).await;
                if listed.total > 0 {
                    return listed.total;
                }
                tokio::task::yield_now().await;
            }
        };
        let answering = async {
            is_asked(&other).await;
            answers(&other, 2).await;
        };
        let (listed, ()) = tokio::join!(listing, answering);
        assert_eq!(listed, 2);
        drop(other);
        asking.await.unwrap().unwrap();
    }

    /// Longer than an answer takes here.
    const LONG: Duration = Duration::from_secs(20);
}
