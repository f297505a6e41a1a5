//! A piece of a request or response.

use proxy_wasm_engine::{End, Headers};

/// A piece of a request or response.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Headers(Headers, End),
    Data(Vec<u8>, End),
    Trailers(Headers),
}
