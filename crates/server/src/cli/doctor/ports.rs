//! Ports: those the server listens at, and that of other servers.

use super::Findings;
use mailwright_server::Config;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

/// How long a connection may take, and the greeting behind it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether the listeners of a running server answer, or else whether their ports can be had.
pub(super) fn listeners(config: &Config, is_running: bool, findings: &mut Findings) {
    const CHECK: &str = "port";
    for listener in &config.listeners {
        let (about, address) = (
            format!("{} at {}", listener.name, listener.address),
            listener.address,
        );
        if address.port() == 0 {
            findings.ok(CHECK, about, "the system gives it a free one");
        } else if is_running {
            match TcpStream::connect_timeout(&reached(address), PATIENCE) {
                Ok(_) => findings.ok(CHECK, about, "the server answers there"),
                Err(error) => findings.fail(
                    CHECK,
                    about,
                    format!("the server runs, and does not answer there: {error}"),
                    "restart it if the configuration has changed since it started, and see its log",
                ),
            }
        } else {
            match TcpListener::bind(address) {
                Ok(_) => findings.ok(CHECK, about, "it is free"),
                Err(error) => bound(about, &error, findings),
            }
        }
    }
}

fn bound(about: String, error: &std::io::Error, findings: &mut Findings) {
    const CHECK: &str = "port";
    match error.kind() {
        ErrorKind::AddrInUse => findings.fail(
            CHECK,
            about,
            "another program has it",
            "stop that program (ss -ltnp shows it), or choose another port",
        ),
        ErrorKind::PermissionDenied => findings.unknown(
            CHECK,
            about,
            "this user may not have it",
            "run the doctor as root; the server needs CAP_NET_BIND_SERVICE, which its systemd unit gives it",
        ),
        ErrorKind::AddrNotAvailable => {
            findings.fail(
                CHECK,
                about,
                "this machine does not have this address",
                "correct `address`",
            );
        }
        _ => findings.fail(CHECK, about, error, "correct `address`"),
    }
}

/// Where somebody on this machine reaches a listener.
fn reached(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Whether another mail server can be reached.
pub(super) async fn outbound(config: &Config, host: &str, findings: &mut Findings) {
    const CHECK: &str = "outbound";
    const ADVICE: &str =
        "many providers block port 25: ask yours to open it, or send through [outbound.smart_host]";
    let target = match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
        _ => format!("{host}:{}", config.outbound.port),
    };
    let mut greeting = [0; 512];
    let greeted = async {
        let mut stream = tokio::net::TcpStream::connect(&target).await?;
        stream.read(&mut greeting).await
    };
    let greeted = timeout(PATIENCE, greeted).await;
    match greeted {
        Err(_) => findings.fail(CHECK, &target, "there is no answer", ADVICE),
        Ok(Err(error)) => findings.fail(CHECK, &target, error, ADVICE),
        Ok(Ok(length)) if greeting[..length].starts_with(b"220") => {
            findings.ok(CHECK, &target, "it greets");
        }
        Ok(Ok(length)) => {
            let text = String::from_utf8_lossy(&greeting[..length]);
            let text: String = text.chars().filter(|c| !c.is_control()).collect();
            findings.fail(
                CHECK,
                &target,
                format!("it does not greet: \"{text}\""),
                "see why that server does not want this one: its address may be on a list of senders of unwanted mail",
            );
        }
    }
}
