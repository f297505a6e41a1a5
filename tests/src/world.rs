//! What a story happens in.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use dtr_lb::config::ConfigFile;
use dtr_lb::filter_for_envoy;
use dtr_lb::plan::Plan;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::log::subscribe_every_thread;
use crate::proxy::Proxy;
use crate::replica::Replica;
use crate::standin::Standin;

/// Which proxy a story is run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The standalone host, in this process.
    Host,
    /// A real Envoy, in one of its own.
    Envoy,
}

/// A folder, stand-in replicas, and a kind of proxy to put before them.
pub struct World {
    kind: Kind,
    folder: TempDir,
    /// The replicas' entries in the configuration.
    replicas: RefCell<Vec<Value>>,
}

impl World {
    /// Runs a story.
    ///
    /// # Panics
    /// When the story fails.
    pub fn run(kind: Kind, story: impl AsyncFnOnce(&Self)) {
        subscribe_every_thread();
        let world = Self {
            kind,
            folder: TempDir::new().unwrap(),
            replicas: RefCell::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let story = async { timeout(STORY_LIMIT, story(&world)).await };
        let ended = runtime.block_on(story);
        assert!(ended.is_ok(), "the story goes on after {STORY_LIMIT:?}");
    }

    /// Where a story may write files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts one more replica; the first is called `r1`.
    pub async fn replica(&self, replica: Replica) -> Standin {
        let mut replicas = self.replicas.borrow_mut();
        let standin = replica.start(&format!("r{}", replicas.len() + 1));
        replicas.push(standin.config());
        standin
    }

    /// Starts the proxy before the replicas so far.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn proxy(&self) -> Proxy {
        self.proxy_with(json!({})).await
    }

    /// Starts the proxy with more fields in its configuration, or other ones.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn proxy_with(&self, config: Value) -> Proxy {
        let filter = self.filter(&self.plan(config.clone()));
        self.proxy_of(&filter, config).await
    }

    /// Starts the proxy with another filter.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn proxy_of(&self, filter: &[u8], config: Value) -> Proxy {
        let started = Proxy::start(self.kind, self.plan(config), filter, self.folder()).await;
        started.unwrap_or_else(|error| panic!("{:?} does not start: {error:?}", self.kind))
    }

    /// Starts a proxy that [`World::reload`] can give another configuration: an Envoy
    /// that watches a folder, where others have all in their bootstrap.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn following_proxy(&self, config: Value) -> Proxy {
        let (kind, plan, folder) = (self.kind, self.plan(config), self.folder());
        let filter = self.filter(&plan);
        let started = Proxy::start_to_follow(kind, plan, &filter, folder).await;
        started.unwrap_or_else(|error| panic!("{:?} does not start: {error:?}", self.kind))
    }

    /// Starts an Envoy from a bootstrap that is edited first.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn edited_proxy(&self, config: Value, edit: impl FnOnce(String) -> String) -> Proxy {
        let plan = self.plan(config);
        let filter = self.filter(&plan);
        let started = Proxy::start_edited(&plan, &filter, edit, self.folder()).await;
        started.unwrap_or_else(|error| panic!("Envoy does not start: {error:?}"))
    }

    /// Starts one more Envoy, which watches the folder of [`World::following_proxy`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn follows_the_same_folder(&self, config: Value) -> Proxy {
        let started = Proxy::start_beside(&self.plan(config), self.folder()).await;
        started.unwrap_or_else(|error| panic!("Envoy does not start: {error:?}"))
    }

    /// Waits for what earlier configurations have left in an Envoy to be of no use any
    /// more, and removes it.
    ///
    /// # Panics
    /// When Envoy refuses that.
    pub async fn remove_leftovers(&self, proxy: &mut Proxy, config: Value) {
        proxy.removes_leftovers(&self.plan(config)).await;
    }

    /// Has a running proxy go on with another configuration, before the replicas
    /// there are by now.
    ///
    /// # Panics
    /// When it refuses, or is an Envoy that does not follow any.
    pub async fn reload(&self, proxy: &mut Proxy, config: Value) {
        let filter = self.filter(&self.plan(config.clone()));
        self.reload_with(proxy, &filter, config).await;
    }

    /// The same with another filter.
    ///
    /// # Panics
    /// When it refuses, or is an Envoy that does not follow any.
    pub async fn reload_with(&self, proxy: &mut Proxy, filter: &[u8], config: Value) {
        proxy.reload(self.plan(config), filter).await;
    }

    /// What a story's configuration comes to.
    fn plan(&self, config: Value) -> Plan {
        Plan::of_file(&self.config(config))
    }

    /// The filter as this kind of proxy is given it.
    fn filter(&self, plan: &Plan) -> Cow<'static, [u8]> {
        match self.kind {
            Kind::Host => dtr_lb::FILTER.into(),
            Kind::Envoy => filter_for_envoy(plan),
        }
    }

    /// A story's configuration, checked.
    ///
    /// # Panics
    /// When it is wrong.
    pub fn config(&self, config: Value) -> ConfigFile {
        let mut whole = base();
        match config.get("services") {
            Some(_) => {
                let fields = whole.as_object_mut().unwrap();
                fields.retain(|field, _| !OF_A_REGISTRY.contains(&field.as_str()));
            }
            None => whole["replicas"] = self.replicas.borrow().clone().into(),
        }
        merge(&mut whole, config);
        let file = self.folder().join("lb.json").display().to_string();
        ConfigFile::parse(&whole.to_string(), &file)
            .unwrap_or_else(|error| panic!("the story's configuration: {error}"))
    }
}

/// Every timer is short, so that a story need not wait; and none so short that a
/// busy machine makes a healthy replica late three times in a row.
fn base() -> Value {
    json!({
        "fqdn": FQDN,
        "listeners": [{ "bind": "127.0.0.1:0", "port": PORT }],
        "health": {
            "target": format!("http:{HEALTH_PORT}/_ping"),
            "interval": "250ms",
            "fast_interval": "100ms",
            "timeout": "250ms",
            "rise": 2,
            "fall": 3,
        },
        "passive": { "hold": "1s" },
        "compare_interval": "1h",
        "connect_timeout": "500ms",
        "dns_refresh": "1s",
        "drain_timeout": "1s",
        "admin": { "bind": "127.0.0.1:0" },
    })
}

/// For stories of single answers: probes of which a busy machine makes none late.
pub fn patient_probes() -> Value {
    json!({ "health": { "interval": "500ms", "timeout": "500ms" } })
}

/// A service of this name before these replicas, whose fqdn is `NAME.example.com`, with
/// more fields or other ones.
pub fn service(name: &str, replicas: &[&Standin], more: Value) -> Value {
    let mut whole = base();
    let fields = whole.as_object_mut().unwrap();
    fields.retain(|field, _| OF_A_REGISTRY.contains(&field.as_str()));
    let replicas = replicas.iter().map(|replica| replica.config());
    whole["replicas"] = replicas.collect::<Vec<_>>().into();
    whole["name"] = name.into();
    whole["fqdn"] = format!("{name}.example.com").into();
    merge(&mut whole, more);
    whole
}

/// Objects are merged field by field, anything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (field, value) in from {
                merge(into.entry(field).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Longest time of a story: each of its waits has a limit, and so has their sum.
const STORY_LIMIT: Duration = Duration::from_secs(300);
/// Fields of [`base`] that each of several services has.
const OF_A_REGISTRY: [&str; 4] = ["fqdn", "health", "passive", "compare_interval"];
/// The registry's name.
pub const FQDN: &str = "dtr.example.com";
/// The service's port; each stand-in names its own for it.
pub(crate) const PORT: u16 = 443;
/// The port of the probes; each stand-in names its own for it.
pub(crate) const HEALTH_PORT: u16 = 8080;
