//! The digest of a message, whatever the message is and however it comes in

use mailwright_mailbox::{
    MessageMeta, ThreadKey, Threading, casemap,
    digest::{
        Builder, Digest, Keys, Options,
        text::{Kept, UnitKind, Walk},
    },
};

fn digest(message: &[u8], chunk: usize, options: Options) -> Digest {
    let mut builder = Builder::new(options);
    message.chunks(chunk).for_each(|chunk| builder.push(chunk));
    builder.finish()
}

fn meta(message: &[u8]) -> MessageMeta {
    digest(message, 4096, Options::default()).meta
}

fn keys(header: &str) -> Keys {
    Keys::of(header.as_bytes())
}

fn text(message: &[u8]) -> Vec<(UnitKind, String)> {
    let meta = meta(message);
    let kept = meta.text.expect("text that is kept");
    let units = Kept::units(&kept).expect("what the digest wrote");
    let texts = units.map(|(kind, text)| (kind, String::from_utf8(text.to_vec()).expect("UTF-8")));
    texts.collect()
}

const MIXED: &str = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n  aus Bonn\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
    not text\r\n--x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    Caf=E9 =\r\nauf\r\n--x\r\nContent-Type: text/html\r\n\r\n<b title=no>fett</b>\r\n\
    --x\r\nContent-Type: application/pdf\r\n\r\nhidden\r\n\
    --x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nwords\r\n--x--\r\n";

#[test]
fn units_are_headers_and_texts_without_case() {
    let units = text(MIXED.as_bytes());
    let kinds: Vec<_> = units.iter().map(|(kind, _)| *kind).collect();
    let (head, body) = (UnitKind::Header, UnitKind::Body);
    let wanted = [
        UnitKind::RootHeader,
        head,
        body,
        head,
        body,
        head,
        head,
        body,
        body,
    ];
    assert_eq!(kinds, wanted);
    assert!(
        units[0]
            .1
            .starts_with("SUBJECT: GRU\u{308}ßE  AUS BONN\r\nCONTENT-TYPE: MULTIPART/MIXED")
    );
    assert_eq!(
        (units[2].1.as_str(), units[4].1.trim()),
        ("CAFE\u{301} AUF", "FETT")
    );
    assert_eq!(
        (units[7].1.as_str(), units[8].1.as_str()),
        ("SUBJECT: INNER\r\n", "WORDS")
    );
}

#[test]
fn the_digest_does_not_depend_on_the_pieces() {
    let plain =
        "Subject: a\r\nMessage-ID: <c@x>\r\nReferences: <a@x>\r\n <b@x>\r\n\r\nReferences: <not@x>\r\n";
    for message in [plain, MIXED, "", "\r\n", "no header"] {
        let whole = meta(message.as_bytes());
        for size in 1..=message.len() {
            assert_eq!(
                digest(message.as_bytes(), size, Options::default()).meta,
                whole,
                "{size}: {message}"
            );
        }
    }
    let key = |id: &str| ThreadKey::of(id.as_bytes());
    let wanted = Threading::new(Some(key("c@x")), ["a@x", "b@x"].map(key));
    assert_eq!(meta(plain.as_bytes()).threading, wanted);
}

#[test]
fn short_plain_messages_are_searched_as_they_are() {
    for (message, is_plain) in [
        ("Subject: a\r\n\r\nbody\r\n", true),
        (
            "Content-Type: text/plain; charset=utf-8\r\n\r\nGr\u{fc}\u{df}e\r\n",
            true,
        ),
        (
            "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\u{fc}\u{df}e\r\n",
            false,
        ),
        (
            "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\u{1b}$B%F\u{1b}(B\r\n",
            false,
        ),
        (
            "Content-Type: text/plain; format=flowed\r\n\r\none \r\ntwo\r\n",
            false,
        ),
        ("Content-Type: text/html\r\n\r\nbody\r\n", false),
        ("Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n", false),
        ("Content-Type: image/png\r\n\r\nbody\r\n", false),
    ] {
        let meta = meta(message.as_bytes());
        let keys = Keys::from_bytes(&meta.sort_keys).expect("keys");
        assert_eq!(
            (keys.plain().is_some(), meta.text.is_none()),
            (is_plain, is_plain),
            "{message}"
        );
        let header = message.find("\r\n\r\n").map(|at| at as u32 + 4);
        assert_eq!(keys.plain(), header.filter(|_| is_plain));
    }
}

#[test]
fn the_text_of_long_messages_is_read_again() {
    let mut options = Options::default();
    for (buffer, chunk) in [(300, 100), (0, 1), (0, 10_000), (50, 7)] {
        options.buffer = buffer;
        let mut digest = digest(MIXED.as_bytes(), chunk, options.clone());
        let mut left = digest.left.take().expect("the message is longer than the buffer");
        Walk::new(&digest.index).run(MIXED.as_bytes(), &mut left);
        digest.keep(left);
        assert_eq!(digest.meta, meta(MIXED.as_bytes()), "{buffer}, {chunk}");
    }
}

#[test]
fn text_beyond_the_limit_is_not_kept_in_part() {
    let mut options = Options::default();
    options.text = 200;
    let all = meta(MIXED.as_bytes());
    let few = digest(MIXED.as_bytes(), 100, options).meta;
    assert_eq!((few.text, few.sketch), (None, all.sketch));
}

#[test]
fn a_header_that_is_too_long_has_no_keys() {
    let message = format!("Message-ID: <a@x>\r\nX: {}\r\n\r\nbody", "x".repeat(2000));
    let mut options = Options::default();
    (options.buffer, options.header) = (500, 1000);
    let of_pieces = digest(message.as_bytes(), 100, options.clone());
    let mut builder = Builder::new(options);
    builder.push(message.as_bytes());
    for digest in [of_pieces, builder.finish_with(message.as_bytes())] {
        assert!(digest.meta.sort_keys.is_empty());
        assert_eq!(digest.meta.threading.id(), Some(ThreadKey::of(b"a@x")));
    }
}

#[test]
fn keys_follow_rfc_5256_and_5957() {
    let it = keys(
        "From: \"J\u{fc}rgen\" <Juergen@a.test>, x@y\r\nTo: \"odd one\"@b.test\r\nCc: Team: a@b, c@d;\r\n\
         Subject: Re: [x] Fwd: Gr\u{fc}n  (fwd)\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\n",
    );
    assert_eq!((it.from(), it.to(), it.cc()), ("JUERGEN", "ODD ONE", "TEAM"));
    assert_eq!(
        (it.display_from(), it.display_to()),
        ("JU\u{308}RGEN", "ODD ONE@B.TEST")
    );
    assert_eq!((it.base_subject(), it.is_reply()), ("GRU\u{308}N", true));
    let sent = it.sent().expect("a date");
    assert_eq!((sent.unix, sent.offset), (880_127_706, -360));
    assert!(!keys("Subject: [x] y\r\n\r\n").is_reply());
    assert_eq!(keys("Date: never\r\n\r\n").sent(), None);
}

#[test]
fn fields_are_kept_whole_or_not_at_all() {
    let long = format!(
        "Subject: a\r\nSubject: =?utf-8?q?b=0D=0Ac?=\r\nTo: {}\r\n\r\n",
        "a@b, ".repeat(1000)
    );
    let it = keys(&long);
    let values: Vec<_> = it.named("SUBJECT").expect("kept").collect();
    assert_eq!(values, [&b"A"[..], b"B  C"]);
    assert!(it.named("To").is_none() && it.named("X-Other").is_none());
    assert_eq!(it.named("Bcc").expect("known to be absent").count(), 0);
    assert_eq!(it.to(), "A");
}

#[test]
fn damaged_keys_are_none() {
    let bytes = keys("Subject: a\r\nFrom: b@c\r\n\r\n").into_parts().0;
    for len in 0..bytes.len() {
        assert_eq!(Keys::from_bytes(&bytes.slice(..len)), None, "{len}");
    }
    assert!(Keys::from_bytes(&bytes).is_some());
}

#[test]
fn case_is_mapped_as_rfc_5051_has_it() {
    let mapped = |text| String::from_utf8(casemap::mapped(text)).expect("UTF-8");
    for (text, wanted) in [
        ("straße", "STRAßE"),
        ("Ærøskøbing", "ÆRØSKØBING"),
        ("é", "E\u{301}"),
        ("\u{1c6}\u{1c4}\u{1c5}", "Dz\u{30c}Dz\u{30c}Dz\u{30c}"),
        ("ﬁ", "fi"),
        ("ᾳ", "Α\u{345}"),
        ("გ", "გ"),
        ("각", "각"),
        ("ｆｕｌｌ", "FULL"),
    ] {
        assert_eq!(mapped(text), wanted, "{text}");
    }
}
