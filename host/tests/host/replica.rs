//! A stand-in replica.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};

/// A replica that sends its name to each client, then echoes.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) _bound: Option<TcpSocket>,
}

impl Replica {
    pub(crate) async fn start(name: &'static str) -> Replica {
        Replica::at(([127, 0, 0, 1], 0).into(), name).await.unwrap()
    }

    /// Sends back what it gets, and nothing before.
    pub(crate) async fn echo() -> Replica {
        Replica::start("").await
    }

    /// At this address of the machine.
    pub(crate) async fn at(address: SocketAddr, name: &'static str) -> io::Result<Replica> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = socket.split();
                    // A client that went away is its own affair.
                    let _ = write.write_all(name.as_bytes()).await;
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        Ok(Replica {
            address,
            _bound: None,
        })
    }

    /// Nobody listens there; nor gets anybody else the port meanwhile.
    pub(crate) async fn refusing() -> Replica {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        Replica {
            address,
            _bound: Some(socket),
        }
    }
}
