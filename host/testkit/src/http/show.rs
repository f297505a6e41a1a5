//! Showing a piece to the guest.

use bytes::BytesMut;

use proxy_wasm_engine::{Action, ContextId, End, Trap, Vm};

use crate::http::piece::Piece;
use crate::http::stream::{HalfKind, PausePoint};
use crate::simulator::Simulator;

impl Simulator {
    /// Shows a piece to the guest, and passes on what it lets through.
    pub(super) fn show(
        &mut self,
        key: usize,
        half_kind: HalfKind,
        context: ContextId,
        piece: Piece,
    ) {
        let worker = self.streams[key].worker;
        let (point, end) = match piece {
            Piece::Headers(_, end) => (PausePoint::Headers, end),
            Piece::Data(_, end) => (PausePoint::Body, end),
            Piece::Trailers(_) => (PausePoint::Trailers, End::Last),
        };
        let mut held = std::mem::take(&mut self.streams[key].half(half_kind).held);
        let action = self.call_guest(worker, |vm| show(vm, context, half_kind, piece, &mut held));
        let half = self.streams[key].half(half_kind);
        half.held = held;
        half.held_end = end == End::Last;
        match action {
            Some(Action::Pause) => half.paused = Some(point),
            Some(Action::Continue) => self.release(key, half_kind, point),
            // It trapped, and the stream has failed.
            None => {}
        }
    }
}

/// Runs the piece's callback; its properties are set before. `held` is the body that
/// the callback sees: a new piece behind what the guest has held back.
fn show(
    vm: &mut Vm,
    context: ContextId,
    half_kind: HalfKind,
    piece: Piece,
    held: &mut BytesMut,
) -> Result<Action, Trap> {
    let info = vm.http_mut(context);
    match (half_kind, piece) {
        (HalfKind::Request, Piece::Headers(headers, end)) => {
            if let Some(info) = info {
                info.request_headers = headers;
            }
            vm.request_headers(context, end)
        }
        (HalfKind::Response, Piece::Headers(headers, end)) => {
            if let Some(info) = info {
                info.response_headers = Some(headers);
            }
            vm.response_headers(context, end)
        }
        (HalfKind::Request, Piece::Data(bytes, end)) => {
            held.extend_from_slice(&bytes);
            if let Some(info) = info {
                info.request_size += bytes.len() as u64;
            }
            vm.request_body(context, held, end)
        }
        (HalfKind::Response, Piece::Data(bytes, end)) => {
            held.extend_from_slice(&bytes);
            if let Some(info) = info {
                info.response_size += bytes.len() as u64;
            }
            vm.response_body(context, held, end)
        }
        (HalfKind::Request, Piece::Trailers(trailers)) => {
            if let Some(info) = info {
                info.request_trailers = Some(trailers);
            }
            vm.request_trailers(context, held)
        }
        (HalfKind::Response, Piece::Trailers(trailers)) => {
            if let Some(info) = info {
                info.response_trailers = Some(trailers);
            }
            vm.response_trailers(context, held)
        }
    }
}
