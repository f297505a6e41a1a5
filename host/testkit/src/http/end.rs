//! How an HTTP stream ends.

use proxy_wasm_engine::ContextId;
use proxy_wasm_engine::envoy::local_reply;

use crate::http::stream::StreamEnd;
use crate::simulator::Simulator;

impl Simulator {
    pub(crate) fn reset_http(&mut self, worker: usize, context: ContextId) {
        if let Some(key) = self.stream_of(worker, context) {
            self.finish_stream(key, StreamEnd::Reset);
        }
    }

    /// The stream is over: `on_log`, `on_done`, `on_delete`.
    pub(crate) fn finish_stream(&mut self, key: usize, ended: StreamEnd) {
        let stream = &mut self.streams[key];
        if stream.ended.is_some() {
            return;
        }
        stream.ended = Some(ended);
        stream.request.stopped = true;
        let Some(context) = stream.context else {
            return;
        };
        let worker = stream.worker;
        let duration = self.kit_state.now() - stream.started;
        if let Some(info) = self.info_mut(key) {
            info.duration = Some(duration);
        }
        self.streams[key].filter_state = self.filter_states(worker, context);
        self.call_guest(worker, |vm| vm.finish(context));
        self.streams[key].context = None;
    }

    /// The filter's VM is gone: the request fails.
    pub(crate) fn fail_stream(&mut self, key: usize) {
        let stream = &mut self.streams[key];
        stream.context = None;
        if stream.ended.is_none() {
            let reply = local_reply(503, "");
            self.local_reply(
                key,
                reply.headers,
                reply.body,
                "wasm_fail_stream".to_owned(),
            );
        }
    }

    pub(crate) fn orphan_streams(&mut self, worker: usize) {
        for key in 0..self.streams.len() {
            let stream = &self.streams[key];
            if stream.worker == worker && stream.ended.is_none() && stream.first_context.is_some() {
                self.fail_stream(key);
            }
        }
    }
}
