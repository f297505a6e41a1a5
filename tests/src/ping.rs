//! How a stand-in answers its probes.

/// One way to answer `/_ping`, and every other path of the health port.
#[derive(Clone, Debug)]
pub enum Ping {
    /// With this status and body.
    Says(u16, String),
    /// Never; the connection stays open.
    Hangs,
    /// By closing the connection without a word.
    Closes,
}

impl Ping {
    /// 200, as a healthy replica does.
    pub fn healthy() -> Self {
        Self::Says(200, r#"{"Error":"","Healthy":true}"#.to_owned())
    }

    /// 503 with this `Error`, as a sick replica does.
    pub fn fails(error: &str) -> Self {
        let body = serde_json::json!({ "Error": error, "Healthy": false });
        Self::Says(503, body.to_string())
    }

    /// Healthy, in a body of exactly so many bytes.
    pub fn healthy_in_bytes(length: usize) -> Self {
        let body = r#"{"Error":"","Healthy":true}"#;
        Self::Says(200, format!("{body:<length$}"))
    }
}
