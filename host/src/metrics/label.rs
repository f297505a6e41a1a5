//! Labels in Prometheus text.

pub(super) fn label(name: &str, value: &str) -> String {
    with_label("", name, value)
}

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
