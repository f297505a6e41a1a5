//! The sessions that a process keeps whose place another has taken. The other asks for
//! them over the channel of the takeover, as it asks its own workers, until they are over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::control::all_sessions::{AllSessions, Question};
use crate::takeover::channel::Channel;
use crate::takeover::error::TakeoverError;
use crate::takeover::message::{FromPredecessor, FromSuccessor};

/// Passes questions on to the process whose place this one has taken, until it has no
/// sessions left.
///
/// # Errors
/// It does not answer, as one of an earlier version does not.
pub(super) async fn ask(
    channel: &Channel,
    mut questions: UnboundedReceiver<Question>,
) -> Result<(), TakeoverError> {
    loop {
        tokio::select! {
            question = questions.recv() => match question {
                Some(question) => pass_on(channel, question).await?,
                None => return Ok(()),
            },
            () = closed(channel) => return Ok(()),
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
                FromSuccessor::List { replica } => {
                    FromPredecessor::Sessions(sessions.list(replica.map(Arc::from)).await)
                }
                FromSuccessor::Kill { replica } => {
                    FromPredecessor::Killed(sessions.kill(Arc::from(replica)).await)
                }
                _ => return,
            };
            // It may have ended.
            let _ = channel.send(&answer, &[]).await;
        };
        let _ = timeout(ANSWER, answering).await;
    }
}

async fn pass_on(channel: &Channel, question: Question) -> Result<(), TakeoverError> {
    // Who asked may have gone meanwhile.
    match question {
        Question::List { replica, answer } => {
            let replica = replica.map(|replica| replica.to_string());
            match exchange(channel, FromSuccessor::List { replica }).await? {
                Some(FromPredecessor::Sessions(list)) => drop(answer.send(list)),
                Some(other) => return Err(unexpected(&other)),
                None => {}
            }
        }
        Question::Kill { replica, answer } => {
            let replica = replica.to_string();
            match exchange(channel, FromSuccessor::Kill { replica }).await? {
                Some(FromPredecessor::Killed(killed)) => drop(answer.send(killed)),
                Some(other) => return Err(unexpected(&other)),
                None => {}
            }
        }
    }
    Ok(())
}

/// What it answers; `None`: it has ended.
async fn exchange(
    channel: &Channel,
    message: FromSuccessor,
) -> Result<Option<FromPredecessor>, TakeoverError> {
    let exchanged = async {
        channel.send(&message, &[]).await?;
        Ok(channel.receive().await?.0)
    };
    match timeout(ANSWER, exchanged).await {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(TakeoverError::Closed)) => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(TakeoverError::Silent {
            what: "does not say which connections it has",
            limit: ANSWER,
        }),
    }
}

fn unexpected(message: &FromPredecessor) -> TakeoverError {
    TakeoverError::Malformed(format!("{message:?} at this point"))
}

/// How long a question, or an answer to it, may take; shorter than the admin listener's own limit.
const ANSWER: Duration = Duration::from_secs(2);
