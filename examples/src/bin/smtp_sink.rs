//! An SMTP server on blocking sockets: takes every message, and prints it. A thread for each client, no runtime.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin smtp_sink -- 127.0.0.1:2525
//! swaks --server 127.0.0.1:2525 --to you@example.org
//! ```
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets, threads and the clock

use mailwright_smtp::server::{Config, Event};
use mailwright_smtp::{Protocol, Server};
use mailwright_wire::{Machine, Step};
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Fallible<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:2525".to_owned());
    let listener = TcpListener::bind(&address).map_err(|e| format!("cannot listen at {address}: {e}"))?;
    println!("listening at {}", listener.local_addr()?);
    let config = Arc::new(Config::new(Protocol::Smtp, "localhost".parse()?));
    for client in listener.incoming() {
        let (client, config) = (client?, config.clone());
        std::thread::spawn(move || {
            if let Err(error) = serve(client, config) {
                println!("connection: {error}");
            }
        });
    }
    Ok(())
}

fn serve(mut socket: TcpStream, config: Arc<Config>) -> Fallible<()> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)?;
    let mut smtp = Server::new(config, entropy, Instant::now());
    let mut message = vec![];
    loop {
        match smtp.poll(Instant::now())? {
            Step::Read => {
                let until = smtp
                    .deadline()
                    .map(|at| at.saturating_duration_since(Instant::now()));
                socket.set_read_timeout(until.map(|wait| wait.max(Duration::from_millis(1))))?;
                match socket.read(smtp.recv_buf()) {
                    Ok(n) => smtp.received(n),
                    // The next poll sees that the deadline is over.
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            Step::Write => {
                let n = socket.write(smtp.send_buf())?;
                smtp.sent(n);
            }
            Step::Event(Event::Mail(mail)) => {
                println!("from {}", mail.path);
                smtp.accept();
            }
            Step::Event(Event::Rcpt(rcpt)) => {
                println!("to {}", rcpt.path);
                smtp.accept();
            }
            Step::Event(Event::Body(chunk)) => message.extend_from_slice(&chunk),
            Step::Event(Event::Message { size }) => {
                println!("{size} octets:\n{}", String::from_utf8_lossy(&message));
                message.clear();
                smtp.accept();
            }
            Step::Event(Event::Aborted(_)) => message.clear(),
            Step::Event(Event::Authenticated(_)) => {}
            Step::Event(_) => smtp.accept(),
            Step::Close => return Ok(()),
            Step::Answer | Step::StartTls => unreachable!("every question is answered, TLS is not offered"),
        }
    }
}
