//! From what a connection came to, to what the queue and the sender are told (RFC 3463, RFC 5321 §4.2)

use mailwright_mailbox::StoreError;
use mailwright_mx::Refusal;
use mailwright_queue::{Diagnosis, Handover, Health, Outcome, Status};
use mailwright_smtp::client::{Cause, Delivery, Failure};
use mailwright_smtp::{EnhancedCode, Error, Reply, Stage};
use std::io;

/// Why nothing was heard of a message at one host.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The host could not be reached.
    Unreachable(io::Error),
    /// The connection broke.
    Lost(io::Error),
    /// TLS could not be started.
    Tls(io::Error),
    /// The session failed before the message, or the host broke the protocol.
    Session(Error),
    /// The message cannot be read here.
    Store(StoreError),
    /// The fault is in the configuration of this server.
    Setup(String),
    /// This server is stopping.
    Stopped,
}

/// What one host made of a recipient.
#[derive(Debug)]
pub(super) enum Verdict {
    /// That is all there is to say in this attempt.
    Final(Outcome),
    /// Another host of the same destination may do better.
    TryNext(Outcome),
}

/// The fault is here, and may pass.
pub(super) fn internal(text: &str) -> Diagnosis {
    Diagnosis::local(status(4, 3, 0), text)
}

/// What a transaction came to for one recipient. `handover` is what it means that the
/// server took it, and `host` how it is called.
pub(super) fn of_delivery(delivery: &Delivery, handover: Handover, host: &str) -> Verdict {
    let failure = match delivery {
        Delivery::Delivered(_) => {
            return Verdict::Final(Outcome::Delivered(handover));
        }
        Delivery::Failed(failure) => failure,
        // It may have arrived: another host would perhaps make it two.
        Delivery::Unknown(failure) => return Verdict::Final(of_failure(failure, host)),
        _ => {
            let text = format!("{host}: the host took no further recipients");
            return Verdict::TryNext(Outcome::Temporary(Diagnosis::local(status(4, 5, 3), text)));
        }
    };
    let outcome = of_failure(failure, host);
    // Once the whole message was sent it may have arrived: another host would perhaps make it two.
    let connection = matches!(failure.cause, Cause::Connection(_)) || is_closing(failure);
    // What one host lacks another may have (RFC 8689 §4.2.1, RFC 6531 §3.2).
    if matches!(failure.cause, Cause::Unsupported(_)) {
        return Verdict::TryNext(outcome);
    }
    match connection && failure.stage != Stage::EndOfData {
        true => Verdict::TryNext(outcome),
        false => Verdict::Final(outcome),
    }
}

/// RFC 5321 §3.8: 421 is about the service, whatever command it answers.
fn is_closing(failure: &Failure) -> bool {
    failure.reply().is_some_and(|reply| reply.code() == 421)
}

fn of_failure(failure: &Failure, host: &str) -> Outcome {
    let diagnosis = match failure.reply() {
        Some(reply) => Diagnosis::remote(enhanced(failure.status()), host, reply_text(reply)),
        None => Diagnosis::local(enhanced(failure.status()), format!("{host}: {failure}")),
    };
    match failure.is_permanent() {
        true => Outcome::Permanent(diagnosis),
        false => Outcome::Temporary(diagnosis),
    }
}

/// What a failure before the transaction means for all recipients; `None` if the attempt does not count.
pub(super) fn of_trouble(trouble: &Trouble, host: &str) -> Option<Verdict> {
    Some(match trouble {
        Trouble::Stopped => return None,
        Trouble::Unreachable(error) => {
            let text = format!("{host}: {error}");
            Verdict::TryNext(Outcome::Temporary(Diagnosis::local(status(4, 4, 1), text)))
        }
        Trouble::Lost(error) => {
            let text = format!("{host}: connection lost: {error}");
            Verdict::TryNext(Outcome::Temporary(Diagnosis::local(status(4, 4, 2), text)))
        }
        Trouble::Tls(error) => {
            let text = format!("{host}: TLS failed: {error}");
            Verdict::TryNext(Outcome::Temporary(Diagnosis::local(status(4, 7, 5), text)))
        }
        // The password of a smart host is the operator's to mend; no sender's mail is bounced for it.
        Trouble::Session(Error::Refused(Stage::Auth, reply)) => {
            let diagnosis = Diagnosis::remote(status(4, 7, 8), host, reply_text(reply));
            Verdict::TryNext(Outcome::Temporary(diagnosis))
        }
        // Nor for a smart host that offers the TLS it must have, and then refuses it.
        Trouble::Session(Error::Refused(Stage::StartTls, reply)) => {
            let diagnosis = Diagnosis::remote(status(4, 7, 5), host, reply_text(reply));
            Verdict::TryNext(Outcome::Temporary(diagnosis))
        }
        Trouble::Session(Error::Refused(_, reply) | Error::ServiceClosing(_, reply)) => {
            let class = if reply.is_permanent() { 5 } else { 4 };
            let stated = reply.enhanced().filter(|code| code.class() == class);
            let code = stated.map_or(status(class, 0, 0), enhanced);
            let diagnosis = Diagnosis::remote(code, host, reply_text(reply));
            Verdict::TryNext(match class {
                5 => Outcome::Permanent(diagnosis),
                _ => Outcome::Temporary(diagnosis),
            })
        }
        Trouble::Session(error) => {
            let text = format!("{host}: {error}");
            Verdict::TryNext(Outcome::Temporary(Diagnosis::local(status(4, 4, 2), text)))
        }
        Trouble::Store(error) if error.is_temporary() => Verdict::Final(Outcome::Temporary(internal(
            "the message cannot be read at this moment",
        ))),
        Trouble::Store(_) => Verdict::Final(Outcome::Permanent(Diagnosis::local(
            status(5, 3, 0),
            "the message was damaged on this server and cannot be sent",
        ))),
        Trouble::Setup(text) => Verdict::Final(Outcome::Temporary(Diagnosis::local(status(4, 3, 5), text))),
    })
}

/// What a missing route means.
pub(super) fn of_refusal(refusal: &Refusal) -> Diagnosis {
    let code = refusal.enhanced;
    let fallback = if code.class == 5 {
        status(5, 4, 4)
    } else {
        status(4, 4, 4)
    };
    let code = Status::new(code.class, code.subject, code.detail).unwrap_or(fallback);
    Diagnosis::local(code, &refusal.reason)
}

/// What a failure says of the destination as a whole.
pub(super) fn health(trouble: &Trouble) -> Health {
    match trouble {
        // This server's fault, as far as the destination goes.
        Trouble::Session(Error::Refused(Stage::Auth, _)) => Health::Unknown,
        Trouble::Session(Error::Refused(..) | Error::ServiceClosing(..)) => Health::Busy,
        Trouble::Unreachable(_) | Trouble::Lost(_) | Trouble::Tls(_) | Trouble::Session(_) => {
            Health::Unreachable
        }
        Trouble::Store(_) | Trouble::Setup(_) | Trouble::Stopped => Health::Unknown,
    }
}

/// What a transaction that was heard says of the destination.
pub(super) fn health_of(deliveries: &[Delivery]) -> Health {
    let closing = |delivery: &Delivery| matches!(delivery, Delivery::Failed(failure) if is_closing(failure));
    if deliveries.iter().any(closing) {
        return Health::Busy;
    }
    let broken = deliveries.iter().find_map(|delivery| match delivery {
        Delivery::Failed(Failure {
            cause: Cause::Connection(error),
            ..
        })
        | Delivery::Unknown(Failure {
            cause: Cause::Connection(error),
            ..
        }) => Some(error),
        _ => None,
    });
    match broken {
        None => Health::Good,
        Some(Error::ServiceClosing(..) | Error::Refused(..)) => Health::Busy,
        Some(Error::BodyAborted) => Health::Unknown,
        Some(_) => Health::Unreachable,
    }
}

/// A reply on one line, its code once.
fn reply_text(reply: &Reply) -> String {
    let mut text = reply.code().to_string();
    if let Some(code) = reply.enhanced() {
        text.push_str(&format!(" {code}"));
    }
    for line in reply.lines().filter(|line| !line.is_empty()) {
        text.push(' ');
        text.push_str(line);
    }
    text
}

fn enhanced(code: EnhancedCode) -> Status {
    Status::new(code.class(), code.subject(), code.detail()).unwrap_or(Status::FAILED)
}

/// A code of this module.
fn status(class: u8, subject: u16, detail: u16) -> Status {
    Status::new(class, subject, detail).expect("the codes here are of class 4 or 5")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, text: &str) -> Reply {
        Reply::new(code, None, text).expect("a reply")
    }

    #[test]
    fn troubles_say_who_is_at_fault_and_whether_to_go_on() {
        let closed = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let table = [
            (
                Trouble::Unreachable(closed()),
                "next 4.4.1 mx.test: connection refused",
                Health::Unreachable,
            ),
            (
                Trouble::Lost(closed()),
                "next 4.4.2 mx.test: connection lost: connection refused",
                Health::Unreachable,
            ),
            (
                Trouble::Tls(closed()),
                "next 4.7.5 mx.test: TLS failed: connection refused",
                Health::Unreachable,
            ),
            (
                Trouble::Session(Error::Refused(Stage::Greeting, reply(554, "go\naway"))),
                "next permanent 5.0.0 (mx.test) 554 go away",
                Health::Busy,
            ),
            (
                Trouble::Session(Error::ServiceClosing(Stage::Hello, reply(421, "busy"))),
                "next 4.0.0 (mx.test) 421 busy",
                Health::Busy,
            ),
            (
                Trouble::Session(Error::Refused(Stage::Auth, reply(535, "no"))),
                "next 4.7.8 (mx.test) 535 no",
                Health::Unknown,
            ),
            (
                Trouble::Session(Error::Refused(Stage::StartTls, reply(502, "no"))),
                "next 4.7.5 (mx.test) 502 no",
                Health::Busy,
            ),
            (
                Trouble::Session(Error::Timeout(Stage::Greeting)),
                "next 4.4.2 mx.test: the peer let the time for the greeting run out",
                Health::Unreachable,
            ),
            (
                Trouble::Store(StoreError::Full),
                "final 4.3.0 the message cannot be read at this moment",
                Health::Unknown,
            ),
            (
                Trouble::Store(StoreError::NoSuchBlob),
                "final permanent 5.3.0 the message was damaged on this server and cannot be sent",
                Health::Unknown,
            ),
            (
                Trouble::Setup("no password".into()),
                "final 4.3.5 no password",
                Health::Unknown,
            ),
        ];
        for (trouble, want, healthy) in table {
            let (next, outcome) = match of_trouble(&trouble, "mx.test") {
                Some(Verdict::TryNext(outcome)) => ("next", outcome),
                Some(Verdict::Final(outcome)) => ("final", outcome),
                None => panic!("{trouble:?} counts"),
            };
            let got = match outcome {
                Outcome::Temporary(why) => format!("{next} {why}"),
                Outcome::Permanent(why) => format!("{next} permanent {why}"),
                other => panic!("{other:?}"),
            };
            assert_eq!((got.as_str(), health(&trouble)), (want, healthy));
        }
        assert!(of_trouble(&Trouble::Stopped, "mx.test").is_none());
    }
}
