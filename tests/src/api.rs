//! Any request to the admin listener, and any answer.

use crate::connection::Connection;
use crate::http::Response;
use crate::proxy::Proxy;

impl Proxy {
    /// Sends a request to the admin listener, with these header lines and body.
    /// `Host` is the listener's own address unless it is among them.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn asked(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let admin = self.addresses().admin;
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str(&format!("host: {admin}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "PUT" {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let mut connection = Connection::open(admin).await;
        connection
            .send(&[head.as_bytes(), b"\r\n", body].concat())
            .await;
        // To the end: the answer to HEAD has a length and no body.
        let answer = connection.rest().await;
        Response::parse(&answer)
            .unwrap_or_else(|| panic!("{method} {path} is not answered: {answer:?}"))
    }

    /// `PUT /replicas/NAME` with this body, as JSON.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn puts(&self, name: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        let path = format!("/replicas/{name}");
        self.asked("PUT", &path, &all, body.as_bytes()).await
    }
}
