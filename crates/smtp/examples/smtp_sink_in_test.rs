//! A mail server inside a test suite: takes everything on a port of its own, and hands the messages to the test.
//! Copy what is below the line; all it needs is `mailwright-smtp` and `mailwright-wire`.
//!
//! ```sh
//! cargo run -p mailwright-smtp --example smtp_sink_in_test
//! ```
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // brings sockets, threads and the clock

use std::io::BufRead;

/// The program under test sends a mail, and the test looks at it.
fn main() {
    let (address, mails) = sink();
    let mut client = TcpStream::connect(address).expect("it listens");
    client
        .write_all(
            b"EHLO a.test\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n\
              Subject: Hello\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
        )
        .expect("it reads");
    let mail = mails.recv().expect("a mail arrives");
    assert_eq!(mail.recipients, ["<b@b.test>"]);
    assert_eq!(mail.data, b"Subject: Hello\r\n\r\n.dot\r\n");
    let last = std::io::BufReader::new(client).lines().last();
    println!("{mail:?}\n{}", last.expect("it answers").expect("in ASCII"));
}

// ---------------------------------------------------------------------------------------------------------------------

use mailwright_smtp::{Protocol, Server, server};
use mailwright_wire::{Machine, Step};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

#[derive(Debug, Default)]
struct Mail {
    recipients: Vec<String>,
    data: Vec<u8>,
}

fn sink() -> (SocketAddr, Receiver<Mail>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (taken, mails) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let taken = taken.clone();
            std::thread::spawn(move || serve(socket, &taken));
        }
    });
    (address, mails)
}

fn serve(mut socket: TcpStream, taken: &Sender<Mail>) -> std::io::Result<()> {
    let config = server::Config::new(Protocol::Smtp, "sink.test".parse().expect("a domain"));
    let mut smtp = Server::new(config, [0; 32], Instant::now()); // no AUTH: nothing is secret
    let mut mail = Mail::default();
    while let Ok(step) = smtp.poll(Instant::now()) {
        match step {
            Step::Read => {
                let n = socket.read(smtp.recv_buf())?;
                smtp.received(n);
            }
            Step::Write => {
                let n = socket.write(smtp.send_buf())?;
                smtp.sent(n);
            }
            Step::Event(server::Event::Body(piece)) => mail.data.extend_from_slice(&piece),
            Step::Event(server::Event::Aborted(_)) => mail = Mail::default(),
            Step::Event(event) => {
                match event {
                    server::Event::Rcpt(rcpt) => mail.recipients.push(rcpt.path.to_string()),
                    server::Event::Message { .. } => _ = taken.send(std::mem::take(&mut mail)),
                    _ => {}
                }
                smtp.accept();
            }
            Step::Answer | Step::StartTls | Step::Close => break,
        }
    }
    Ok(())
}
