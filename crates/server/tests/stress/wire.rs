//! Our client engine on a socket.

use bytes::Bytes;
use mailwright_imap::client::{Client, Command, Config, Event, Handle};
use mailwright_wire::{Machine, Step};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Wire {
    pub client: Client,
    stream: TcpStream,
    /// What was said last, for whoever looks for the reason of a failure.
    said: VecDeque<(char, Bytes)>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (who, octets) in &self.said {
                println!(
                    "{who} {}",
                    octets.escape_ascii().to_string().replace("\\r\\n", "\n  ")
                );
            }
        }
    }
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut config = Config::default();
        config.allow_plaintext = true;
        config.reply_timeout = Duration::from_secs(60);
        Self {
            client: Client::new(config, [7; 32], Instant::now()),
            stream,
            said: VecDeque::new(),
        }
    }

    /// The next event. May be given up while it waits.
    pub async fn event(&mut self) -> Event {
        loop {
            match self.client.poll(Instant::now()).expect("the session goes on") {
                Step::Event(event) => return event,
                Step::Write => {
                    let n = self.stream.write(self.client.send_buf()).await.unwrap();
                    self.note('C', n);
                    self.client.sent(n);
                }
                Step::Read => {
                    let patience = Duration::from_secs(60);
                    let read = self.stream.read(self.client.recv_buf());
                    let n = tokio::time::timeout(patience, read).await;
                    let n = n.expect("an answer in time").unwrap();
                    self.note('S', n);
                    self.client.received(n);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn note(&mut self, who: char, n: usize) {
        let octets = match who {
            'C' => &self.client.send_buf()[..n],
            _ => &self.client.recv_buf()[..n],
        };
        self.said.push_back((who, Bytes::copy_from_slice(octets)));
        if self.said.len() > 30 {
            self.said.pop_front();
        }
    }

    /// Queues commands. `messages` are what APPEND among them is to bring.
    pub fn queue(&mut self, commands: Vec<Command>) -> Vec<Handle> {
        commands
            .into_iter()
            .map(|command| self.client.command(command))
            .collect()
    }

    pub fn upload(&mut self, message: Bytes) {
        self.client.upload(message);
    }
}
