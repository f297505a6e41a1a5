//! Metrics as Prometheus text, format 0.0.4.

use std::fmt::{Display, Write};

/// Metrics as Prometheus text, one family after the other.
#[derive(Default)]
pub(super) struct Exposition(String);

/// What a histogram has counted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Distribution {
    /// Upper bounds, and how many values are at most that.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) sum: f64,
}

impl Exposition {
    pub(super) fn into_text(self) -> String {
        self.0
    }

    pub(super) fn counters<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, V)>,
    ) {
        self.head(name, "counter", help);
        self.samples(name, samples);
    }

    pub(super) fn gauges<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, V)>,
    ) {
        self.head(name, "gauge", help);
        self.samples(name, samples);
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.counters(name, help, [(String::new(), value)]);
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.gauges(name, help, [(String::new(), value)]);
    }

    pub(super) fn histograms(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, Distribution)>,
    ) {
        self.head(name, "histogram", help);
        for (labels, values) in samples {
            let Distribution {
                buckets,
                count,
                sum,
            } = values;
            let bounds = buckets
                .iter()
                .map(|(bound, below)| (bound.to_string(), *below));
            for (bound, below) in bounds.chain([("+Inf".to_owned(), count)]) {
                let labels = with_label(&labels, "le", &bound);
                self.line(&format!("{name}_bucket"), &labels, below);
            }
            self.line(&format!("{name}_sum"), &labels, sum);
            self.line(&format!("{name}_count"), &labels, count);
        }
    }

    fn samples<V: Display>(&mut self, name: &str, samples: impl IntoIterator<Item = (String, V)>) {
        for (labels, value) in samples {
            self.line(name, &labels, value);
        }
    }

    // Nothing of what follows can fail: it is written to memory.
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// The labels of a sample that has one.
pub(super) fn label(name: &str, value: &str) -> String {
    with_label("", name, value)
}

/// The labels of a sample, and one more.
pub(super) fn with_label(labels: &str, name: &str, value: &str) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    match labels.strip_suffix('}') {
        Some(labels) => format!("{labels},{name}=\"{value}\"}}"),
        None => format!("{{{name}=\"{value}\"}}"),
    }
}
