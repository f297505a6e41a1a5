//! Names and numbers of the ABI that guest and host share.

use super::status::HostcallError;

/// A context of the guest: a root (one per plugin) or a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u32);

impl ContextId {
    /// The id no context has.
    pub(super) const NONE: ContextId = ContextId(0);
}

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

impl Action {
    /// Any result but 0 holds the stream; a guest without the callback does not.
    pub(super) fn of_result(result: Option<u32>) -> Action {
        match result {
            None | Some(0) => Action::Continue,
            Some(_) => Action::Pause,
        }
    }
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

/// One of the two bodies of an HTTP stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The request's.
    Request = 0,
    /// The response's.
    Response = 1,
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

impl AbiVersion {
    /// The version a marker export names.
    pub(super) fn of_marker(name: &str) -> Option<AbiVersion> {
        match name {
            "proxy_abi_version_0_1_0" => Some(AbiVersion::V0_1_0),
            "proxy_abi_version_0_2_0" => Some(AbiVersion::V0_2_0),
            "proxy_abi_version_0_2_1" => Some(AbiVersion::V0_2_1),
            _ => None,
        }
    }
}

/// Turns the ABI's numbers into an enum, and what lies beyond into "bad argument".
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name { $($variant = $number),* }

        impl TryFrom<u32> for $name {
            type Error = HostcallError;
            fn try_from(number: u32) -> Result<Self, HostcallError> {
                match number {
                    $($number => Ok($name::$variant),)*
                    _ => Err(HostcallError::BadArgument),
                }
            }
        }
    };
}

numbered! {
    /// Buffers of bytes a guest may read, some of which it may write.
    BufferKind {
        RequestBody = 0, ResponseBody = 1, DownstreamData = 2, UpstreamData = 3, CallBody = 4,
        GrpcMessage = 5, VmConfiguration = 6, PluginConfiguration = 7, ForeignArguments = 8,
    }
}

numbered! {
    /// Maps of names and values.
    MapKind {
        RequestHeaders = 0, RequestTrailers = 1, ResponseHeaders = 2, ResponseTrailers = 3,
        GrpcInitialMetadata = 4, GrpcTrailingMetadata = 5, CallHeaders = 6, CallTrailers = 7,
    }
}

numbered! {
    /// Streams that can be continued and closed.
    StreamKind { Request = 0, Response = 1, Downstream = 2, Upstream = 3 }
}

numbered! {
    /// Levels of log lines.
    LogLevel { Trace = 0, Debug = 1, Info = 2, Warn = 3, Error = 4, Critical = 5 }
}
