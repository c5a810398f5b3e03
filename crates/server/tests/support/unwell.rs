//! Filters that are not well, and filters that say what a test wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is wrong with a filter.
#[derive(Debug, Clone, Copy)]
pub enum Ill {
    /// It takes connections, and says nothing.
    Hangs,
    /// It reads something, and is gone.
    Dies,
    /// It says what is of no protocol.
    Babbles,
    /// It says the start of an answer, an octet at a time and without end.
    Dribbles,
}

/// A program that listens. It stops with its handle.
pub struct Listening {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Talks with each connection as `talk` does, which is told which one it is.
    pub async fn start<F, T>(talk: F) -> Self
    where
        F: Fn(TcpStream, usize) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(talk(tcp, count.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    pub async fn ill(ill: Ill) -> Self {
        Self::start(move |mut tcp, _| async move {
            let mut room = [0; 1024];
            // Whatever the server does about it, this one goes on.
            match ill {
                Ill::Hangs => tokio::time::sleep(Duration::from_secs(3600)).await,
                Ill::Dies => drop(tcp.read(&mut room).await),
                Ill::Babbles => {
                    let _ = tcp
                        .write_all(b"\x00\x00\x00\x05what?\r\n\0\xff\xff\xff\xff\r\n\r\n")
                        .await;
                    while tcp.read(&mut room).await.is_ok_and(|n| n > 0) {}
                }
                Ill::Dribbles => {
                    for octet in std::iter::once(0).chain(std::iter::repeat(b's')) {
                        if tcp.write_all(&[octet]).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
        })
        .await
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one packet of the milter protocol.
pub async fn packet(tcp: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let len = tcp.read_u32().await.ok()?;
    let mut data = vec![0; len as usize];
    tcp.read_exact(&mut data).await.ok()?;
    Some((data[0], data[1..].to_vec()))
}

/// Says one packet of the milter protocol.
pub async fn say(tcp: &mut TcpStream, letter: u8, data: &[u8]) {
    let len = u32::try_from(data.len() + 1).expect("short");
    let all = [&len.to_be_bytes()[..], &[letter], data].concat();
    // It may be gone.
    let _ = tcp.write_all(&all).await;
}
