//! The scenes' stage on the standalone host.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dtr_lb::config::ConfigFile;
use dtr_lb::plan::Plan;
use dtr_lb::{FILTER, HostOptions};
use dtr_lb_tests::LIMIT;
use proxy_wasm_testkit::Build;
use serde_json::json;
use tokio::runtime::Runtime;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::ends::Ends;
use super::scene::{Act, Setting, Stage};

pub(crate) struct Host {
    _host: dtr_lb::Host,
    _runtime: Runtime,
    address: SocketAddr,
    ends: Ends,
    log: GuestLog,
}

impl Host {
    pub(crate) fn open(setting: Setting) -> Host {
        let guest = Build::new("guests").example(setting.guest).run().unwrap();
        let ends = Ends::of(setting);
        let clusters = ends.upstreams.iter().map(
            |(name, upstream)| json!({ "name": name, "endpoints": [upstream.address.to_string()] }),
        );
        let config = json!({
            "listeners": [{ "bind": "127.0.0.1:0", "cluster": "default" }],
            "clusters": clusters.collect::<Vec<_>>(),
            "filters": [{
                "wasm": guest.path().unwrap(), "name": "plugin",
                "vm_id": "observed", "configuration": setting.configuration,
            }],
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("scene.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let plan = Plan::of_file(&ConfigFile::load(&file).unwrap());
        let log = GuestLog::default();
        let options = HostOptions {
            workers: NonZeroUsize::MIN,
            ..HostOptions::default()
        };
        let runtime = Runtime::new().unwrap();
        let start = dtr_lb::Host::start(plan, FILTER, options);
        let subscriber = tracing_subscriber::registry().with(log.clone());
        let host = runtime.block_on(start.with_subscriber(subscriber)).unwrap();
        Host {
            address: host.listeners()[0],
            _host: host,
            _runtime: runtime,
            ends,
            log,
        }
    }
}

impl Stage for Host {
    fn play(&mut self, act: Act) {
        self.ends.play(self.address, act);
    }

    fn logs(&self) -> Vec<String> {
        let lines = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }

    fn wait_for(&mut self, lines: usize) {
        let limit = Instant::now() + LIMIT;
        while self.logs().len() < lines && Instant::now() < limit {
            std::thread::yield_now();
        }
    }
}

/// What guests log.
#[derive(Clone, Default)]
struct GuestLog(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for GuestLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "filter" {
            event.record(&mut &*self);
        }
    }
}

impl Visit for &GuestLog {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let line = format!("{value:?}");
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A panic's second line stays out of Envoy's log lines.
            lines.push(line.lines().next().unwrap_or_default().to_owned());
        }
    }
}
