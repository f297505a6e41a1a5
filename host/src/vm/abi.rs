//! Names and numbers of the ABI that guest and host share.

/// A context of the guest: a root (one per plugin) or a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u32);

/// A call the guest has under way (HTTP or gRPC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallToken(pub u32);

/// A shared queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u32);

/// What the guest answered to a callback on data, headers or a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Continue,
    /// Hold the stream until the guest continues it.
    Pause,
}

/// Which side closed, as the ABI numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Not known.
    Unknown = 0,
    /// The proxy itself.
    Local = 1,
    /// The other end.
    Remote = 2,
}

/// Whether more bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More may follow.
    More,
    /// These are the last.
    Last,
}

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    Downstream,
    /// From the replica.
    Upstream,
}

/// Header names and values, in order, names in lower case.
pub type Headers = Vec<(String, Vec<u8>)>;

/// The ABI version a module declares by its marker export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AbiVersion {
    /// `proxy_abi_version_0_1_0`
    V0_1_0,
    /// `proxy_abi_version_0_2_0`
    V0_2_0,
    /// `proxy_abi_version_0_2_1`
    V0_2_1,
}

/// Whose behaviour counts where the specification and Envoy disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Envoy's: a filter that works here works there.
    #[default]
    Envoy,
    /// The written specification's.
    Spec,
}
