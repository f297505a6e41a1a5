//! Carrying out what guests ask for.

use proxy_wasm_engine::{Effect, Vm};

use crate::simulator::Simulator;
use crate::simulator::event_queue::Event;

impl Simulator {
    pub(crate) fn carry_out_effects(&mut self) -> bool {
        let mut any = false;
        for worker in 0..self.workers.len() {
            while let Some(effect) = (self.workers[worker].vm.as_mut()).and_then(Vm::next_effect) {
                any = true;
                self.carry_out(worker, effect);
            }
        }
        any
    }

    fn carry_out(&mut self, worker: usize, effect: Effect) {
        match effect {
            Effect::Tick { root, period } => {
                let setting = self.workers[worker].set_tick(root, period);
                if let (Some(period), Some(setting)) = (period, setting) {
                    let event = Event::Tick {
                        worker,
                        root,
                        setting,
                    };
                    self.event_queue.put(self.now() + period, event);
                }
            }
            Effect::HttpCall(call) => self.http_call(worker, call),
            Effect::GrpcCall(call) => self.grpc_call(worker, call),
            Effect::GrpcStream(call) => self.grpc_stream(worker, call),
            Effect::GrpcSend {
                token,
                message,
                end,
            } => self.grpc_send(worker, token, message, end),
            Effect::GrpcClose(token) => self.grpc_half_close(worker, token),
            Effect::GrpcCancel(token) => self.forget_call(worker, token),
            Effect::ContinueDownstream(context) => self.continue_downstream(worker, context),
            Effect::ContinueUpstream(context) => self.continue_upstream(worker, context),
            Effect::ContinueRequest(context) => self.continue_request(worker, context),
            Effect::ContinueResponse(context) => self.continue_response(worker, context),
            Effect::CloseStream(context) => self.close_connection(worker, context),
            Effect::ResetHttp(context) => self.reset_http(worker, context),
            Effect::LocalResponse {
                context,
                status,
                headers,
                body,
                details,
                ..
            } => self.local_response(worker, context, status, headers, body, details),
            Effect::SkipData(context) => self.skip_data(worker, context),
            Effect::ClearRouteCache(_) => {}
        }
    }
}
