//! Keeps the operator's orders for the next start.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dtr_lb_filter::contract::metric_name::CHANGES_ANNOUNCED;
use dtr_lb_filter::contract::{VM_ID, shared_key};
use dtr_lb_filter::shared::board::ORDERS;
use dtr_lb_filter::shared::orders::{OrderRecord, Orders};
use proxy_wasm_engine::Shared;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::sleep;
use tracing::{error, info};

use crate::plan::Plan;
use crate::replace_file::replace_file;

/// The file of the orders that the VMs share, in the configured folder.
pub(super) struct OrderFile {
    path: PathBuf,
    /// Those whose orders are kept; the only registry has no name.
    services: Vec<Option<String>>,
    vm_data: Shared,
    last_write: LastWrite,
}

/// What was written last, and where; `None`: nothing yet. Held while a file is written, by
/// whichever plan's: at a reload those of two plans write to the same path.
pub(super) type LastWrite = Arc<Mutex<Option<(PathBuf, Vec<OrderRecord>)>>>;

/// What is written.
#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    orders: Vec<OrderRecord>,
}

impl OrderFile {
    /// The plan's; `None`: orders end with the process.
    pub(super) fn of(plan: &Plan, vm_data: &Shared, last_write: &LastWrite) -> Option<OrderFile> {
        let folder = plan.state_dir.as_ref()?;
        let services = match &plan.services {
            None => vec![None],
            Some(services) => services.names.iter().cloned().map(Some).collect(),
        };
        Some(OrderFile {
            path: folder.join("orders.json"),
            services,
            vm_data: vm_data.clone(),
            last_write: Arc::clone(last_write),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Has the VMs find the orders of the last process. A file that can't be read is put
    /// aside: a start does not fail for it.
    pub(super) fn load(&self) {
        let read = fs::read(&self.path).map(|text| serde_json::from_slice::<Contents>(&text));
        let problem = match read {
            Ok(Ok(contents)) if contents.version == VERSION => return self.share(contents.orders),
            Ok(Ok(contents)) => format!("it is of version {}, not {VERSION}", contents.version),
            Ok(Err(problem)) => problem.to_string(),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return,
            Err(problem) => problem.to_string(),
        };
        let aside = self.path.with_extension("bad");
        // What is written next is refused when this is.
        let _ = fs::rename(&self.path, &aside);
        error!(
            "{}: no order is read from it: {problem}; what was ordered before this start does \
             not hold; see {}",
            self.path.display(),
            aside.display()
        );
    }

    fn share(&self, orders: Vec<OrderRecord>) {
        if !orders.is_empty() {
            let names: Vec<&str> = orders.iter().map(|one| one.replica.as_str()).collect();
            info!("orders of before this start hold for {}", names.join(", "));
        }
        for service in &self.services {
            let of_service = |order: &&OrderRecord| match order.replica.split_once('/') {
                Some((name, _)) => service.as_deref() == Some(name),
                None => service.is_none(),
            };
            let orders = orders.iter().filter(of_service).cloned();
            if let Some(value) = orders.collect::<Orders>().to_value() {
                let key = shared_key(ORDERS, service.as_deref());
                self.vm_data.set_data(VM_ID, key.as_bytes(), &value);
            }
        }
        // Those that run already look again.
        self.vm_data.count_up(CHANGES_ANNOUNCED);
    }

    /// The orders as they are.
    fn current(&self) -> Vec<OrderRecord> {
        let of_service = |service: &Option<String>| {
            let key = shared_key(ORDERS, service.as_deref());
            let value = self.vm_data.data(VM_ID, key.as_bytes());
            value.and_then(|value| Orders::of_value(&value))
        };
        let orders = self.services.iter().filter_map(of_service);
        orders.flat_map(Orders::into_records).collect()
    }

    /// Writes what has changed since the last time.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) async fn save(self: &Arc<Self>) -> io::Result<()> {
        let last = Arc::clone(&self.last_write).lock_owned().await;
        match last.as_ref() {
            Some((path, orders)) if *path == self.path && *orders == self.current() => Ok(()),
            _ => self.write(last).await,
        }
    }

    /// Waits until nothing is being written, whoever asked for it.
    pub(super) async fn written(&self) {
        drop(self.last_write.lock().await);
    }

    async fn write(
        self: &Arc<Self>,
        mut last: OwnedMutexGuard<Option<(PathBuf, Vec<OrderRecord>)>>,
    ) -> io::Result<()> {
        let own = Arc::clone(self);
        let writing = move || {
            let contents = Contents {
                version: VERSION,
                orders: own.current(),
            };
            let mut text = serde_json::to_vec_pretty(&contents)?;
            text.push(b'\n');
            replace_file(&own.path, &text, 0o640)?;
            *last = Some((own.path.clone(), contents.orders));
            Ok(())
        };
        tokio::task::spawn_blocking(writing).await?
    }

    /// Writes, for as long as it is polled, what changes in another way than by an order:
    /// those are written before they are answered.
    pub(super) async fn run(self: Arc<Self>) -> Infallible {
        let mut failed = false;
        loop {
            match (self.save().await, failed) {
                (Err(problem), false) => {
                    let path = self.path.display();
                    error!(
                        "{path}: orders can't be written and would not outlive a restart: {problem}; \
                         give room or permission; it is tried again every second"
                    );
                    failed = true;
                }
                (Ok(()), true) => {
                    info!("{}: orders are written again", self.path.display());
                    failed = false;
                }
                (Err(_), true) | (Ok(()), false) => {}
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// Of the file's form.
const VERSION: u32 = 1;

/// How long a change that no request made may stay unwritten.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::captured_log::CapturedLog;
    use dtr_lb_filter::balance::order::Order;

    fn record(replica: &str) -> OrderRecord {
        OrderRecord {
            replica: replica.to_owned(),
            state: Order::Drain,
            since_unix_ms: 5,
            comment: "a new disk".to_owned(),
            configured: Order::Ready,
        }
    }

    fn file(folder: &Path, services: &[Option<&str>]) -> OrderFile {
        OrderFile {
            path: folder.join("orders.json"),
            services: services.iter().map(|one| one.map(str::to_owned)).collect(),
            vm_data: Shared::new(),
            last_write: LastWrite::default(),
        }
    }

    #[tokio::test]
    async fn the_next_process_finds_the_orders_of_each_service() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            (vec![None], vec!["r1", "r2"]),
            (
                vec![Some("dtr"), Some("quay")],
                vec!["dtr/r1", "quay/r1", "quay/r2"],
            ),
        ];
        for (services, replicas) in cases {
            let orders: Vec<OrderRecord> = replicas.iter().map(|name| record(name)).collect();
            let last = Arc::new(file(folder.path(), &services));
            last.share(orders.clone());
            last.save().await.unwrap();
            let next = file(folder.path(), &services);
            assert_eq!(next.current(), []);
            next.load();
            assert_eq!(next.current(), orders);
        }
        // Those of services that are gone are nobody's.
        let other = file(folder.path(), &[None]);
        other.load();
        assert_eq!(other.current(), []);
    }

    #[tokio::test]
    async fn what_can_not_be_read_is_put_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            ("half of it", r#"{"version": 1, "ord"#),
            ("another version", r#"{"version": 2, "orders": []}"#),
            ("nothing", ""),
        ];
        for (why, text) in cases {
            let (log, _guard) = CapturedLog::start();
            let orders = Arc::new(file(folder.path(), &[None]));
            fs::write(orders.path(), text).unwrap();
            orders.load();
            assert_eq!(orders.current(), [], "{why}");
            let aside = fs::read_to_string(folder.path().join("orders.bad")).unwrap();
            assert_eq!(aside, text, "{why}");
            assert!(
                log.text().contains("does not hold; see "),
                "{why}: {}",
                log.text()
            );
            orders.save().await.unwrap();
        }
    }

    #[tokio::test]
    async fn only_changes_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let orders = Arc::new(file(folder.path(), &[None]));
        orders.save().await.unwrap();
        fs::remove_file(orders.path()).unwrap();
        orders.save().await.unwrap();
        assert!(!orders.path().exists(), "nothing has changed");
        orders.share(vec![record("r1")]);
        orders.save().await.unwrap();
        assert!(
            fs::read_to_string(orders.path())
                .unwrap()
                .contains("a new disk")
        );
        orders.share(vec![record("r2")]);
        drop(folder);
        orders.save().await.unwrap_err();
    }

    #[tokio::test]
    async fn two_plans_never_write_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let current = Arc::new(file(folder.path(), &[None]));
        let next = Arc::new(OrderFile {
            path: current.path.clone(),
            services: current.services.clone(),
            vm_data: current.vm_data.clone(),
            last_write: Arc::clone(&current.last_write),
        });
        for round in 0..100 {
            let write = async |file: &Arc<OrderFile>| {
                file.write(Arc::clone(&file.last_write).lock_owned().await)
                    .await
            };
            let (saved, proven) = tokio::join!(write(&current), write(&next));
            assert!(
                saved.is_ok() && proven.is_ok(),
                "{round}: {saved:?}, {proven:?}"
            );
        }
        next.share(vec![record("r1")]);
        next.save().await.unwrap();
        fs::remove_file(next.path()).unwrap();
        current.save().await.unwrap();
        assert!(!next.path().exists(), "the other one has written it");
    }

    #[tokio::test]
    async fn another_folder_is_written_though_no_order_has_changed() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = Arc::new(file(first.path(), &[None]));
        first.save().await.unwrap();
        let second = Arc::new(OrderFile {
            last_write: Arc::clone(&first.last_write),
            ..file(second.path(), &[None])
        });
        second.save().await.unwrap();
        assert!(second.path().exists());
    }
}
