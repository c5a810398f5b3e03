//! What is written in a Maildir is read as it was meant.
#![cfg(feature = "maildir")]
#![allow(clippy::unwrap_used)] // Tests end at what goes wrong.

use mailwright_mailbox::{Flags, Keyword, MailboxName, SystemFlags, Uid, UidValidity};
use mailwright_store::maildir::format::{
    FileName, Keywords, ToWire, UidList, directory_of, mailbox_of, parse_subscriptions, write_subscriptions,
};

#[test]
fn folders_and_back() {
    for (name, directory) in [
        ("Archive", ".Archive"),
        ("Archive/2026", ".Archive.2026"),
        ("INBOX/x", ".INBOX.x"),
        ("Entwürfe", ".Entw&APw-rfe"),
        ("台北/日本語", ".&U,BTFw-.&ZeVnLIqe-"),
        ("a & b", ".a &- b"),
        ("v1.2/x\\y", ".v1\\2e2.x\\5cy"),
        ("😀", ".&2D3eAA-"),
    ] {
        let name = MailboxName::parse(name).unwrap();
        assert_eq!(directory_of(&name), directory);
        assert_eq!(mailbox_of(directory), Some(name));
    }
    assert_eq!(
        mailbox_of(".Entwürfe").unwrap().as_str(),
        "Entwürfe",
        "plain UTF-8"
    );
    assert_eq!(mailbox_of(".a&b").unwrap().as_str(), "a&b", "not modified UTF-7");
    for none in ["Archive", ".", "..", ".a..b", ".a\\2fb", ".x*", ""] {
        assert_eq!(mailbox_of(none), None, "{none}");
    }
}

#[test]
fn file_names_tell_flags() {
    let mut keywords = Keywords::parse("0 NonJunk\n2 $Label1\nx\n99 far\n");
    let name = FileName::parse("1276528487.M364837P9451.host,S=1355,W=1394:2,FPSac");
    assert_eq!(
        (name.base, name.size()),
        ("1276528487.M364837P9451.host,S=1355,W=1394", Some(1355))
    );
    let mut flags = Flags::from(SystemFlags::FLAGGED | SystemFlags::SEEN);
    for keyword in ["$Forwarded", "nonjunk", "$label1"] {
        flags.insert_keyword(Keyword::parse(keyword).unwrap());
    }
    assert_eq!(name.flags(&keywords), flags);
    flags.insert_keyword(Keyword::parse("later").unwrap());
    assert_eq!(FileName::letters_of(&flags, &mut keywords), "FPSacd");
    assert_eq!(keywords.to_text(), "0 NonJunk\n2 $Label1\n3 later\n");
    assert_eq!(FileName::parse("x").letters, "");
    assert_eq!(FileName::parse("x:1,S").letters, "");
    assert_eq!(FileName::parse("x:2,S,other").letters, "S");
    // No more than 26 have letters.
    for n in 0..30 {
        keywords.letter_of(&Keyword::parse(&format!("k{n}")).unwrap());
    }
    assert_eq!(keywords.letter_of(&Keyword::parse("one-more").unwrap()), None);
}

#[test]
fn uid_lists_of_both_versions() {
    let uid = |n| Uid::new(n).unwrap();
    let three = "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n\
        25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n\
        25017 W2481 G1 :1276533073.M242911P3632.kurkku:2,F\n25016 :not-ascending\nrubbish\n";
    let list = UidList::parse(three).unwrap();
    assert_eq!(
        (list.uid_validity, list.uid_next),
        (UidValidity::new(1_275_660_208), Some(uid(25_022)))
    );
    let expected = [
        (
            uid(25_006),
            "1276528487.M364837P9451.kurkku,S=1355,W=1394".to_owned(),
        ),
        (uid(25_017), "1276533073.M242911P3632.kurkku".to_owned()),
    ];
    assert_eq!(list.entries, expected);
    assert_eq!(UidList::parse(&list.to_text()), Some(list));
    let one = UidList::parse("1 1275660208 25022\n25006 a.b.c:2,S\n").unwrap();
    assert_eq!(one.entries, [(uid(25_006), "a.b.c".to_owned())]);
    for bad in ["", "4 V1 N1", "3 Vx", "2"] {
        assert_eq!(UidList::parse(bad), None, "{bad}");
    }
}

#[test]
fn subscriptions_of_both_versions() {
    let read = |text: &str| -> Vec<String> {
        parse_subscriptions(text)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        read("INBOX\nSent\nArchive.2026\n\n..\n"),
        ["INBOX", "Sent", "Archive/2026"]
    );
    assert_eq!(read("V\t2\n\nArchive\t2026\n"), ["Archive/2026"]);
    let names: Vec<_> = ["INBOX", "a/b.c"]
        .map(|it| MailboxName::parse(it).unwrap())
        .to_vec();
    assert_eq!(parse_subscriptions(&write_subscriptions(&names)), names);
}

#[test]
fn lines_get_the_ends_of_the_wire() {
    // Every way to cut in two gives the same.
    let to_wire = |text: &[u8]| {
        let whole = ToWire::default().convert(text.to_vec());
        for at in 0..=text.len() {
            let mut lines = ToWire::default();
            let mut cut = lines.convert(text[..at].to_vec());
            cut.extend(lines.convert(text[at..].to_vec()));
            assert_eq!(cut, whole, "cut at {at}");
        }
        whole
    };
    assert_eq!(to_wire(b"a\nb\r\nc\n\nd"), b"a\r\nb\r\nc\r\n\r\nd");
    assert_eq!(to_wire(b"a\r\nb\nc\r"), b"a\r\nb\nc\r", "as it came");
    assert_eq!(to_wire(b"\r\n\n"), b"\r\n\n");
    assert_eq!(to_wire(b"\n\r\n"), b"\r\n\r\n");
}
