//! What is applied to a cluster.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// Wants a file to be manifests of Kubernetes, and says which, as `kubectl apply` does.
///
/// # Errors
/// When it is something else.
pub(crate) fn check(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut count = 0;
    for document in yaml_serde::Deserializer::from_str(&text) {
        let manifest = Value::deserialize(document)?;
        let field = |name: &str| {
            let value = manifest.pointer(name).and_then(Value::as_str);
            value.with_context(|| format!("a manifest without {name}: {manifest}"))
        };
        let (kind, name) = (field("/kind")?, field("/metadata/name")?);
        field("/apiVersion")?;
        println!("{}/{name} created", kind.to_lowercase());
        count += 1;
    }
    if count == 0 {
        bail!("{}: no manifest", file.display());
    }
    Ok(())
}
