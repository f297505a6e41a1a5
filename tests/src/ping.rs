//! How a stand-in answers its probes.

/// One way to answer `/_ping`, and every other path of the health port.
#[derive(Clone, Debug)]
pub enum Ping {
    /// With this status and body.
    Says(u16, String),
    /// By the path asked for: path, status and body; 404 to other paths.
    ByPath(Vec<(String, u16, String)>),
    /// With these bytes, head and all; the connection stays open.
    Sends(Vec<u8>),
    /// 200, with a clock that is this many seconds ahead, and this `Server`.
    Reveals(u64, &'static str),
    /// With a head that promises more than ever comes: a byte of it at a time.
    Drips,
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

    /// By the path asked for: path, status and body; 404 to other paths.
    pub fn by_path(answers: &[(&str, u16, &str)]) -> Self {
        let owned = |(path, status, body): &(&str, u16, &str)| {
            ((*path).to_owned(), *status, (*body).to_owned())
        };
        Self::ByPath(answers.iter().map(owned).collect())
    }

    /// What is answered to this path.
    pub(crate) fn at(&self, path: &str) -> Self {
        let Self::ByPath(answers) = self else {
            return self.clone();
        };
        let answer = answers.iter().find(|(known, ..)| known == path);
        answer.map_or(Self::Says(404, String::new()), |(_, status, body)| {
            Self::Says(*status, body.clone())
        })
    }

    /// Healthy, in a body of exactly `length` bytes.
    pub fn healthy_in_bytes(length: usize) -> Self {
        let body = r#"{"Error":"","Healthy":true}"#;
        Self::Says(200, format!("{body:<length$}"))
    }
}
