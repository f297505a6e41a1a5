//! How far one connection got in the chain.

use std::cell::Cell;

use bytes::BytesMut;

use crate::filters::chain::{Chain, ChainFilter};
use crate::filters::connection_info::ConnectionInfo;
use crate::filters::filter_slot::{FilterSlot, Stage};
use proxy_wasm_engine::{Action, Direction, End, Peer, TcpInfo};

/// One connection's way through the filters.
///
/// The order is Envoy's. What comes from the client is shown to the first filter
/// first, and what comes from the replica to the last one; all look at the same
/// bytes, and one that pauses keeps them from those that follow. A filter learns
/// of the connection when those before it let it pass. From the moment one of them
/// orders the connection closed none is shown more, and nothing goes on: not even
/// what it was shown in that very call.
pub(crate) struct FilterChainState {
    slots: Box<[FilterSlot]>,
    /// The slot that holds the bytes of each way. No chain is longer, and each open
    /// connection has them.
    holders: [Cell<Option<u8>>; 2],
}

/// How far a connection got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Past the last filter.
    Through,
    /// The filter of this slot holds it.
    Held(usize),
    /// A filter that must not be passed by is down.
    Refused,
}

impl FilterChainState {
    pub(crate) fn new(chain: &Chain) -> FilterChainState {
        FilterChainState {
            slots: chain
                .filters
                .iter()
                .map(|_| FilterSlot::default())
                .collect(),
            holders: Default::default(),
        }
    }

    /// Whether any filter still has a context for the connection.
    pub(crate) fn has_contexts(&self) -> bool {
        self.slots.iter().any(FilterSlot::has_context)
    }

    /// Has the balancer wait for a connection that it is not shown yet: one whose client has
    /// not asked for a service.
    pub(crate) fn prepare(&self, connection: &impl ConnectionInfo) {
        for (_, slot, filter) in self.filters(connection) {
            if filter.owner.is_balancer() {
                slot.prepare(filter, connection);
            }
        }
    }

    /// Shows the connection, and what the client has sent so far, to the filters
    /// from a slot on, until one holds it.
    pub(crate) fn down(
        &self,
        connection: &impl ConnectionInfo,
        from: usize,
        held: &mut BytesMut,
        end: End,
    ) -> Step {
        for (at, slot, filter) in self.filters(connection).skip(from) {
            if is_over(connection) {
                return self.hold(Direction::Downstream, at);
            }
            if slot.stage() == Stage::Ahead {
                // Let go by a VM that is gone, it may not pass the next.
                connection.control().take_resumed(Direction::Downstream, at);
                match slot.open(filter, connection) {
                    Some(Action::Continue) => {}
                    Some(Action::Pause) => return self.hold(Direction::Downstream, at),
                    None => return Step::Refused,
                }
            }
            let something = !held.is_empty() || end == End::Last;
            if something
                && self.data(connection, Direction::Downstream, at, held, end) == Action::Pause
            {
                return self.hold(Direction::Downstream, at);
            }
            slot.pass();
        }
        self.holder(Direction::Downstream).set(None);
        Step::Through
    }

    /// Shows what the replica has sent to the `count` first filters, last to first,
    /// until one holds it.
    pub(crate) fn up(
        &self,
        connection: &impl ConnectionInfo,
        count: usize,
        held: &mut BytesMut,
        end: End,
    ) -> Action {
        for (at, slot, filter) in self.filters(connection).rev() {
            if at >= count {
                continue;
            }
            if is_over(connection) {
                self.hold(Direction::Upstream, at);
                return Action::Pause;
            }
            let action = self.data(connection, Direction::Upstream, at, held, end);
            if end == End::Last {
                slot.close_upstream(filter);
            }
            if action == Action::Pause {
                self.hold(Direction::Upstream, at);
                return Action::Pause;
            }
        }
        self.holder(Direction::Upstream).set(None);
        Action::Continue
    }

    /// Goes on behind the filter that holds the bytes of one way, if it has resumed
    /// it. A filter that holds nothing has nothing to resume.
    pub(crate) fn resumed(
        &self,
        connection: &impl ConnectionInfo,
        direction: Direction,
        held: &mut BytesMut,
        end: End,
    ) -> Option<Action> {
        let mut outcome = None;
        while let Some(at) = self.holder(direction).get().map(usize::from)
            && connection.control().take_resumed(direction, at)
        {
            let action = match direction {
                Direction::Downstream => match self.resume_down(connection, at, held, end) {
                    Step::Through => Action::Continue,
                    Step::Held(_) | Step::Refused => Action::Pause,
                },
                Direction::Upstream => self.up(connection, at, held, end),
            };
            outcome = Some(action);
        }
        outcome
    }

    /// The filter of this slot lets go what it holds of the client.
    pub(crate) fn resume_down(
        &self,
        connection: &impl ConnectionInfo,
        at: usize,
        held: &mut BytesMut,
        end: End,
    ) -> Step {
        if let Some(slot) = self.slots.get(at) {
            slot.pass();
        }
        self.holder(Direction::Downstream).set(None);
        self.down(connection, at + 1, held, end)
    }

    /// The replica has ended before its first byte, and the connection may go on at
    /// another: the balancer is to know.
    pub(crate) fn left_unserved(&self, connection: &impl ConnectionInfo) {
        for (_, slot, filter) in self.filters(connection) {
            if filter.owner.is_balancer() {
                slot.left_unserved(filter, connection);
            }
        }
    }

    /// Shows a balancer's VM that has taken the place of one that failed a connection
    /// that is older, so that it counts.
    pub(crate) fn reopen(&self, connection: &impl ConnectionInfo) {
        for (_, slot, filter) in self.filters(connection) {
            if filter.owner.is_balancer() {
                slot.reopen(filter, connection);
            }
        }
    }

    /// Whether any filter wants to see more of one way.
    pub(crate) fn wants_more(
        &self,
        connection: &impl ConnectionInfo,
        direction: Direction,
    ) -> bool {
        self.filters(connection).any(|(_, slot, filter)| {
            slot.visit(filter, |vm, context| Ok(vm.wants_data(context, direction))) == Some(true)
        })
    }

    /// The replica has finished, and its bytes are not shown to the filters.
    pub(crate) fn upstream_ended(&self, connection: &impl ConnectionInfo) {
        for (_, slot, filter) in self.filters(connection).rev() {
            slot.close_upstream(filter);
        }
    }

    /// What the filters set under a key of the filter state; the last of the
    /// chain that did counts.
    pub(crate) fn filter_state<R>(
        &self,
        connection: &impl ConnectionInfo,
        key: &str,
        read: impl Fn(&str) -> R,
    ) -> Option<R> {
        self.filters(connection)
            .rev()
            .find_map(|(_, slot, filter)| {
                slot.visit(filter, |vm, context| {
                    Ok(vm.filter_state(context, key).map(&read))
                })
                .flatten()
            })
    }

    /// The value that the last of the filters has that sees one under this property path.
    pub(crate) fn property(&self, connection: &impl ConnectionInfo, path: &str) -> Option<Vec<u8>> {
        let mut filters = self.filters(connection).rev();
        filters.find_map(|(_, slot, filter)| {
            slot.visit(filter, |vm, context| {
                Ok(vm.property(context, path.as_bytes()))
            })
            .flatten()
        })
    }

    /// Changes what each filter may know of the connection.
    pub(crate) fn update_info(
        &self,
        connection: &impl ConnectionInfo,
        change: impl Fn(&mut TcpInfo),
    ) {
        for (_, slot, filter) in self.filters(connection) {
            slot.visit(filter, |vm, context| {
                vm.tcp_mut(context).map(&change);
                Ok(())
            });
        }
    }

    /// The connection is over; each filter in turn sees it end. The balancer need not know
    /// which side did: an end that speaks against a replica is a callback of its own.
    pub(crate) fn close(&self, connection: &impl ConnectionInfo, peer: Peer) {
        for (_, slot, filter) in self.filters(connection) {
            slot.visit(filter, |vm, context| {
                if let Some(info) = vm.tcp_mut(context) {
                    connection.refresh(info);
                }
                if !filter.owner.is_balancer() {
                    vm.downstream_close(context, peer)?;
                }
                vm.finish(context)
            });
        }
    }

    /// Each slot with its number and its filter.
    fn filters<'a>(
        &'a self,
        connection: &'a impl ConnectionInfo,
    ) -> impl DoubleEndedIterator<Item = (usize, &'a FilterSlot, &'a ChainFilter)> {
        let filters = connection.chain().filters.iter();
        let both = self.slots.iter().zip(filters).enumerate();
        both.map(|(at, (slot, filter))| (at, slot, filter))
    }

    fn data(
        &self,
        connection: &impl ConnectionInfo,
        direction: Direction,
        at: usize,
        held: &mut BytesMut,
        end: End,
    ) -> Action {
        // What it resumed before these bytes came does not count for them.
        connection.control().take_resumed(direction, at);
        let filter = connection.chain().filters.get(at);
        let action = match self.slots.get(at).zip(filter) {
            Some((slot, filter)) => slot.data(filter, connection, direction, held, end),
            None => Action::Continue,
        };
        match is_over(connection) {
            true => Action::Pause,
            false => action,
        }
    }

    fn hold(&self, direction: Direction, at: usize) -> Step {
        self.holder(direction).set(u8::try_from(at).ok());
        Step::Held(at)
    }

    fn holder(&self, direction: Direction) -> &Cell<Option<u8>> {
        let [down, up] = &self.holders;
        match direction {
            Direction::Downstream => down,
            Direction::Upstream => up,
        }
    }
}

/// Whether the connection has been ordered to end.
fn is_over(connection: &impl ConnectionInfo) -> bool {
    connection.control().ordered().is_some()
}
