//! How far one connection got in the chain.

use std::cell::Cell;

use bytes::BytesMut;

use crate::control::command::SessionControl;
use crate::filters::chain::Chain;
use crate::filters::vm_owner::ContextHandle;
use crate::plan::Failure;
use proxy_wasm_engine::{Action, ContextId, Direction, End, Peer, TcpInfo, Trap, Vm};

/// One connection's way through the filters.
///
/// The order is Envoy's. What comes from the client is shown to the first filter
/// first, and what comes from the replica to the last one; all look at the same
/// bytes, and whoever pauses keeps them from those that follow. A filter learns
/// of the connection when those before it let it pass.
pub(crate) struct FilterChainState {
    places: Box<[FilterSlot]>,
    /// Who holds the bytes of each way.
    holder: [Cell<Option<usize>>; 2],
}

/// What one filter knows of the connection.
#[derive(Default)]
struct FilterSlot {
    stage: Cell<Stage>,
    seat: Cell<Option<ContextHandle>>,
    upstream_closed: Cell<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// It has not heard of the connection.
    #[default]
    Ahead,
    /// It holds the connection since it heard of it.
    Holding,
    /// It has let it pass.
    Passed,
}

/// How far a connection got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Past the last filter.
    Through,
    /// The filter of this place holds it.
    Held(usize),
    /// A filter that must not be passed by is down.
    Refused,
}

/// Who looks on: the connection itself.
pub(crate) trait ConnectionInfo {
    fn chain(&self) -> &Chain;
    fn control(&self) -> &SessionControl;
    /// What a filter may know of the connection when it first hears of it.
    fn info(&self) -> TcpInfo;
    /// What has changed of that since.
    fn refresh(&self, info: &mut TcpInfo);
}

impl FilterChainState {
    pub(crate) fn through(chain: &Chain) -> FilterChainState {
        FilterChainState {
            places: chain.links.iter().map(|_| FilterSlot::default()).collect(),
            holder: Default::default(),
        }
    }

    /// Whether any filter still has a context for the connection.
    pub(crate) fn seated(&self) -> bool {
        self.places.iter().any(|place| place.seat.get().is_some())
    }

    /// Introduces the connection, and what came of the client so far, to the
    /// filters from a place on, until one holds it.
    pub(crate) fn down(
        &self,
        of: &impl ConnectionInfo,
        from: usize,
        held: &mut BytesMut,
        end: End,
    ) -> Step {
        for (at, place) in self.places.iter().enumerate().skip(from) {
            if of.control().ordered().is_some() {
                return self.hold(Direction::Downstream, at);
            }
            if place.stage.get() == Stage::Ahead {
                match self.introduce(of, at) {
                    Some(Action::Continue) => {}
                    Some(Action::Pause) => return self.hold(Direction::Downstream, at),
                    None => return Step::Refused,
                }
            }
            let something = !held.is_empty() || end == End::Last;
            if something && self.show(of, Direction::Downstream, at, held, end) == Action::Pause {
                return self.hold(Direction::Downstream, at);
            }
            place.stage.set(Stage::Passed);
        }
        self.of(Direction::Downstream).set(None);
        Step::Through
    }

    /// Shows what came of the replica to the filters from a place on, last to
    /// first, until one holds it.
    pub(crate) fn up(
        &self,
        of: &impl ConnectionInfo,
        count: usize,
        held: &mut BytesMut,
        end: End,
    ) -> Action {
        for at in (0..count.min(self.places.len())).rev() {
            let action = self.show(of, Direction::Upstream, at, held, end);
            if end == End::Last {
                self.upstream_close(of, at);
            }
            if action == Action::Pause {
                self.of(Direction::Upstream).set(Some(at));
                return Action::Pause;
            }
        }
        self.of(Direction::Upstream).set(None);
        Action::Continue
    }

    /// Goes on behind the filter that holds the bytes of one way, if it was told
    /// to let go. A filter that holds nothing has nothing to let go.
    pub(crate) fn resumed(
        &self,
        of: &impl ConnectionInfo,
        direction: Direction,
        held: &mut BytesMut,
        end: End,
    ) -> Option<Action> {
        let mut outcome = None;
        while let Some(at) = self.of(direction).get()
            && of.control().take_resumed(direction, at)
        {
            let action = match direction {
                Direction::Downstream => match self.resume_down(of, at, held, end) {
                    Step::Through => Action::Continue,
                    Step::Held(_) | Step::Refused => Action::Pause,
                },
                Direction::Upstream => self.up(of, at, held, end),
            };
            outcome = Some(action);
        }
        outcome
    }

    /// The filter of this place lets go what it holds of the client.
    pub(crate) fn resume_down(
        &self,
        of: &impl ConnectionInfo,
        at: usize,
        held: &mut BytesMut,
        end: End,
    ) -> Step {
        if let Some(place) = self.places.get(at) {
            place.stage.set(Stage::Passed);
        }
        self.of(Direction::Downstream).set(None);
        self.down(of, at + 1, held, end)
    }

    /// Whether any filter wants to see more of one way.
    pub(crate) fn wants_more(&self, of: &impl ConnectionInfo, direction: Direction) -> bool {
        let wants = |at| self.visit(of, at, |vm, context| Ok(vm.wants_data(context, direction)));
        (0..self.places.len()).any(|at| wants(at) == Some(true))
    }

    /// The replica has finished, and nobody looks at its bytes.
    pub(crate) fn upstream_ended(&self, of: &impl ConnectionInfo) {
        for at in (0..self.places.len()).rev() {
            self.upstream_close(of, at);
        }
    }

    /// What the filters set under a key of the filter state; the last of the
    /// chain that did counts.
    pub(crate) fn filter_state<R>(
        &self,
        of: &impl ConnectionInfo,
        key: &str,
        read: impl Fn(&str) -> R,
    ) -> Option<R> {
        (0..self.places.len()).rev().find_map(|at| {
            self.visit(of, at, |vm, context| {
                Ok(vm.filter_state(context, key).map(&read))
            })
            .flatten()
        })
    }

    /// Changes what each filter may know of the connection.
    pub(crate) fn tell(&self, of: &impl ConnectionInfo, change: impl Fn(&mut TcpInfo)) {
        for at in 0..self.places.len() {
            self.visit(of, at, |vm, context| {
                vm.tcp_mut(context).map(&change);
                Ok(())
            });
        }
    }

    /// The connection is over; each filter in turn sees it end.
    pub(crate) fn close(&self, of: &impl ConnectionInfo, peer: Peer) {
        for at in 0..self.places.len() {
            self.visit(of, at, |vm, context| {
                if let Some(info) = vm.tcp_mut(context) {
                    of.refresh(info);
                }
                vm.downstream_close(context, peer)?;
                vm.finish(context)
            });
        }
    }

    /// `on_new_connection`. `None`: the filter is down, and must not be passed by.
    fn introduce(&self, of: &impl ConnectionInfo, at: usize) -> Option<Action> {
        let (Some(place), Some(link)) = (self.places.get(at), of.chain().links.get(at)) else {
            return Some(Action::Continue);
        };
        let opened = link.guest.open(link.plugin, |vm, root| {
            let context = vm.open_tcp(root, of.info())?;
            Ok((context, vm.new_connection(context)?))
        });
        let Some((seat, action)) = opened else {
            place.stage.set(Stage::Passed);
            let closed = link.guest.failure() == Failure::Closed;
            return (!closed).then_some(Action::Continue);
        };
        place.seat.set(Some(seat));
        place.stage.set(match action {
            Action::Continue => Stage::Passed,
            Action::Pause => Stage::Holding,
        });
        Some(action)
    }

    fn show(
        &self,
        of: &impl ConnectionInfo,
        direction: Direction,
        at: usize,
        held: &mut BytesMut,
        end: End,
    ) -> Action {
        // What it said before these bytes came does not count for them.
        of.control().take_resumed(direction, at);
        let holding = self.places.get(at).map(|place| place.stage.get()) == Some(Stage::Holding);
        let action = self.visit(of, at, |vm, context| {
            // One that holds the connection since it came is asked in any case: only
            // its answer lets it pass.
            if !holding && !vm.wants_data(context, direction) {
                return Ok(Action::Continue);
            }
            if let Some(info) = vm.tcp_mut(context) {
                of.refresh(info);
            }
            match direction {
                Direction::Downstream => vm.downstream_data(context, held, end),
                Direction::Upstream => vm.upstream_data(context, held, end),
            }
        });
        // Without a guest nobody holds anything back.
        action.unwrap_or(Action::Continue)
    }

    /// As in Envoy this says that the replica's FIN was seen, no more.
    fn upstream_close(&self, of: &impl ConnectionInfo, at: usize) {
        let first = self
            .places
            .get(at)
            .map(|place| place.upstream_closed.replace(true));
        if first == Some(false) {
            self.visit(of, at, |vm, context| {
                vm.upstream_close(context, Peer::Unknown)
            });
        }
    }

    fn visit<R>(
        &self,
        of: &impl ConnectionInfo,
        at: usize,
        visit: impl FnOnce(&mut Vm, ContextId) -> Result<R, Trap>,
    ) -> Option<R> {
        let link = of.chain().links.get(at)?;
        link.guest.visit(self.places.get(at)?.seat.get()?, visit)
    }

    fn hold(&self, direction: Direction, at: usize) -> Step {
        self.of(direction).set(Some(at));
        Step::Held(at)
    }

    fn of(&self, direction: Direction) -> &Cell<Option<usize>> {
        let [down, up] = &self.holder;
        match direction {
            Direction::Downstream => down,
            Direction::Upstream => up,
        }
    }
}
