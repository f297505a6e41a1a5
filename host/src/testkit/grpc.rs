//! An upstream's end of a gRPC stream.

use std::cell::RefCell;
use std::rc::Rc;

use super::agenda::CallKey;
use super::stage::Stage;

/// An upstream's end of a gRPC stream that the guest opened; made by
/// [`TestKit::grpc_stream`](super::TestKit::grpc_stream). What the guest sends is
/// among the [requests](super::TestKit::requests_to) of its cluster.
pub struct GrpcStream {
    stage: Rc<RefCell<Stage>>,
    key: CallKey,
}

impl GrpcStream {
    pub(super) fn new(stage: Rc<RefCell<Stage>>, key: CallKey) -> GrpcStream {
        GrpcStream { stage, key }
    }

    /// Sends a message. On a closed stream it is lost.
    pub fn send(&mut self, message: impl AsRef<[u8]>) {
        let mut stage = self.stage.borrow_mut();
        stage.grpc_push(self.key, message.as_ref().to_vec());
        stage.settle();
    }

    /// Ends the stream with this status; 0 is success.
    pub fn close(&mut self, status: u32, message: &str) {
        self.close_with(status, message, &[]);
    }

    /// Ends the stream with this status and trailing metadata.
    pub fn close_with(&mut self, status: u32, message: &str, trailers: &[(&str, &str)]) {
        let trailers = trailers.iter();
        let trailers =
            trailers.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let trailers = trailers.collect();
        let mut stage = self.stage.borrow_mut();
        stage.grpc_end(self.key, status, message, trailers);
        stage.settle();
    }

    /// Whether neither side has ended it.
    pub fn is_open(&self) -> bool {
        self.stage.borrow().calls.contains_key(&self.key)
    }
}
