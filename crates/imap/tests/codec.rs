//! What is printed parses to the same, and whatever comes is answered.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use bytes::Bytes;
use mailwright_imap::codec::Command;
use mailwright_imap::encode_name;
use mailwright_wire::SendBuf;
use proptest::collection::vec;
use proptest::prelude::*;

fn parse(text: &[u8]) -> Option<Command> {
    Command::parse(&Bytes::copy_from_slice(text), 50).ok()
}

fn print(command: &Command) -> Vec<u8> {
    let mut tx = SendBuf::new();
    command.encode(&mut tx);
    let mut all = Vec::new();
    while !tx.is_empty() {
        all.extend_from_slice(tx.data());
        let n = tx.data().len();
        tx.sent(n);
    }
    all
}

/// What is between the parentheses is chosen by the test, so that each command has every argument it can have.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9./_-]{1,12}",
        "[ -!#-\\[\\]-~]{0,20}".prop_map(|s| format!("\"{s}\"")),
        "[a-z\\\\\"]{0,8}".prop_map(|s| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""))),
        vec(1u8..=255, 0..20)
            .prop_map(|b| String::from_utf8_lossy(&b).into_owned())
            .prop_map(|s| format!("{{{}+}}\r\n{s}", s.len())),
        Just("\"NIL\"".to_owned()),
        "\\PC{1,6}".prop_map(|s| format!(
            "\"{}\"",
            encode_name(&s).replace('\\', "\\\\").replace('"', "\\\"")
        )),
    ]
}

fn set() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![Just("*".to_owned()), (1u32..).prop_map(|n| n.to_string())],
        1..5,
    )
    .prop_map(|n| n.join(":"))
    .prop_map(|s| {
        s.splitn(2, ':')
            .map(|p| p.replace(':', ","))
            .collect::<Vec<_>>()
            .join(":")
    })
}

fn page() -> impl Strategy<Value = String> {
    (1u32.., 1u32.., any::<bool>()).prop_map(|(a, b, end)| match end {
        true => format!("-{a}:-{b}"),
        false => format!("{a}:{b}"),
    })
}

fn flags() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            Just("\\Seen".to_owned()),
            Just("\\Deleted".to_owned()),
            "[$a-zA-Z][a-z0-9]{0,6}"
        ],
        0..4,
    )
    .prop_map(|f| format!("({})", f.join(" ")))
}

fn date() -> impl Strategy<Value = String> {
    (1u8..=28, 1990u16..2100).prop_map(|(d, y)| format!("{d}-Feb-{y}"))
}

fn key() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "ALL",
            "NEW",
            "OLD",
            "RECENT",
            "SEEN",
            "UNSEEN",
            "UNDRAFT",
            "KEYWORD a",
            "UNKEYWORD $b"
        ])
        .prop_map(str::to_owned),
        string().prop_map(|s| format!("SUBJECT {s}")),
        (string(), string()).prop_map(|(a, b)| format!("HEADER {a} {b}")),
        string().prop_map(|s| format!("BODY {s}")),
        date().prop_map(|d| format!("SENTSINCE {d}")),
        date().prop_map(|d| format!("BEFORE \"{d}\"")),
        any::<u64>().prop_map(|n| format!("LARGER {n}")),
        (0..=i64::MAX as u64, any::<bool>()).prop_map(|(n, named)| match named {
            true => format!("MODSEQ \"/flags/\\\\seen\" all {n}"),
            false => format!("MODSEQ {n}"),
        }),
        (1u32.., prop::sample::select(vec!["YOUNGER", "OLDER"])).prop_map(|(n, key)| format!("{key} {n}")),
        (string(), prop::sample::select(vec!["EMAILID", "THREADID"]))
            .prop_map(|(id, key)| format!("{key} {id}")),
        (
            date(),
            prop::sample::select(vec!["SAVEDBEFORE", "SAVEDON", "SAVEDSINCE"])
        )
            .prop_map(|(date, key)| format!("{key} {date}")),
        prop::sample::select(vec!["SAVEDATESUPPORTED", "$", "UID $"]).prop_map(str::to_owned),
        set(),
        set().prop_map(|s| format!("UID {s}")),
    ];
    leaf.prop_recursive(5, 20, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|k| format!("NOT {k}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("OR {a} {b}")),
            vec(inner, 1..3).prop_map(|k| format!("({})", k.join(" "))),
        ]
    })
}

fn item() -> impl Strategy<Value = String> {
    let section = prop_oneof![
        Just(String::new()),
        Just("HEADER".to_owned()),
        Just("TEXT".to_owned()),
        Just("1.2".to_owned()),
        Just("3.MIME".to_owned()),
        Just("1.TEXT".to_owned()),
        vec(string(), 1..3).prop_map(|f| format!("HEADER.FIELDS ({})", f.join(" "))),
        vec(string(), 1..3).prop_map(|f| format!("2.HEADER.FIELDS.NOT ({})", f.join(" "))),
    ];
    let partial = prop_oneof![
        Just(String::new()),
        (any::<u32>(), 1u32..).prop_map(|(a, b)| format!("<{a}.{b}>"))
    ];
    prop_oneof![
        prop::sample::select(vec![
            "FLAGS",
            "UID",
            "ENVELOPE",
            "BODY",
            "BODYSTRUCTURE",
            "RFC822",
            "RFC822.SIZE",
            "RFC822.HEADER",
            "RFC822.TEXT",
            "INTERNALDATE",
            "MODSEQ",
            "EMAILID",
            "THREADID",
            "SAVEDATE",
            "PREVIEW",
            "PREVIEW (LAZY)",
            "BINARY[]",
            "BINARY.PEEK[1.2]<5.6>",
            "BINARY.SIZE[3]",
        ])
        .prop_map(str::to_owned),
        (any::<bool>(), section, partial)
            .prop_map(|(peek, s, p)| format!("BODY{}[{s}]{p}", if peek { ".PEEK" } else { "" })),
    ]
}

fn command() -> impl Strategy<Value = String> {
    let uid = prop::sample::select(vec!["", "UID "]);
    let body = prop_oneof![
        prop::sample::select(vec![
            "CAPABILITY",
            "EXAMINE a (CONDSTORE)",
            "NOOP",
            "LOGOUT",
            "STARTTLS",
            "CHECK",
            "CLOSE",
            "UNSELECT",
            "EXPUNGE",
            "IDLE",
            "NAMESPACE",
            "ID NIL",
            "AUTHENTICATE PLAIN",
            "AUTHENTICATE PLAIN =",
            "ENABLE CONDSTORE UTF8=ACCEPT",
        ])
        .prop_map(str::to_owned),
        (
            prop::sample::select(vec![
                "SELECT",
                "EXAMINE",
                "CREATE",
                "DELETE",
                "SUBSCRIBE",
                "UNSUBSCRIBE"
            ]),
            string()
        )
            .prop_map(|(verb, name)| format!("{verb} {name}")),
        (prop::sample::select(vec!["LOGIN", "RENAME"]), string(), string())
            .prop_map(|(verb, a, b)| format!("{verb} {a} {b}")),
        (prop::sample::select(vec!["LIST", "LSUB"]), string(), string())
            .prop_map(|(v, a, b)| format!("{v} {a} {b}")),
        (string(), string()).prop_map(|(a, b)| format!(
            "LIST (SUBSCRIBED RECURSIVEMATCH) {a} ({b} %) RETURN (CHILDREN STATUS (MESSAGES SIZE))"
        )),
        string().prop_map(|n| format!("CREATE {n} (USE (\\Sent \\Junk))")),
        string().prop_map(|n| format!("STATUS {n} (UIDNEXT MESSAGES)")),
        (string(), flags()).prop_map(|(n, f)| format!("APPEND {n} {f} \"17-Jul-1996 02:44:25 -0700\" ")),
        (uid.clone(), set(), vec(item(), 1..4))
            .prop_map(|(u, s, i)| format!("{u}FETCH {s} ({})", i.join(" "))),
        (set(), item(), 0..=i64::MAX as u64, page())
            .prop_map(|(s, i, n, p)| format!("UID FETCH {s} ({i}) (CHANGEDSINCE {n} VANISHED PARTIAL {p})")),
        (set(), 0..=i64::MAX as u64, flags())
            .prop_map(|(s, n, f)| format!("STORE {s} (UNCHANGEDSINCE {n}) +FLAGS.SILENT {f}")),
        (
            string(),
            1u32..,
            0..=i64::MAX as u64,
            "[1-9][0-9]{0,3}(:[1-9][0-9]{4})?(,[1-9][0-9]{5})?",
            any::<bool>()
        )
            .prop_map(|(name, v, n, known, sample)| {
                let sample = if sample { " (1:2,9 5:6,70)" } else { "" };
                format!("SELECT {name} (CONDSTORE QRESYNC ({v} {n} {known}{sample}))")
            }),
        (uid.clone(), 1u32.., string(), flags())
            .prop_map(|(u, n, name, f)| format!("{u}REPLACE {n} {name} {f} \"17-Jul-1996 02:44:25 -0700\" ")),
        (page(), key()).prop_map(|(p, k)| format!("UID SEARCH RETURN (SAVE MIN PARTIAL {p}) {k}")),
        (
            uid.clone(),
            set(),
            flags(),
            prop::sample::select(vec!["FLAGS", "+FLAGS.SILENT", "-FLAGS"])
        )
            .prop_map(|(u, s, f, a)| format!("{u}STORE {s} {a} {f}")),
        (
            uid.clone(),
            prop::sample::select(vec!["COPY", "MOVE"]),
            set(),
            string()
        )
            .prop_map(|(u, v, s, n)| format!("{u}{v} {s} {n}")),
        set().prop_map(|s| format!("UID EXPUNGE {s}")),
        (
            uid,
            prop::option::of(Just("RETURN (MIN ALL) ")),
            prop::option::of(Just("CHARSET UTF-8 ")),
            vec(key(), 1..3)
        )
            .prop_map(|(u, r, c, k)| {
                format!("{u}SEARCH {}{}{}", r.unwrap_or(""), c.unwrap_or(""), k.join(" "))
            }),
        (string(), string()).prop_map(|(a, b)| format!("ID (\"name\" {} \"x\" NIL)", quoted(&a, &b))),
    ];
    ("[a-zA-Z0-9.]{1,6}", body).prop_map(|(tag, body)| format!("{tag} {body}"))
}

/// One of two strings that is not an atom, which ID does not take.
fn quoted<'a>(a: &'a str, b: &'a str) -> &'a str {
    [a, b]
        .into_iter()
        .find(|s| s.starts_with(['"', '{']))
        .unwrap_or("\"\"")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn printed_commands_parse_to_the_same(text in command()) {
        let parsed = parse(text.as_bytes());
        prop_assume!(!text.contains('\0'));
        let Some(parsed) = parsed else {
            return Err(TestCaseError::fail(format!("{text:?} does not parse")));
        };
        let printed = print(&parsed);
        prop_assert_eq!(parse(&printed), Some(parsed.clone()), "{}", printed.escape_ascii());
    }

    #[test]
    fn damaged_commands_are_refused_or_understood(text in command(), at in any::<prop::sample::Index>(), octet: u8, cut: bool) {
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        if cut { text.truncate(at) } else { text[at] = octet }
        if let Some(parsed) = parse(&text) {
            let printed = print(&parsed);
            prop_assert_eq!(parse(&printed), Some(parsed), "{}", printed.escape_ascii());
        }
    }

    #[test]
    fn any_octets_are_refused_or_understood(mut text: Vec<u8>, verb in prop::sample::select(vec!["a FETCH 1 ", "a SEARCH ", "a LIST ", "a ID ", ""])) {
        text.splice(0..0, verb.bytes());
        if let Some(parsed) = parse(&text) {
            prop_assert_eq!(parse(&print(&parsed)), Some(parsed));
        }
    }
}

#[test]
fn a_hundred_thousand_parentheses_do_not_recurse() {
    for (open, close) in [("(", ")"), ("NOT ", ""), ("OR 1 ", "")] {
        let text = format!("a SEARCH {}1{}", open.repeat(100_000), close.repeat(100_000));
        let error = Command::parse(&Bytes::from(text), 50).unwrap_err();
        assert_eq!(error.reason, "search keys are nested too deep");
    }
    let depth = |n: usize| format!("a SEARCH {}1{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(depth(49).as_bytes()).is_some() && parse(depth(50).as_bytes()).is_none());
}

#[test]
fn search_keys_are_counted_wherever_they_stand() {
    let flat = |n: usize| format!("a SEARCH{}", " SEEN".repeat(n));
    assert!(parse(flat(500).as_bytes()).is_some() && parse(flat(501).as_bytes()).is_none());
    // OR, NOT, SEEN and SEEN in 125 pairs of parentheses are 625.
    let nested = |n: usize| format!("a UID SEARCH{}", " (OR NOT SEEN SEEN)".repeat(n));
    assert!(parse(nested(100).as_bytes()).is_some() && parse(nested(125).as_bytes()).is_none());
}

#[test]
fn secrets_are_not_in_debug_output() {
    for text in ["a LOGIN user hunter2", "a AUTHENTICATE PLAIN aHVudGVyMg=="] {
        let shown = format!("{:?}", parse(text.as_bytes()).unwrap());
        assert!(
            !shown.contains("hunter2") && !shown.contains("aHVudGVyMg"),
            "{shown}"
        );
    }
}
