//! The clients of the admin listener: no more than there are files kept for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// The open connections of the admin listener. Where there are as many as may be, the
/// one that has been idle longest gives way to a new one: a client that holds connections
/// and asks nothing keeps nobody out.
#[derive(Default)]
pub(super) struct AdminConnections {
    open: RefCell<BTreeMap<u64, Client>>,
    next: Cell<u64>,
    left: Notify,
}

struct Client {
    /// Grows with each accept and each answer: the least is idle longest. `None`: a
    /// request is being answered.
    idle_since: Option<u64>,
    task: Option<AbortHandle>,
}

/// A place among the open connections; dropped, it is another's.
pub(super) struct AdminPlace {
    connections: Rc<AdminConnections>,
    id: u64,
}

/// A request is being answered until this is dropped.
pub(super) struct Answering<'a>(&'a AdminPlace);

impl AdminConnections {
    /// A place for a client that has been accepted, where there may be this many;
    /// `None` while all others are being answered.
    pub(super) async fn admit(self: &Rc<Self>, most: usize) -> Option<AdminPlace> {
        while self.open.borrow().len() >= most {
            // On one thread none leaves between the end of its task and the wait.
            self.end_idlest()?;
            self.left.notified().await;
        }
        Some(self.enter())
    }

    /// The task that is ended when its place is given to another.
    pub(super) fn set_task(&self, id: u64, task: AbortHandle) {
        if let Some(client) = self.open.borrow_mut().get_mut(&id) {
            client.task = Some(task);
        }
    }

    fn enter(self: &Rc<Self>) -> AdminPlace {
        let id = self.tick();
        let client = Client {
            idle_since: Some(id),
            task: None,
        };
        self.open.borrow_mut().insert(id, client);
        AdminPlace {
            connections: Rc::clone(self),
            id,
        }
    }

    /// Ends all that are idle.
    pub(super) fn end_idle(&self) {
        let open = self.open.borrow();
        let idle = open.values().filter(|client| client.idle_since.is_some());
        for task in idle.filter_map(|client| client.task.as_ref()) {
            task.abort();
        }
    }

    fn end_idlest(&self) -> Option<()> {
        let open = self.open.borrow();
        let idle = open.values().filter(|client| client.idle_since.is_some());
        let idlest = idle.min_by_key(|client| client.idle_since)?;
        if let Some(task) = &idlest.task {
            task.abort();
        }
        Some(())
    }

    fn tick(&self) -> u64 {
        let now = self.next.get();
        self.next.replace(now + 1)
    }
}

impl AdminPlace {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Keeps the connection while a request is being answered.
    pub(super) fn answering(&self) -> Answering<'_> {
        self.set_idle_since(None);
        Answering(self)
    }

    fn set_idle_since(&self, idle_since: Option<u64>) {
        if let Some(client) = self.connections.open.borrow_mut().get_mut(&self.id) {
            client.idle_since = idle_since;
        }
    }
}

impl Drop for AdminPlace {
    fn drop(&mut self) {
        self.connections.open.borrow_mut().remove(&self.id);
        self.connections.left.notify_one();
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.set_idle_since(Some(self.0.connections.tick()));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    /// A client that never ends by itself.
    fn serve(connections: &Rc<AdminConnections>, place: AdminPlace, name: u32, open: &Open) {
        let id = place.id();
        let here = Here::new(name, open);
        let task = spawn_local(async move {
            let _held = (place, here);
            std::future::pending::<()>().await;
        });
        connections.set_task(id, task.abort_handle());
    }

    type Open = Rc<RefCell<Vec<u32>>>;

    struct Here(u32, Open);

    impl Here {
        fn new(name: u32, open: &Open) -> Here {
            open.borrow_mut().push(name);
            Here(name, Rc::clone(open))
        }
    }

    impl Drop for Here {
        fn drop(&mut self) {
            self.1.borrow_mut().retain(|name| *name != self.0);
        }
    }

    #[tokio::test]
    async fn the_longest_idle_gives_way_and_who_is_answered_stays() {
        let test = async {
            let connections: Rc<AdminConnections> = Rc::default();
            let open = Open::default();
            // The oldest is being answered.
            let answered = Rc::new(connections.admit(3).await.unwrap());
            let answering = answered.answering();
            for name in 1..=10 {
                let place = connections.admit(3).await.unwrap();
                serve(&connections, place, name, &open);
                assert!(connections.open.borrow().len() <= 3);
            }
            assert_eq!(*open.borrow(), [9, 10], "the last two");
            // Answered just now, it has been idle for less long than the others.
            drop(answering);
            let place = connections.admit(3).await.unwrap();
            serve(&connections, place, 11, &open);
            assert_eq!(*open.borrow(), [10, 11]);
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test]
    async fn while_all_are_answered_a_new_one_is_refused() {
        let connections: Rc<AdminConnections> = Rc::default();
        let place = connections.admit(1).await.unwrap();
        let answering = place.answering();
        assert!(connections.admit(1).await.is_none());
        drop(answering);
        drop(place);
        assert!(connections.admit(1).await.is_some());
    }
}
