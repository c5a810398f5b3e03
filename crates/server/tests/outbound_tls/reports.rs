//! Reports about TLS (RFC 8460).

use super::*;

/// Undoes what a report travels in.
fn gunzip(packed: &[u8]) -> String {
    assert_eq!(packed[..4], [0x1f, 0x8b, 8, 0]);
    let (deflated, trailer) = packed[10..].split_at(packed.len() - 18);
    let data = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
    assert_eq!(trailer[..4], crc32fast::hash(&data).to_le_bytes());
    assert_eq!(trailer[4..], u32::try_from(data.len()).unwrap().to_le_bytes());
    String::from_utf8(data).unwrap()
}

#[tokio::test]
async fn what_came_of_tls_is_counted_kept_and_reported() {
    let authority = Authority::new();
    let good = authority.issue("mx.b.test", false);
    let sink = Sink::start(good.script()).await;
    let port = sink.address.port();
    let zone = zone(port, vec![tlsa(3, 1, 1, sha256(&good.public_key))])
        .mx("c.test", 10, "mx.c.test")
        .a("mx.c.test", "127.0.0.1")
        .record(&format!("_{port}._tcp.mx.c.test"), tlsa(3, 1, 1, vec![7; 32]))
        .txt("_smtp._tls.c.test", "v=TLSRPTv1; rua=mailto:tls@b.test");
    let adjust = |config: &mut Config, _: &Path| {
        config.outbound.tls_reports = Some("tls-reports@a.test".parse().unwrap());
    };
    let rig = Rig::start(zone.clone(), port, adjust).await;
    assert_eq!(rig.send_to("bob@b.test").await, None);
    assert_eq!(rig.send_to("bob@b.test").await, None);
    assert!(rig.send_to("bob@c.test").await.is_some());
    let Rig { running, folder, .. } = rig;
    running.shutdown().await;
    let kept = std::fs::read_to_string(folder.path().join("tls-reports")).unwrap();
    let reports: Vec<Report> = kept
        .lines()
        .map(|line| Report::parse(line.as_bytes()).unwrap())
        .collect();
    let counts: Vec<_> = reports
        .iter()
        .flat_map(|report| &report.policies)
        .map(|policy| {
            (
                policy.domain.as_str(),
                policy.kind,
                policy.successes,
                policy.failures,
            )
        })
        .collect();
    // The second message went over the connection of the first: that is one session.
    assert_eq!(
        counts,
        [
            ("b.test", PolicyKind::Tlsa, 1, 0),
            ("c.test", PolicyKind::Tlsa, 0, 1)
        ]
    );
    assert_eq!(
        reports[1].policies[0].details[0].result,
        ResultType::CertificateNotTrusted
    );
    assert_eq!(
        reports[1].policies[0].details[0].receiving_host.as_deref(),
        Some("mx.c.test")
    );

    // A day and a half later the report goes out.
    let before: String = reports
        .into_iter()
        .map(|mut report| {
            report.start -= 2 * 86_400;
            report.end -= 2 * 86_400;
            format!("{report}\n")
        })
        .collect();
    std::fs::write(folder.path().join("tls-reports"), before).unwrap();
    let _rig = Rig::start_in(folder, zone, port, adjust).await;
    let taken = sink.messages(3).await.pop().unwrap();
    assert_eq!(taken.recipients, ["<tls@b.test>"]);
    let text = String::from_utf8_lossy(&taken.body).into_owned();
    for line in [
        "From: tls-reports@a.test\r\n",
        "TLS-Report-Domain: c.test\r\n",
        "TLS-Report-Submitter: mail.a.test\r\n",
        "TLS-Required: No\r\n",
        "multipart/report",
        "report-type=tlsrpt",
        "application/tlsrpt+gzip",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let encoded: String = text
        .split("application/tlsrpt+gzip")
        .nth(1)
        .unwrap()
        .split("\r\n\r\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| !line.starts_with("--"))
        .collect();
    let packed = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).unwrap();
    let report = Report::parse(gunzip(&packed).as_bytes()).unwrap();
    assert_eq!(
        (report.organization.as_str(), report.contact.as_str()),
        ("mail.a.test", "tls-reports@a.test")
    );
    assert_eq!(
        (report.policies[0].domain.as_str(), report.policies[0].failures),
        ("c.test", 1)
    );
}

#[tokio::test]
async fn a_report_goes_by_https_where_that_is_wanted() {
    let authority = Authority::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(authority.issue("reports.c.test", false).config());
    let posted = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tls = acceptor.accept(tcp).await.unwrap();
        let mut request = Vec::new();
        let (head, body) = loop {
            assert_ne!(tls.read_buf(&mut request).await.unwrap(), 0);
            let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8(request[..end].to_vec()).unwrap().to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap().parse().unwrap();
            if request.len() >= end + 4 + length {
                break (head, request.split_off(end + 4));
            }
        };
        let created = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
        tls.write_all(created).await.unwrap();
        let _ = tls.shutdown().await;
        (head, body)
    });
    let rua = format!("v=TLSRPTv1; rua=https://reports.c.test:{port}/tls");
    let zone = Zone::new()
        .a("reports.c.test", "127.0.0.1")
        .txt("_smtp._tls.c.test", &rua);
    // What was counted the day before yesterday.
    let folder = tempfile::tempdir().unwrap();
    let kept = r#"{"organization-name":"","date-range":{"start-datetime":"2026-01-01T00:00:00Z",
        "end-datetime":"2026-01-01T23:59:59Z"},"contact-info":"","report-id":"kept","policies":[{"policy":
        {"policy-type":"no-policy-found","policy-domain":"c.test"},"summary":
        {"total-successful-session-count":3,"total-failure-session-count":1}}]}"#;
    let mut kept = Report::parse(kept.as_bytes()).unwrap();
    kept.start = (u64::try_from(unix_now()).unwrap() / 86_400 - 2) * 86_400;
    kept.end = kept.start + 86_399;
    std::fs::write(folder.path().join("tls-reports"), format!("{kept}\n")).unwrap();
    let _rig = Rig::start_in(folder, zone, 25, |config, folder| {
        config.outbound.tls_reports = Some("tls-reports@a.test".parse().unwrap());
        config.outbound.ca = Some(authority.pem(folder));
    })
    .await;
    let posted = tokio::time::timeout(Duration::from_secs(60), posted).await;
    let (head, body) = posted.expect("it is sent at once").unwrap();
    assert!(head.starts_with("post /tls http/1.1\r\n"), "{head}");
    let host = format!("host: reports.c.test:{port}");
    for line in [&*host, "content-type: application/tlsrpt+gzip"] {
        assert!(head.lines().any(|it| it == line), "{line} in {head}");
    }
    let report = Report::parse(gunzip(&body).as_bytes()).unwrap();
    assert_eq!(
        (report.organization.as_str(), report.contact.as_str()),
        ("mail.a.test", "tls-reports@a.test")
    );
    assert_eq!((report.start, report.policies[0].successes), (kept.start, 3));
}
