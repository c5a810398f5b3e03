//! Searching and sorting: every stage against an evaluator that knows of none, and the examples of the RFCs

use bytes::Bytes;
use mailwright_mailbox::{
    BlobHash, BlobRef, Fields, Flags, Keyword, Message, MessageMeta, ModSeq, SystemFlags, ThreadId, Uid,
    UidSet, casemap,
    conversation::Place,
    digest::{Builder, Keys, Options, text::Walk},
    search::{DateOf, Looking, Query, Search},
    sort::{SortCriterion, SortKey, Sorter, Threader, Threads},
};
use mailwright_message::{
    Index, header,
    index::{Kind, Part, Section},
    text::Reader,
};
use proptest::prelude::*;

fn digest(octets: &[u8], options: Options) -> MessageMeta {
    let mut builder = Builder::new(options);
    builder.push(octets);
    builder.finish().meta
}

/// A message as a row tells it, without what was computed of its octets.
fn row(octets: &[u8]) -> Message {
    let mut message =
        Message::new(Uid::new(7).expect("a good value"), ModSeq::new(70)).with_size(octets.len() as u64);
    message.flags.insert(SystemFlags::SEEN);
    message
        .flags
        .insert_keyword(Keyword::parse("$Junk").expect("a good value"));
    (message.internal_date, message.save_date) = (86_400 * 10 + 5, 86_400 * 20);
    message.thread = ThreadId::new(3);
    message.blob = Some(BlobRef::new(BlobHash::from_bytes([9; 32]), octets.len() as u64));
    message
}

/// The message in each way in which a store may have it.
fn stored(octets: &[u8]) -> Vec<Message> {
    let mut kept = Options::default();
    kept.plain = 0;
    let mut ways = Vec::new();
    for meta in [digest(octets, Options::default()), digest(octets, kept)] {
        let mut with = row(octets);
        with.index = meta.index;
        with.sort_keys = meta.sort_keys;
        with.text = meta.text;
        let mut sketched = with.clone();
        sketched.sketch = meta.sketch;
        let mut beside = with.clone();
        if beside.text.is_none() {
            beside.content = Some(Bytes::copy_from_slice(octets));
        }
        let mut apart = with.clone();
        apart.text = None;
        let mut old = row(octets);
        old.index = with.index.clone();
        let mut old_beside = old.clone();
        old_beside.content = Some(Bytes::copy_from_slice(octets));
        let mut bare = row(octets);
        bare.content = Some(Bytes::copy_from_slice(octets));
        ways.extend([sketched, with, beside, apart, old, old_beside, bare]);
    }
    ways
}

/// Goes through the stages as a server does.
fn matches(query: &Query, message: &Message, octets: &[u8], piece: usize) -> bool {
    let search = Search::new(query);
    if !search.uids().contains(message.uid) {
        return false;
    }
    if let Some(verdict) = search.first().and_then(|_| search.judge(message)) {
        return verdict;
    }
    if let Some(verdict) = search.look(message) {
        return verdict;
    }
    let index = Index::of(octets);
    let mut looking = Looking::new(&search, message);
    if looking.wants_header() {
        let header = index.section(&[], Section::Header).expect("a good value");
        looking.header(&octets[header.start as usize..header.end as usize]);
    }
    if let Some(verdict) = looking.early() {
        return verdict;
    }
    let mut walk = Walk::new(&index);
    while let Some(range) = walk.wanted(&mut looking) {
        let end = range.end.min(range.start + piece as u64);
        walk.push(&octets[range.start as usize..end as usize], &mut looking);
    }
    looking.verdict()
}

/// The query as its words say, over the octets alone.
fn naive(query: &Query, message: &Message, octets: &[u8]) -> bool {
    let has = |text: &str, part: &str| {
        let [text, part] =
            [text, part].map(|it| String::from_utf8(casemap::mapped(it)).expect("a good value"));
        text.contains(&part)
    };
    let index = Index::of(octets);
    let slice = |range: std::ops::Range<u64>| &octets[range.start as usize..range.end as usize];
    let value = |field: &header::Field<'_>| field.text().replace(['\r', '\n'], " ");
    let root = index.section(&[], Section::Header).expect("a good value");
    let lines = |header| -> String {
        let line =
            |it: header::Field<'_>| format!("{}: {}\r\n", String::from_utf8_lossy(it.name), value(&it));
        header::fields(slice(header)).map(line).collect()
    };
    let day = |seconds: i64| seconds.div_euclid(86_400);
    match query {
        Query::All => true,
        Query::Uids(uids) => uids.contains(message.uid),
        Query::Flag(flags) => message.flags.contains(*flags),
        Query::Keyword(keyword) => message.flags.has_keyword(keyword),
        Query::ModSeq(least) => message.mod_seq.value() >= least.value(),
        Query::Day(DateOf::Arrival, days) => days.contains(&day(message.internal_date)),
        Query::Day(DateOf::Saving, days) => days.contains(&day(message.save_date)),
        Query::Day(DateOf::Sending, days) => {
            let date = header::find(slice(root), "Date")
                .and_then(|field| mailwright_message::date::parse(field.value));
            date.is_some_and(|date| days.contains(&day(date.unix + i64::from(date.offset) * 60)))
        }
        Query::Arrived(seconds) => seconds.contains(&message.internal_date),
        Query::Size(octets) => octets.contains(&message.size()),
        Query::Header { name, value: wanted } => {
            header::fields(slice(root)).any(|field| field.is(name) && has(&value(&field), wanted))
        }
        Query::Body(wanted) => {
            let parts: Vec<_> = index.parts().collect();
            let in_text = parts.iter().any(|part| {
                let mut text = String::new();
                let Some(mut reader) = Reader::of(part) else {
                    return false;
                };
                reader.push(slice(part.body()), &mut text);
                reader.finish(&mut text);
                has(&text, wanted)
            });
            let is_message = |part: &&Part<'_>| part.kind() == Kind::Message;
            let mut nested = parts.iter().filter(is_message).flat_map(Part::children);
            wanted.is_empty() || in_text || nested.any(|root| has(&lines(root.header()), wanted))
        }
        Query::Text(wanted) => {
            let mut headers = index.parts().map(|part| lines(part.header()));
            naive(&Query::Body(wanted.clone()), message, octets) || headers.any(|it| has(&it, wanted))
        }
        Query::Email(hash) => message.blob.as_ref().is_some_and(|blob| blob.hash() == hash),
        Query::Thread(thread) => message.thread == *thread,
        Query::Not(inner) => !naive(inner, message, octets),
        Query::Or(all) => all.iter().any(|it| naive(it, message, octets)),
        Query::And(all) => all.iter().all(|it| naive(it, message, octets)),
        _ => unreachable!("a query that this test does not know"),
    }
}

const WORDS: [&str; 12] = [
    "",
    "a",
    "foo",
    "oo b",
    "Grüße",
    "GRÜSSE",
    "straße",
    "e\u{301}",
    "é",
    "ﬁ",
    "bar\r\n",
    "=?utf-8?q?=C3=A9?=",
];

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&WORDS[..]), 0..4).prop_map(|words| words.join(" "))
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let field = (
        prop::sample::select(&["Subject", "subject", "From", "To", "Cc", "X-Other", "Message-ID"][..]),
        words(),
    );
    let fields = prop::collection::vec(field, 0..5).prop_map(|fields| {
        let line = |(name, text): (&str, String)| format!("{name}: {}\r\n", text.replace("\r\n", "\r\n  "));
        fields.into_iter().map(line).collect::<String>()
    });
    let date = prop::sample::select(&["", "Date: Sun, 11 Jan 1970 23:30:00 -0200\r\n", "Date: soon\r\n"][..]);
    let types = [
        "text/plain; charset=utf-8",
        "text/plain; charset=iso-8859-1",
        "text/plain; format=flowed; charset=utf-8",
        "text/html; charset=utf-8",
        "application/x; name=foo",
        "message/rfc822",
    ];
    let part =
        (prop::sample::select(types.to_vec()), words(), any::<bool>()).prop_map(|(kind, text, encoded)| {
            let encoding = match encoded && !kind.starts_with("message") {
                true => "Content-Transfer-Encoding: quoted-printable\r\n",
                false => "",
            };
            format!("Content-Type: {kind}\r\n{encoding}\r\n{text} <b>{text}</b>\r\n")
        });
    let parts = prop::collection::vec(part, 1..4);
    (fields, date, parts).prop_map(|(fields, date, parts)| {
        let mut message = format!("{fields}{date}");
        match &parts[..] {
            [one] => message += one,
            many => {
                message += "Content-Type: multipart/mixed; boundary=x\r\n\r\n";
                many.iter().for_each(|part| message += &format!("--x\r\n{part}"));
                message += "--x--\r\n";
            }
        }
        message.into_bytes()
    })
}

fn queries() -> impl Strategy<Value = Query> {
    let name = prop::sample::select(&["Subject", "FROM", "To", "X-Other", "Date", "message-id", "a: b"][..]);
    let of = prop::sample::select(&[DateOf::Arrival, DateOf::Sending, DateOf::Saving][..]);
    let word = || prop::sample::select(&WORDS[..]).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Query::All),
        (1u32..9).prop_map(|uid| Query::Uids(UidSet::from(Uid::new(uid).expect("a good value")))),
        Just(Query::Flag(SystemFlags::SEEN)),
        Just(Query::Flag(SystemFlags::DRAFT)),
        Just(Query::Keyword(Keyword::parse("$junk").expect("a good value"))),
        (68u64..73).prop_map(|it| Query::ModSeq(ModSeq::new(it))),
        (of, 8i64..23, 0i64..4).prop_map(|(of, from, len)| Query::Day(of, from..from + len)),
        (0i64..2_000_000).prop_map(|from| Query::Arrived(from..i64::MAX)),
        (0u64..300).prop_map(|from| Query::Size(from..from + 200)),
        (8u8..11).prop_map(|it| Query::Email(BlobHash::from_bytes([it; 32]))),
        (2u64..5).prop_map(|it| Query::Thread(ThreadId::new(it))),
        (name, word()).prop_map(|(name, value)| Query::Header {
            name: name.to_owned(),
            value
        }),
        word().prop_map(Query::Body),
        word().prop_map(Query::Text),
        words().prop_map(Query::Text),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Query::Not(Box::new(it))),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Query::Or),
            prop::collection::vec(inner, 0..3).prop_map(Query::And),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn all_stages_agree_with_the_naive_evaluator(octets in messages(), query in queries(), piece in 1usize..50) {
        let wanted = naive(&query, &row(&octets), &octets);
        for message in stored(&octets) {
            prop_assert_eq!(matches(&query, &message, &octets, piece), wanted, "{:?}", message);
        }
    }
}

#[test]
fn what_spans_two_pieces_of_a_long_text_is_found() {
    let mut octets = b"Content-Type: text/html\r\n\r\n".to_vec();
    octets.extend(b"x".repeat(64 * 1024 - 3));
    octets.extend(b"needle");
    octets.extend(b"y".repeat(200 * 1024));
    let message = row(&octets);
    for piece in [1000, 64 * 1024, 1 << 20] {
        assert!(matches(&Query::Body("xneedley".into()), &message, &octets, piece));
        assert!(!matches(&Query::Body("needles".into()), &message, &octets, piece));
    }
}

#[test]
fn a_sketch_leaves_few_texts_to_be_read() {
    let words: Vec<String> = (0..900)
        .map(|n: u64| format!("w{:x}", n.wrapping_mul(2_654_435_761) % 65_521))
        .collect();
    let mut left = 0;
    for at in 0..200 {
        let octets = format!("Subject: {at}\r\n\r\n{}\r\n", words[at..at + 500].join(" "));
        let meta = digest(octets.as_bytes(), Options::default());
        assert!((9..=4096).contains(&meta.sketch.len()), "{}", meta.sketch.len());
        let mut message = row(octets.as_bytes());
        message.sketch = meta.sketch;
        let judge = |text: &str| Search::new(&Query::Text(text.into())).judge(&message);
        assert_eq!(judge(&words[at + 250].to_uppercase()), None);
        left += usize::from(judge("Straßenfest").is_none());
    }
    assert!(left < 4, "{left} of 200");
}

#[test]
fn a_sketch_alone_tells_of_one_and_two_octets() {
    let octets = b"Subject: \xc3\xa4\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nqz\r\n--b\r\n\r\n#\r\n--b--\r\n";
    let mut message = row(octets);
    message.sketch = digest(octets, Options::default()).sketch;
    let judge = |query: Query| Search::new(&query).judge(&message);
    for (needle, in_body, in_text) in [
        ("q", true, true),
        ("qz", true, true),
        ("QZ", true, true),
        ("zq", false, false),
        // The only octet of its part.
        ("#", true, true),
        // What ends one unit and begins the next is not together.
        ("z#", false, false),
        // In headers alone.
        ("bj", false, true),
        ("j", false, true),
        // A letter and its mark, of which the mark has two octets.
        ("\u{308}", false, true),
        ("~", false, false),
    ] {
        assert_eq!(judge(Query::Body(needle.into())), Some(in_body), "{needle}");
        assert_eq!(judge(Query::Text(needle.into())), Some(in_text), "{needle}");
        let other = Query::Header {
            name: "X-Other".into(),
            value: needle.into(),
        };
        assert_eq!(judge(other), (!in_text).then_some(false), "{needle}");
    }
}

#[test]
fn a_sketch_of_the_first_version_is_understood() {
    let mut message = row(b"");
    // A filter of one word.
    let judge = |message: &Message, needle: &str| Search::new(&Query::Text(needle.into())).judge(message);
    message.sketch = Bytes::from_static(b"\x01\0\0\0\0\0\0\0\0");
    assert_eq!(judge(&message, "abc"), Some(false));
    assert_eq!(judge(&message, "ab"), None);
    message.sketch = Bytes::from_static(b"\x01\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(judge(&message, "abc"), None);
}

#[test]
fn a_text_with_everything_in_it_and_a_sketch_of_another_kind_leave_all_open() {
    let many: String = (0..60_000_u32)
        .filter_map(|n| char::from_u32(0x4e00 + n % 20_000))
        .collect();
    let meta = digest(format!("\r\n{many}").as_bytes(), Options::default());
    assert!(meta.sketch.is_empty());
    let mut message = row(b"");
    for sketch in [&b""[..], b"\x01", b"\x01abc", b"\x02abcdefgh"] {
        message.sketch = Bytes::copy_from_slice(sketch);
        assert_eq!(Search::new(&Query::Text("needle".into())).judge(&message), None);
    }
}

#[test]
fn within_has_both_ends() {
    let mut message = row(b"");
    message.internal_date = 1000;
    for (now, younger, older) in [(1009, true, false), (1010, true, true), (1011, false, true)] {
        assert_eq!(matches(&Query::younger(now, 10), &message, b"", 1), younger);
        assert_eq!(matches(&Query::older(now, 10), &message, b"", 1), older);
    }
}

#[test]
fn only_what_is_needed_is_read() {
    let subject = Query::Header {
        name: "subject".into(),
        value: "x".into(),
    };
    let search = Search::new(&subject);
    assert!(
        search
            .first()
            .is_some_and(|it| it.contains(Fields::SORT) && !it.contains(Fields::TEXT))
    );
    // What is in every text, and what keys cannot tell.
    let named = |value: &str| Query::Header {
        name: "X-Other".into(),
        value: value.into(),
    };
    assert_eq!(Search::new(&named("")).first(), None);
    assert_eq!(Search::new(&named("x")).first(), Some(Fields::SKETCH));
    let text = Search::new(&Query::Text("xyz".into()));
    assert_eq!(text.first(), Some(Fields::SKETCH));
    assert!(!text.second().contains(Fields::SKETCH));
    assert_eq!(Search::new(&Query::All).first(), Some(Fields::NONE));
    let seen = Query::And(vec![Query::Flag(SystemFlags::SEEN), Query::Text("x".into())]);
    assert_eq!(Search::new(&seen).first(), Some(Fields::FLAGS | Fields::SKETCH));
    assert!(Search::new(&Query::Or(Vec::new())).uids().is_empty());
}

fn sorted(messages: &[(u32, &str, i64, u64)], criteria: &[(SortKey, bool)]) -> Vec<u32> {
    let criteria = criteria.iter().map(|(key, reverse)| SortCriterion {
        key: *key,
        reverse: *reverse,
    });
    let mut sorter = Sorter::new(criteria.collect());
    for (uid, header, date, size) in messages {
        let mut message = Message::new(Uid::new(*uid).expect("a good value"), ModSeq::ONE).with_size(*size);
        (message.flags, message.internal_date) = (Flags::new(), *date);
        sorter.push(&message, &Keys::of(header.as_bytes()));
    }
    sorter.finish().into_iter().map(Uid::value).collect()
}

#[test]
fn sorts_by_every_key() {
    let messages = [
        (
            1,
            "Subject: b\r\nFrom: Zoe <a@x>\r\nTo: c@x\r\nDate: Thu, 1 Jan 1970 01:00:00 +0100\r\n",
            30,
            5,
        ),
        (
            2,
            "Subject: Re: A\r\nFrom: Adam <z@x>\r\nTo: B <b@x>\r\nCc: q@x\r\n",
            20,
            5,
        ),
        (
            3,
            "Subject: [x] a\r\nFrom: M\u{fc}ller <m@x>\r\nTo: \u{e4} <d@x>\r\nDate: Thu, 1 Jan 1970 00:00:10 +0000\r\n",
            10,
            4,
        ),
    ];
    use SortKey::{Arrival, Cc, Date, DisplayFrom, DisplayTo, From, Size, Subject, To};
    for (criteria, wanted) in [
        (&[(Arrival, false)][..], [3, 2, 1]),
        (&[(Date, false)], [1, 3, 2]),
        (&[(Date, true)], [2, 3, 1]),
        (&[(Size, false)], [3, 1, 2]),
        (&[(Size, true)], [1, 2, 3]),
        (&[(Subject, false)], [2, 3, 1]),
        (&[(Subject, false), (Arrival, false)], [3, 2, 1]),
        (&[(From, false)], [1, 3, 2]),
        (&[(To, false)], [2, 1, 3]),
        (&[(Cc, false)], [1, 3, 2]),
        (&[(DisplayFrom, false)], [2, 3, 1]),
        (&[(DisplayTo, true)], [1, 2, 3]),
        (&[], [1, 2, 3]),
    ] {
        assert_eq!(sorted(&messages, criteria), wanted, "{criteria:?}");
    }
}

#[test]
fn threads_of_messages_with_and_without_keys() {
    let headers = [
        "Message-ID: <a@x>\r\nSubject: one\r\n",
        "Message-ID: <b@x>\r\nReferences: <a@x>\r\nSubject: Re: one\r\n",
        "Message-ID: <c@x>\r\nSubject: two\r\n",
    ];
    for is_old in [false, true] {
        let mut threader = Threader::new();
        for (uid, header) in (1..).zip(headers) {
            let mut message = Message::new(Uid::new(uid).expect("a good value"), ModSeq::ONE);
            message.internal_date = uid.into();
            let meta = digest(header.as_bytes(), Options::default());
            if !is_old {
                (message.sort_keys, message.threading) = (meta.sort_keys, meta.threading);
            }
            let keys = Keys::from_bytes(&message.sort_keys).unwrap_or_else(|| Keys::of(header.as_bytes()));
            threader.push(&message, &keys);
        }
        for how in [Threads::References, Threads::OrderedSubject] {
            let places = threader.finish(how);
            let shown: Vec<_> = places
                .iter()
                .map(|Place { depth, uid, .. }| (*depth, uid.expect("a good value").value()))
                .collect();
            assert_eq!(shown, [(0, 1), (1, 2), (0, 3)]);
        }
    }
}
