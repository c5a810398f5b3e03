//! The examples of RFC 6376 and RFC 8463: they verify, and signing them again gives the same octets.

#![allow(clippy::unwrap_used)]

mod rsa;
mod zone;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailwright_auth::Verdict;
use mailwright_auth::crypto::{RingKey, SigningKey};
use mailwright_auth::dkim::{Config, Reason, Report, Verifier, signed_octets};
use rsa::TextbookKey;
use std::sync::Arc;
use zone::Zone;

fn verify(message: &str, zone: &str, now: u64) -> Vec<Report> {
    let mut zone = Zone::of(zone);
    let mut verifier = Verifier::new(Arc::new(Config::default()), now);
    verifier.push(message.as_bytes());
    verifier.finish();
    drive!(verifier, zone)
}

/// RFC 8463 appendix A.3.
const MESSAGE_8463: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
d=football.example.com; i=@football.example.com;\r\n \
q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
subject : date : message-id : from : subject : date;\r\n \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n \
d=football.example.com; i=@football.example.com;\r\n \
q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n \
date : message-id : from : subject : date;\r\n \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n \
DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n \
dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game.  Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";
/// RFC 8463 appendix A.2.
const ZONE_8463: &str = "\
brisbane._domainkey.football.example.com TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
test._domainkey.football.example.com TXT v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
/// RFC 8463 appendix A.1.
const RSA_8463: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----";

#[test]
fn rfc_8463_verifies() {
    let reports = verify(MESSAGE_8463, ZONE_8463, 1_528_637_909);
    let found: Vec<_> = reports
        .iter()
        .map(|r| (r.verdict.clone(), r.key_bits.unwrap()))
        .collect();
    assert_eq!(found, [(Verdict::Pass, 256), (Verdict::Pass, 1024)]);
    let changed = MESSAGE_8463.replace("hungry", "thirsty");
    let reports = verify(&changed, ZONE_8463, 1_528_637_909);
    assert!(reports.iter().all(|r| r.reason == Some(Reason::BodyChanged)));
    let changed = MESSAGE_8463.replace("dinner", "supper");
    let reports = verify(&changed, ZONE_8463, 1_528_637_909);
    assert!(reports.iter().all(|r| r.reason == Some(Reason::HeaderChanged)));
}

#[test]
fn rfc_8463_signs_the_same_again() {
    let seed = STANDARD
        .decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
        .unwrap();
    let ed25519 = RingKey::from_ed25519_seed(&seed.try_into().unwrap());
    let rsa = TextbookKey::from_pem(RSA_8463);
    let second = MESSAGE_8463.rfind("DKIM-Signature").unwrap();
    let header = &MESSAGE_8463[MESSAGE_8463.find("From:").unwrap()..];
    assert_same(header, &MESSAGE_8463[..second], &ed25519);
    assert_same(header, &MESSAGE_8463[second..], &rsa);
    assert!(ZONE_8463.contains(ed25519.record().split_once("p=").unwrap().1));
}

/// Signs what a field covers, and compares with the signature in it.
fn assert_same(header: &str, field: &str, key: &dyn SigningKey) {
    let field = &field[..field.find("\r\nFrom:").unwrap_or(field.len())];
    let covered = signed_octets(header.as_bytes(), field.as_bytes()).unwrap();
    let signature: String = field[field.rfind("b=").unwrap() + 2..]
        .split_ascii_whitespace()
        .collect();
    assert_eq!(STANDARD.encode(key.sign(&covered).unwrap()), signature);
}

/// RFC 6376 appendix A.2, with the key of appendix C.
const MESSAGE_6376: &str = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n      \
c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n      \
h=Received : From : To : Subject : Date : Message-ID;\r\n      \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n      \
b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n      \
4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n      \
KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n      \
4bmp/YzhwvcubU4=;\r\n\
Received: from client1.football.example.com  [192.0.2.1]\r\n      \
by submitserver.example.com with SUBMISSION;\r\n      \
Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game. Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";
/// RFC 6376 appendix C.
const ZONE_6376: &str = "brisbane._domainkey.example.com TXT v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";
/// RFC 6376 appendix C.
const RSA_6376: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXwIBAAKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFC
jxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gb
to/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB
AoGBALmn+XwWk7akvkUlqb+dOxyLB9i5VBVfje89Teolwc9YJT36BGN/l4e0l6QX
/1//6DWUTB3KI6wFcm7TWJcxbS0tcKZX7FsJvUz1SbQnkS54DJck1EZO/BLa5ckJ
gAYIaqlA9C0ZwM6i58lLlPadX/rtHb7pWzeNcZHjKrjM461ZAkEA+itss2nRlmyO
n1/5yDyCluST4dQfO8kAB3toSEVc7DeFeDhnC1mZdjASZNvdHS4gbLIA1hUGEF9m
3hKsGUMMPwJBAPW5v/U+AWTADFCS22t72NUurgzeAbzb1HWMqO4y4+9Hpjk5wvL/
eVYizyuce3/fGke7aRYw/ADKygMJdW8H/OcCQQDz5OQb4j2QDpPZc0Nc4QlbvMsj
7p7otWRO5xRa6SzXqqV3+F0VpqvDmshEBkoCydaYwc2o6WQ5EBmExeV8124XAkEA
qZzGsIxVP+sEVRWZmW6KNFSdVUpk3qzK0Tz/WjQMe5z0UunY9Ax9/4PVhp/j61bf
eAYXunajbBSOLlx4D+TunwJBANkPI5S9iylsbLs6NkaMHV6k5ioHBBmgCak95JGX
GMot/L2x0IYyMLAz6oLWh2hm7zwtb0CgOrPo1ke44hFYnfc=
-----END RSA PRIVATE KEY-----";

/// As printed, but for the indentation and for the two blanks in "game.  Are", which its hash was not made over
///.
#[test]
fn rfc_6376_verifies_and_signs_the_same_again() {
    let reports = verify(MESSAGE_6376, ZONE_6376, 0);
    assert_eq!(
        (&reports[0].verdict, reports[0].reason.as_ref()),
        (&Verdict::Pass, None)
    );
    let end = MESSAGE_6376.find("Received:").unwrap();
    let field = MESSAGE_6376[..end].trim_end().strip_suffix(';').unwrap();
    let covered = signed_octets(&MESSAGE_6376.as_bytes()[end..], &MESSAGE_6376.as_bytes()[..end]).unwrap();
    let signature: String = field[field.rfind("b=").unwrap() + 2..]
        .split_ascii_whitespace()
        .collect();
    let key = TextbookKey::from_pem(RSA_6376);
    assert_eq!(STANDARD.encode(key.sign(&covered).unwrap()), signature);
}
