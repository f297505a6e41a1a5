//! Any request to the admin listener, and any answer.

use std::io;

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::certificate::Authority;
use crate::connection::Connection;
use crate::eventually::within;
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

    /// `GET`s a page of the admin listener over TLS, which must show a certificate of this
    /// authority for this name.
    ///
    /// # Panics
    /// When it shows another, or there is no answer.
    pub async fn get_admin_over_tls(
        &self,
        path: &str,
        authority: &Authority,
        name: &str,
    ) -> Response {
        let admin = self.addresses().admin;
        let exchange = async {
            let socket = TcpStream::connect(admin).await?;
            let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
            let mut stream = authority.connector().connect(name, socket).await?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            Response::read(&mut stream).await
        };
        let answer = within("an answer over TLS", exchange).await;
        answer.unwrap_or_else(|error| panic!("{path} over TLS: {error}"))
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
