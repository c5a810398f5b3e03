//! `mx_plan` against a name server of a few lines.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // talks to the example over sockets

use std::net::UdpSocket;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The octets of a name, without compression.
fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut wire: Vec<u8> = labels
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .collect();
    wire.push(0);
    wire
}

/// Answers from a table of name, type and data; all of it secure. What it does not know does not exist.
fn serve(udp: &UdpSocket, stop: &AtomicBool, log: &Mutex<Vec<String>>) {
    let records: [(&str, u16, Vec<u8>); 5] = [
        (".", 6, [wire("ns"), wire("root"), vec![0; 20]].concat()),
        ("b.test", 15, [vec![0, 10], wire("mx.b.test")].concat()),
        ("mx.b.test", 1, vec![192, 0, 2, 1]),
        ("_25._tcp.mx.b.test", 52, [vec![3, 1, 1], vec![7; 32]].concat()),
        ("null.test", 15, [vec![0, 0], wire(".")].concat()),
    ];
    let mut room = [0; 1500];
    while !stop.load(Ordering::Relaxed) {
        let Ok((n, from)) = udp.recv_from(&mut room) else {
            continue;
        };
        let query = &room[..n];
        let end = 12 + query[12..].iter().position(|octet| *octet == 0).expect("a name") + 1;
        let (name, record_type) = (
            query[12..end].to_ascii_lowercase(),
            u16::from_be_bytes([query[end], query[end + 1]]),
        );
        log.lock().expect("no panic").push(format!("{record_type}"));
        let found: Vec<_> = records
            .iter()
            .filter(|(of, known, _)| wire(of) == name && *known == record_type)
            .collect();
        let exists = records
            .iter()
            .any(|(of, ..)| name.ends_with(&wire(of)[..]) && *of != ".");
        // A response, recursion both ways, and AD; NXDOMAIN for what does not exist.
        let code = if exists || !found.is_empty() { 0xa0 } else { 0xa3 };
        let mut response = [
            &query[..2],
            &[0x81, code, 0, 1, 0, found.len() as u8, 0, 0, 0, 0],
            &query[12..end + 4],
        ]
        .concat();
        for (_, _, data) in found {
            response.extend([0xc0, 12]);
            response.extend(record_type.to_be_bytes());
            response.extend([0, 1, 0, 0, 0, 60]);
            response.extend((data.len() as u16).to_be_bytes());
            response.extend(data);
        }
        udp.send_to(&response, from).expect("it is sent");
    }
}

#[test]
fn mx_plan_prints_the_plan_with_its_reasons() {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    udp.set_read_timeout(Some(std::time::Duration::from_millis(50)))
        .expect("a timeout");
    let address = udp.local_addr().expect("bound").to_string();
    let (stop, log) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let server = std::thread::spawn({
        let (stop, log) = (stop.clone(), log.clone());
        move || serve(&udp, &stop, &log)
    });
    let plan = |arguments: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mx_plan"));
        command
            .args(["--resolver", &address])
            .args(arguments)
            .output()
            .expect("it runs")
    };
    let table: [(&[&str], i32, &[&str]); 5] = [
        (
            &["--trust-ad", "b.test"],
            0,
            &[
                "the resolver validates DNSSEC",
                "b.test has MX records (secure): 10 mx.b.test",
                "mx.b.test has TLSA records (secure), 1 usable:",
                "TLS required, certificate by DANE at mx.b.test: TLSA records)",
            ],
        ),
        (
            &["--no-fetch", "b.test"],
            0,
            &[
                "not declared trusted",
                "(indeterminate)",
                "TLS opportunistic: no policy is published)",
            ],
        ),
        (
            &["--require-tls", "--no-fetch", "b.test"],
            68,
            &["permanent failure: 550 5.7.10"],
        ),
        (&["null.test"], 68, &["permanent failure: 556 5.1.10"]),
        (
            &["gone.example"],
            68,
            &["permanent failure: 550 5.1.2 the domain gone.example does not exist"],
        ),
    ];
    for (arguments, code, lines) in table {
        let output = plan(arguments);
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        for line in lines {
            assert!(said.contains(line), "{line:?} is missing:\n{said}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    server.join().expect("no panic");
    assert!(!log.lock().expect("no panic").is_empty());
}
