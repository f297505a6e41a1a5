//! Contexts alive in a guest, and what each may see.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use bytes::BytesMut;

use super::abi::{ContextId, Headers, MapKind};
use super::effect::CallReply;
use super::filter_state::{FilterState, WriteAccess};
use super::stream_info::{HttpInfo, TcpInfo};

/// Contexts alive, by id.
#[derive(Default)]
pub(super) struct Contexts {
    map: HashMap<u32, Box<Context>, BuildHasherDefault<IdHasher>>,
    last: u32,
}

/// A root or a stream.
pub(super) struct Context {
    /// Of a root its own id.
    pub(super) root: ContextId,
    /// Which of the configuration's plugins.
    pub(super) plugin: usize,
    pub(super) state: FilterState,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Root(Box<Root>),
    Tcp(Box<Tcp>),
    Http(Box<Http>),
}

/// What a root context holds for the time of a callback.
#[derive(Default)]
pub(super) struct Root {
    /// Last status for `proxy_get_status`.
    pub(super) status: (u32, String),
    pub(super) reply: Option<CallReply>,
    pub(super) grpc_initial: Option<Headers>,
    pub(super) grpc_trailing: Option<Headers>,
    pub(super) grpc_message: Option<Vec<u8>>,
    /// Properties declared, by name.
    pub(super) declared: HashMap<Vec<u8>, WriteAccess>,
    pub(super) phase: RootPhase,
}

/// Where a root context is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RootPhase {
    #[default]
    Running,
    /// `on_done` returned that it is not done.
    Finishing,
    /// It called `proxy_done`.
    Finished,
}

pub(super) struct Tcp {
    pub(super) info: TcpInfo,
    /// The guest needs no more data callbacks.
    pub(super) skip_data: bool,
}

pub(super) struct Http {
    pub(super) info: HttpInfo,
    /// By [`MapKind`] 0 to 3.
    pub(super) access: [MapAccess; 4],
    pub(super) answered: bool,
    /// It was logged; there is nothing left to read of it.
    pub(super) over: bool,
    /// Bytes held back of either body, by [`Body`](super::Body).
    pub(super) held: [BytesMut; 2],
}

/// What a guest may do with a map at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MapAccess {
    #[default]
    None,
    Read,
    Write,
}

impl Contexts {
    pub(super) fn get(&self, id: ContextId) -> Option<&Context> {
        self.map.get(&id.0).map(|context| &**context)
    }

    pub(super) fn get_mut(&mut self, id: ContextId) -> Option<&mut Context> {
        self.map.get_mut(&id.0).map(|context| &mut **context)
    }

    pub(super) fn add(&mut self, parent: Parent, kind: Kind) -> ContextId {
        // An id comes again after 2^32 others only: a guest may remember one.
        loop {
            self.last = self.last.wrapping_add(1);
            if self.last != 0 && !self.map.contains_key(&self.last) {
                break;
            }
        }
        let id = ContextId(self.last);
        let (root, plugin) = match parent {
            Parent::None { plugin } => (id, plugin),
            Parent::Root { root, plugin } => (root, plugin),
        };
        let context = Context {
            root,
            plugin,
            state: FilterState::default(),
            kind,
        };
        self.map.insert(id.0, Box::new(context));
        id
    }

    pub(super) fn remove(&mut self, id: ContextId) {
        self.map.remove(&id.0);
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn root_mut(&mut self, id: ContextId) -> Option<&mut Root> {
        match &mut self.get_mut(id)?.kind {
            Kind::Root(root) => Some(root),
            Kind::Tcp(_) | Kind::Http(_) => None,
        }
    }

    pub(super) fn root(&self, id: ContextId) -> Option<&Root> {
        match &self.get(id)?.kind {
            Kind::Root(root) => Some(root),
            Kind::Tcp(_) | Kind::Http(_) => None,
        }
    }

    pub(super) fn tcp_mut(&mut self, id: ContextId) -> Option<&mut Tcp> {
        match &mut self.get_mut(id)?.kind {
            Kind::Tcp(tcp) => Some(tcp),
            Kind::Root(_) | Kind::Http(_) => None,
        }
    }

    pub(super) fn http_mut(&mut self, id: ContextId) -> Option<&mut Http> {
        match &mut self.get_mut(id)?.kind {
            Kind::Http(http) => Some(http),
            Kind::Root(_) | Kind::Tcp(_) => None,
        }
    }
}

impl Context {
    /// Whether it is a request of which there is nothing left to read.
    pub(super) fn is_over(&self) -> bool {
        matches!(&self.kind, Kind::Http(http) if http.over)
    }
}

/// The parent of a new context.
pub(super) enum Parent {
    /// It is a root.
    None {
        /// Of this plugin.
        plugin: usize,
    },
    Root {
        root: ContextId,
        plugin: usize,
    },
}

impl Http {
    pub(super) fn new(info: HttpInfo) -> Http {
        Http {
            info,
            access: [MapAccess::None; 4],
            answered: false,
            over: false,
            held: Default::default(),
        }
    }

    /// The map, whether or not the guest may see it at this moment.
    pub(super) fn map(&self, kind: MapKind) -> Option<&Headers> {
        match kind {
            MapKind::RequestHeaders => Some(&self.info.request_headers),
            MapKind::RequestTrailers => self.info.request_trailers.as_ref(),
            MapKind::ResponseHeaders => self.info.response_headers.as_ref(),
            MapKind::ResponseTrailers => self.info.response_trailers.as_ref(),
            _ => None,
        }
    }

    pub(super) fn map_mut(&mut self, kind: MapKind) -> Option<&mut Headers> {
        match kind {
            MapKind::RequestHeaders => Some(&mut self.info.request_headers),
            MapKind::RequestTrailers => self.info.request_trailers.as_mut(),
            MapKind::ResponseHeaders => self.info.response_headers.as_mut(),
            MapKind::ResponseTrailers => self.info.response_trailers.as_mut(),
            _ => None,
        }
    }

    pub(super) fn access(&self, kind: MapKind) -> MapAccess {
        self.access.get(kind as usize).copied().unwrap_or_default()
    }
}

/// Spreads consecutive ids. The host assigns them, so no guest can make them collide.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
