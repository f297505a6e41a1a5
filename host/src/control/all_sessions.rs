//! The open sessions of all workers.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::control::command::{CloseCommand, Cutter};
use crate::control::session_list::{ListedSession, SessionList};
use crate::control::sessions::Sessions;

/// The open sessions of all workers, those that run earlier plans among them. Each
/// worker's are its own: it is asked, and answers between its other tasks.
#[derive(Default)]
pub(crate) struct AllSessions(Mutex<Vec<UnboundedSender<Question>>>);

/// What a worker is asked.
pub(crate) enum Question {
    List {
        /// Of this replica only.
        replica: Option<Arc<str>>,
        limit: Duration,
        answer: oneshot::Sender<SessionList>,
    },
    Kill {
        replica: Arc<str>,
        limit: Duration,
        answer: oneshot::Sender<usize>,
    },
}

impl AllSessions {
    /// What one more worker is asked from now on, until this is dropped.
    pub(crate) fn join(&self) -> UnboundedReceiver<Question> {
        let (worker, questions) = unbounded_channel();
        let mut workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| !worker.is_closed());
        workers.push(worker);
        questions
    }

    /// Those that are open, of one replica or of all. `limit`: how long another process may
    /// take, which is asked as a worker is, before it counts as having none.
    pub(crate) async fn list(&self, replica: Option<Arc<str>>, limit: Duration) -> SessionList {
        let answers = self.ask(|answer| Question::List {
            replica: replica.clone(),
            limit,
            answer,
        });
        let mut list = SessionList::default();
        for answer in answers {
            // A worker that is gone has none.
            list.merge(answer.await.unwrap_or_default());
        }
        list
    }

    /// Ends those of a replica: how many. `limit`: as in [`AllSessions::list`].
    pub(crate) async fn kill(&self, replica: Arc<str>, limit: Duration) -> usize {
        let answers = self.ask(|answer| Question::Kill {
            replica: Arc::clone(&replica),
            limit,
            answer,
        });
        let mut killed = 0;
        for answer in answers {
            killed += answer.await.unwrap_or_default();
        }
        killed
    }

    fn ask<A>(
        &self,
        question: impl Fn(oneshot::Sender<A>) -> Question,
    ) -> Vec<oneshot::Receiver<A>> {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = workers.iter().map(|worker| {
            let (sender, answer) = oneshot::channel();
            // One that is gone drops the question, and so the answer's sender.
            let _ = worker.send(question(sender));
            answer
        });
        asked.collect()
    }
}

/// Answers for a worker, whose services have these names.
pub(crate) async fn answer_all(
    sessions: Rc<Sessions>,
    services: Vec<String>,
    mut questions: UnboundedReceiver<Question>,
) {
    while let Some(question) = questions.recv().await {
        // Who asked may have gone meanwhile, as at each of these sends.
        match question {
            Question::List {
                replica, answer, ..
            } if !answer.is_closed() => {
                let _ = answer.send(list(&sessions, replica.as_deref(), &services).await);
            }
            Question::Kill {
                replica, answer, ..
            } if !answer.is_closed() => {
                let _ = answer.send(kill(&sessions, &replica).await);
            }
            Question::List { .. } | Question::Kill { .. } => {}
        }
    }
}

async fn list(sessions: &Sessions, replica: Option<&str>, services: &[String]) -> SessionList {
    let mut found = Vec::new();
    sessions
        .visit(sessions.ids(), |id, record| {
            if replica.is_none_or(|replica| record.is_with(replica)) {
                found.push((record.began, id));
            }
        })
        .await;
    let total = found.len();
    if total > SessionList::MOST {
        found.select_nth_unstable(SessionList::MOST);
        found.truncate(SessionList::MOST);
    }
    let mut list = SessionList {
        total,
        sessions: Vec::with_capacity(found.len()),
    };
    let oldest = found.into_iter().map(|(_, id)| id).collect();
    sessions
        .visit(oldest, |_, record| {
            let service = record.service.get().and_then(|place| services.get(place));
            list.sessions.push(ListedSession {
                client: record.client.get(),
                listener: record.listener,
                service: service.cloned(),
                replica: record.replica().as_deref().map(str::to_owned),
                age_ms: record.began.elapsed().as_millis() as u64,
                up: record.sent_up.get(),
                down: record.sent_down.get(),
            });
        })
        .await;
    list
}

async fn kill(sessions: &Sessions, replica: &str) -> usize {
    let mut killed = 0;
    sessions
        .visit(sessions.ids(), |_, record| {
            if record.is_with(replica) {
                record.control.order(CloseCommand::Cut(Cutter::Operator));
                killed += 1;
            }
        })
        .await;
    killed
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::task::{JoinHandle, LocalSet, spawn_local};
    use tokio::time::advance;

    use super::*;
    use crate::control::session_record::SessionRecord;
    use crate::control::sessions::OpenSession;

    /// A worker whose sessions stay open.
    struct Worker {
        sessions: Rc<Sessions>,
        open: Vec<OpenSession>,
        answering: JoinHandle<()>,
    }

    impl Worker {
        fn start(all: &AllSessions) -> Worker {
            let sessions: Rc<Sessions> = Rc::default();
            let services = vec!["dtr".to_owned(), "quay".to_owned()];
            let answering = answer_all(Rc::clone(&sessions), services, all.join());
            Worker {
                sessions,
                open: Vec::new(),
                answering: spawn_local(answering),
            }
        }

        fn open(&mut self, replica: &str) -> &SessionRecord {
            let somewhere = SocketAddr::from(([127, 0, 0, 1], 1));
            let record = SessionRecord::new(somewhere, somewhere);
            record.landed(replica.into());
            let id = self.open.len() as u64;
            self.open.push(self.sessions.enter(id, record));
            self.open[self.open.len() - 1].record()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_sessions_of_all_workers_are_listed() {
        let listed = async {
            let all = AllSessions::default();
            let mut workers = [Worker::start(&all), Worker::start(&all)];
            workers[1].open("r1").service.set(Some(1));
            advance(Duration::from_secs(1)).await;
            for worker in &mut workers {
                for _ in 0..SessionList::MOST {
                    worker.open("r2");
                }
            }

            let list = all.list(None, LIMIT).await;
            assert_eq!(list.total, 2 * SessionList::MOST + 1);
            assert_eq!(list.sessions.len(), SessionList::MOST);
            let oldest = &list.sessions[0];
            assert_eq!(oldest.replica.as_deref(), Some("r1"));
            assert_eq!(oldest.service.as_deref(), Some("quay"));
            assert!(oldest.age_ms >= 1000, "{oldest:?}");

            let list = all.list(Some("r1".into()), LIMIT).await;
            assert_eq!((list.total, list.sessions.len()), (1, 1));
        };
        LocalSet::new().run_until(listed).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_kill_reaches_every_worker_and_no_other_replica() {
        let killed = async {
            let all = AllSessions::default();
            let mut workers = [Worker::start(&all), Worker::start(&all)];
            for worker in &mut workers {
                worker.open("r1");
                worker.open("r2");
                // More than are visited at once.
                for _ in 0..1000 {
                    worker.open("r1");
                }
            }
            assert_eq!(all.kill("r1".into(), LIMIT).await, 2002);
            let ordered = |worker: &Worker, nth: usize| worker.open[nth].record().control.ordered();
            for worker in &workers {
                let cut = Some(CloseCommand::Cut(Cutter::Operator));
                assert_eq!((ordered(worker, 0), ordered(worker, 1)), (cut, None));
                assert_eq!(ordered(worker, 1001), cut);
            }
            assert_eq!(all.kill("r9".into(), LIMIT).await, 0);

            workers[0].answering.abort();
            let left = all.list(Some("r2".into()), LIMIT).await;
            assert_eq!(left.total, 1, "a worker that is gone has none");
        };
        LocalSet::new().run_until(killed).await;
    }

    /// Workers need no such limit.
    const LIMIT: Duration = Duration::ZERO;
}
