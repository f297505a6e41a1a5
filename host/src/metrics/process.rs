//! The process as its system sees it, under the names that Prometheus' clients have.

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, WithCurrentSystemInfo};

use crate::metrics::exposition::Exposition;

/// What can't be read, as where there is no `/proc`, is left out.
pub(super) fn render_process(text: &mut Exposition) {
    let Ok(process) = Process::myself() else {
        return;
    };
    if let Ok(figures) = Figures::read(&process) {
        text.counter(
            "process_cpu_seconds_total",
            "User and system CPU time spent.",
            figures.cpu_seconds,
        );
        text.gauge(
            "process_resident_memory_bytes",
            "Resident memory.",
            figures.resident_bytes,
        );
        text.gauge(
            "process_virtual_memory_bytes",
            "Virtual memory.",
            figures.virtual_bytes,
        );
        text.gauge("process_threads", "Threads.", figures.threads);
        text.gauge(
            "process_start_time_seconds",
            "When the process started, in Unix seconds.",
            figures.start_time_seconds,
        );
    }
    if let Ok(open) = process.fd_count() {
        text.gauge("process_open_fds", "Open files.", open);
    }
    if let Ok(limits) = process.limits() {
        let most = match limits.max_open_files.soft_limit {
            LimitValue::Unlimited => "+Inf".to_owned(),
            LimitValue::Value(files) => files.to_string(),
        };
        text.gauge("process_max_fds", "Most open files.", most);
    }
}

struct Figures {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: i64,
    start_time_seconds: f64,
}

impl Figures {
    fn read(process: &Process) -> ProcResult<Figures> {
        let stat = process.stat()?;
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        Ok(Figures {
            cpu_seconds: seconds(stat.utime + stat.stime),
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            threads: stat.num_threads,
            start_time_seconds: procfs::boot_time_secs()? as f64 + seconds(stat.starttime),
        })
    }
}
