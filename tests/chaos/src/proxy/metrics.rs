//! A balancer's metrics, as Prometheus text.

use anyhow::{Result, ensure};

use super::{Kind, Places, http};

/// What they were at one moment.
pub(super) struct Metrics {
    text: String,
}

impl Metrics {
    /// Those of a balancer of ours.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn of(kind: Kind, places: &Places) -> Result<Self> {
        let text = match kind {
            Kind::Envoy => http::get(places.envoy, "/stats/prometheus").await?,
            _ => http::get(places.admin, "/metrics").await?,
        };
        Ok(Self { text })
    }

    /// The sum of all that have this name, each without its sign: a gauge below zero
    /// is as wrong as one above.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn sum(&self, name: &str) -> Result<u64> {
        let values = self.text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let named = rest.starts_with([' ', '{']);
            let value = rest.rsplit(' ').next()?.trim().parse::<f64>().ok()?;
            named.then_some(value.abs())
        });
        let values: Vec<f64> = values.collect();
        ensure!(!values.is_empty(), "no metric {name}");
        Ok(values.iter().sum::<f64>() as u64)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::Metrics;

    #[test]
    fn a_name_is_whole_and_its_values_are_summed_without_their_signs() {
        let text = "# TYPE a gauge\na{x=\"1\"} 2\na{x=\"2\"} -3\na_b 7\nnone\n".to_owned();
        let metrics = Metrics { text };
        assert_eq!(metrics.sum("a").unwrap(), 5);
        assert_eq!(metrics.sum("a_b").unwrap(), 7);
        assert_eq!(metrics.sum("b").unwrap_err().to_string(), "no metric b");
        assert!(metrics.sum("none").is_err(), "a line without a value");
    }
}
