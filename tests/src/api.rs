//! Any request to the admin listener, and any answer.

use crate::connection::Connection;
use crate::http::Response;
use crate::proxy::Proxy;

impl Proxy {
    /// Sends a request to the admin listener, with these header lines and body.
    /// `Host` is the listener's own address and the length of a `PUT` its body's,
    /// unless they are among them.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn request_admin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let admin = self.addresses().admin;
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        let has = |wanted: &str| headers.iter().any(|(name, _)| *name == wanted);
        if !has("host") {
            head.push_str(&format!("host: {admin}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "PUT" && !has("content-length") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let request = [head.as_bytes(), b"\r\n", body].concat();
        let mut connection = Connection::open(admin).await;
        if method != "HEAD" {
            return connection.request(&request).await;
        }
        // To the end, though Envoy takes a second: this answer has a length and no body.
        connection.send(&request).await;
        let answer = connection.rest().await;
        Response::parse(&answer)
            .unwrap_or_else(|| panic!("{method} {path} is not answered: {answer:?}"))
    }

    /// `PUT /replicas/NAME` with this body, as JSON.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn put_replica(&self, name: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        let path = format!("/replicas/{name}");
        self.request_admin("PUT", &path, &all, body.as_bytes())
            .await
    }
}
