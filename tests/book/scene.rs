//! What has happened on a page's machine before it is read.

/// A state of affairs, and what follows from it.
pub(crate) struct Scene {
    /// The page's path.
    pub(crate) page: &'static str,
    /// Replicas whose process is gone.
    pub(crate) gone: &'static [&'static str],
    /// Replicas whose clock is ahead.
    pub(crate) ahead: &'static [&'static str],
    /// What was entered before.
    pub(crate) before: &'static [&'static str],
    /// Exit codes of commands that begin so, where they are not 0.
    pub(crate) codes: &'static [(&'static str, i32)],
    /// What commands that begin so print.
    pub(crate) shows: &'static [(&'static str, &'static str)],
}

impl Scene {
    /// The one of this page; where none is described, all is well.
    pub(crate) fn of(page: &str) -> &'static Scene {
        let known = SCENES.iter().find(|scene| scene.page == page);
        known.unwrap_or(&ALL_IS_WELL)
    }

    /// All that are described.
    pub(crate) fn all() -> &'static [Scene] {
        &SCENES
    }
}

const ALL_IS_WELL: Scene = Scene {
    page: "",
    gone: &[],
    ahead: &[],
    before: &[],
    codes: &[],
    shows: &[],
};

static SCENES: [Scene; 10] = [
    Scene {
        page: "docs/runbooks/balancer-down.md",
        before: &["systemctl stop dtr-lb"],
        codes: &[("systemctl status dtr-lb", 3), ("curl", 7)],
        shows: &[("journalctl", "no more connections are accepted")],
        ..ALL_IS_WELL
    },
    Scene {
        page: "docs/runbooks/clock-skew.md",
        ahead: &["r2"],
        before: &[
            "until curl -s http://127.0.0.1:8181/status | jq --exit-status '.disagreements != []'
             do :; done",
        ],
        shows: &[("dtr-lb status", "\"r2\""), ("for r in", "date: ")],
        ..ALL_IS_WELL
    },
    Scene {
        page: "docs/runbooks/connect-failures.md",
        gone: &["r2"],
        shows: &[("dtr-lb status", "refused"), ("journalctl", R2_IS_DOWN)],
        ..ALL_IS_WELL
    },
    Scene {
        page: "docs/runbooks/filter-failed.md",
        before: &[
            "BOOK_ERRAND=broken-filter:/etc/dtr-lb/broken.wasm $BOOK",
            "config=$(jq '.filters = [{ wasm: \"broken.wasm\" }]' /etc/dtr-lb/lb.json)
             echo \"$config\" >/etc/dtr-lb/lb.json",
            "systemctl restart dtr-lb",
            "curl -s https://dtr.example.com/_ping",
        ],
        shows: &[
            ("journalctl", "\"broken\""),
            ("curl", "dtr_lb_host_vm_failures_total 1"),
        ],
        ..ALL_IS_WELL
    },
    Scene {
        page: "docs/runbooks/probes-stopped.md",
        // They go on.
        codes: &[("journalctl", 1)],
        shows: &[("dtr-lb status", "good ")],
        ..ALL_IS_WELL
    },
    Scene {
        page: "docs/runbooks/log-lines-dropped.md",
        // No line was.
        codes: &[("journalctl -u dtr-lb", 1)],
        ..ALL_IS_WELL
    },
    Scene {
        page: "docs/runbooks/no-usable-replica.md",
        gone: &["r1", "r2", "r3"],
        codes: &[("dtr-lb status", 1), ("dtr-lb check", 1)],
        shows: &[
            ("dtr-lb status", "refused"),
            ("journalctl", "no replica is left"),
            ("dtr-lb check", "r3"),
        ],
        ..ALL_IS_WELL
    },
    Scene {
        page: "docs/runbooks/reload-failed.md",
        before: &[
            "sed -i 's/\"replicas\"/\"replica\"/' /etc/dtr-lb/lb.json",
            "! systemctl reload dtr-lb",
        ],
        codes: &[("dtr-lb check", 2)],
        shows: &[("dtr-lb check", "replica"), ("journalctl", "unknown field")],
        ..ALL_IS_WELL
    },
    Scene {
        page: "docs/runbooks/replica-down.md",
        gone: &["r2"],
        codes: &[("dtr-lb check", 1), ("curl", 7)],
        shows: &[("dtr-lb status", "refused"), ("journalctl", R2_IS_DOWN)],
        ..ALL_IS_WELL
    },
    Scene {
        page: "docs/runbooks/replica-flapping.md",
        gone: &["r2"],
        shows: &[("journalctl", R2_IS_DOWN)],
        ..ALL_IS_WELL
    },
];

const R2_IS_DOWN: &str = "replica \"r2\" is unhealthy";
