//! Edited messages: what was named is changed, and no other octet.

mod common;

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;

use common::crlf;
use mailwright_message::build::reply::Resent;
use mailwright_message::build::{self, Encoding, Field, Part};
use mailwright_message::date::DateTime;
use mailwright_message::edit::{Editor, Error, Place, Segment};
use mailwright_message::index::{Index, Kind};
use mailwright_message::{DefectKind, header};
use proptest::prelude::*;

const RANDOM: [u8; 16] = [7; 16];

fn edit(
    message: &[u8],
    change: impl FnOnce(&Index, &mut Editor<'_>) -> Result<(), Error>,
) -> Result<String, Error> {
    let index = Index::of(message);
    let mut editor = Editor::new(&index, message);
    change(&index, &mut editor)?;
    let edited = editor.finish()?;
    let whole = edited.to_vec(message);
    assert_eq!(edited.octets(), whole.len() as u64);
    let shared = bytes::Bytes::copy_from_slice(message);
    assert_eq!(edited.chunks(&shared).concat(), whole);
    assert!(edited.segments().iter().all(|segment| !segment.is_empty()));
    Ok(String::from_utf8(whole).expect("text"))
}

fn text(name: &str, value: &str) -> Field<'static> {
    Field::text(name.to_owned(), value.to_owned())
}

const PARTS: &str = "From: a@b\nContent-Type: multipart/mixed; boundary=x\n\npreamble\n--x\n\none\n--x\n\
    Content-Type: text/html\n\ntwo\n--x\nContent-Disposition: attachment\n\nthree\n--x--\nepilogue\n";

#[test]
fn fields_go_where_they_are_wanted() {
    let message = "A: 1\nB : 2\n x\nA: 3\n\nbody\n";
    for (place, want) in [
        (Place::Top, "N: n\nA: 1\nB : 2\n x\nA: 3\n\nbody\n"),
        (Place::Bottom, "A: 1\nB : 2\n x\nA: 3\nN: n\n\nbody\n"),
        (Place::Before("b"), "A: 1\nN: n\nB : 2\n x\nA: 3\n\nbody\n"),
        (Place::After("a"), "A: 1\nB : 2\n x\nA: 3\nN: n\n\nbody\n"),
        (Place::After("B"), "A: 1\nB : 2\n x\nN: n\nA: 3\n\nbody\n"),
    ] {
        let edited = edit(message.as_bytes(), |i, e| {
            e.add_field(i.root(), place, &text("N", "n"))
        });
        assert_eq!(edited.unwrap(), want, "{place:?}");
    }
    let missing = edit(message.as_bytes(), |i, e| {
        e.add_field(i.root(), Place::After("C"), &text("N", "n"))
    });
    assert_eq!(missing, Err(Error::NoField("C".into())));
    let edited = edit(message.as_bytes(), |i, e| {
        for name in ["First", "Second"] {
            e.add_field(i.root(), Place::Top, &text(name, "t"))?;
            e.add_field(i.root(), Place::Bottom, &text(name, "b"))?;
        }
        Ok(())
    });
    assert_eq!(
        edited.unwrap(),
        "Second: t\nFirst: t\nA: 1\nB : 2\n x\nA: 3\nFirst: b\nSecond: b\n\nbody\n"
    );
}

#[test]
fn fields_are_replaced_removed_and_moved() {
    let message = crlf("A: 1\nB : 2\n x\nA: 3\n\nbody\n");
    type Change = fn(&Index, &mut Editor<'_>) -> Result<(), Error>;
    let changes: [(Change, &str); 7] = [
        (
            |i, e| e.set_field(i.root(), &text("a", "n")),
            "a: n\nB : 2\n x\n\nbody\n",
        ),
        (
            |i, e| e.set_field(i.root(), &text("C", "n")),
            "A: 1\nB : 2\n x\nA: 3\nC: n\n\nbody\n",
        ),
        (
            |i, e| e.replace_field(i.root(), "A", 1, &text("D", "n")),
            "A: 1\nB : 2\n x\nD: n\n\nbody\n",
        ),
        (
            |i, e| e.remove_fields(i.root(), "A").map(|n| assert_eq!(n, 2)),
            "B : 2\n x\n\nbody\n",
        ),
        (|i, e| e.remove_field(i.root(), "b", 0), "A: 1\nA: 3\n\nbody\n"),
        (
            |i, e| e.move_field(i.root(), "B", 0, Place::Top),
            "B : 2\n x\nA: 1\nA: 3\n\nbody\n",
        ),
        (
            |i, e| e.move_field(i.root(), "A", 0, Place::Bottom),
            "B : 2\n x\nA: 3\nA: 1\n\nbody\n",
        ),
    ];
    for (change, want) in changes {
        assert_eq!(edit(&message, change).unwrap().into_bytes(), crlf(want));
    }
    let twice = edit(&message, |i, e| {
        e.set_field(i.root(), &text("A", "n"))?;
        e.remove_field(i.root(), "A", 0)
    });
    assert_eq!(twice, Err(Error::Conflict(0)));
    let missing = edit(&message, |i, e| e.remove_field(i.root(), "A", 2));
    assert_eq!(missing, Err(Error::NoField("A".into())));
    let wrong = edit(&message, |i, e| {
        e.set_field(i.root(), &text("A", "x\r\nBcc: eve@e.test"))
    });
    assert_eq!(wrong, Err(Error::Build(build::Error::Control("A".into()))));
}

#[test]
fn messages_that_are_hardly_any() {
    for (message, want) in [
        ("", "N: n\r\n"),
        ("\r\n", "N: n\r\n\r\n"),
        ("\nbody", "N: n\n\nbody"),
        ("no header at all\n", "N: n\n\nno header at all\n"),
        ("A: 1", "A: 1\r\nN: n\r\n"),
        ("A: 1\n x", "A: 1\n x\nN: n\n"),
        ("From me Mon\nA: 1\n\n", "From me Mon\nA: 1\nN: n\n\n"),
        ("From me Mon\ntext\n", "From me Mon\nN: n\n\ntext\n"),
        ("From me", "From me\r\nN: n\r\n"),
        ("A: 1\ngarbage\n\nb", "A: 1\ngarbage\nN: n\n\nb"),
        ("A: 1\r\n\r\r\nb", "A: 1\r\nN: n\r\n\r\r\nb"),
    ] {
        let bottom = edit(message.as_bytes(), |i, e| {
            e.add_field(i.root(), Place::Bottom, &text("N", "n"))
        });
        assert_eq!(bottom.unwrap(), want, "{message:?}");
    }
    for (message, want) in [
        ("From me Mon\nA: 1\n\n", "From me Mon\nN: n\nA: 1\n\n"),
        ("From me Mon\ntext\n", "From me Mon\nN: n\n\ntext\n"),
        ("A: 1", "N: n\r\nA: 1"),
        ("text", "N: n\r\n\r\ntext"),
    ] {
        let top = edit(message.as_bytes(), |i, e| {
            e.add_field(i.root(), Place::Top, &text("N", "n"))
        });
        assert_eq!(top.unwrap(), want, "{message:?}");
    }
    // A field whose last line has no end, replaced while others are added.
    let both = edit(b"A: 1", |i, e| {
        e.set_field(i.root(), &text("A", "2"))?;
        e.add_field(i.root(), Place::Bottom, &text("N", "n"))?;
        e.add_field(i.root(), Place::Bottom, &text("M", "m"))
    });
    assert_eq!(both.unwrap(), "A: 2\r\nN: n\r\nM: m\r\n");
    // Lines that are no field go with the one before them: at the start they would make a body of the header.
    let removed = edit(b"A: 1\ngarbage\nB: 2\n\nbody", |i, e| {
        e.remove_field(i.root(), "A", 0)
    });
    assert_eq!(removed.unwrap(), "B: 2\n\nbody");
    let body = edit(b"A: 1", |i, e| e.replace_body(i.root(), "new"));
    assert_eq!(body.unwrap(), "A: 1\r\n\r\nnew");
    let body = edit(b"text", |i, e| e.replace_body(i.root(), "new"));
    assert_eq!(body.unwrap(), "\r\nnew");
}

#[test]
fn parts_are_removed_added_and_replaced() {
    let head = "From: a@b\nContent-Type: multipart/mixed; boundary=x\n\npreamble\n";
    let two = "--x\nContent-Type: text/html\n\ntwo\n";
    let three = "--x\nContent-Disposition: attachment\n\nthree\n";
    for (numbers, left) in [
        (&[1][..], format!("{two}{three}")),
        (&[2], format!("--x\n\none\n{three}")),
        (&[3], format!("--x\n\none\n{two}")),
        (&[1, 2], three.to_owned()),
        (&[2, 3], "--x\n\none\n".to_owned()),
        (&[1, 3], two.to_owned()),
    ] {
        let edited = edit(PARTS.as_bytes(), |i, e| {
            numbers
                .iter()
                .try_for_each(|n| e.remove_part(i.part(&[*n]).expect("it is there")))
        });
        assert_eq!(
            edited.unwrap(),
            format!("{head}{left}--x--\nepilogue\n"),
            "{numbers:?}"
        );
    }
    let all = edit(PARTS.as_bytes(), |i, e| {
        i.root().children().try_for_each(|part| e.remove_part(part))
    });
    assert_eq!(all, Err(Error::LastPart));
    let root = edit(PARTS.as_bytes(), |i, e| e.remove_part(i.root()));
    assert_eq!(root, Err(Error::NotInMultipart));

    let note = || Part::text("a note");
    let new = "Content-Type: text/plain; charset=us-ascii\n\na note\n";
    for (before, want) in [
        (0, PARTS.replacen("--x\n", &format!("--x\n{new}--x\n"), 1)),
        (1, PARTS.replacen("one\n", &format!("one\n--x\n{new}"), 1)),
        (3, PARTS.replacen("three\n", &format!("three\n--x\n{new}"), 1)),
        (9, PARTS.replacen("three\n", &format!("three\n--x\n{new}"), 1)),
    ] {
        let edited = edit(PARTS.as_bytes(), |i, e| {
            e.add_part(i.root(), before, note(), RANDOM)
        });
        assert_eq!(edited.unwrap(), want);
    }
    let swapped = edit(PARTS.as_bytes(), |i, e| {
        e.replace_part(i.part(&[3]).unwrap(), note(), RANDOM)?;
        e.remove_part(i.part(&[2]).unwrap())?;
        e.add_part(i.root(), 0, note(), RANDOM)
    });
    assert_eq!(
        swapped.unwrap(),
        format!("{head}--x\n{new}--x\n\none\n--x\n{new}--x--\nepilogue\n")
    );
    let delimiter = edit(PARTS.as_bytes(), |i, e| {
        e.replace_body(i.part(&[1]).unwrap(), "a\n--x\nb")
    });
    assert_eq!(delimiter, Err(Error::Delimiter));
    let inner = edit(PARTS.as_bytes(), |i, e| {
        e.replace_body(i.part(&[1]).unwrap(), "a --x\nb")
    });
    assert_eq!(inner.unwrap(), PARTS.replace("one", "a --x\nb"));
    for stand_in in [
        "A: b\n\nbody",
        "Content-Type: multipart/mixed; boundary=x\n\nbody",
    ] {
        let none = edit(stand_in.as_bytes(), |i, e| {
            e.add_part(i.root(), 0, note(), RANDOM)
        });
        assert_eq!(none, Err(Error::NotMultipart));
    }
    let clash = edit(PARTS.as_bytes(), |i, e| {
        e.remove_part(i.part(&[2]).unwrap())?;
        e.set_field(i.part(&[2]).unwrap(), &text("Content-Language", "en"))
    });
    assert!(matches!(clash, Err(Error::Conflict(_))));
}

#[test]
fn the_root_keeps_its_own_fields() {
    let message =
        crlf("Received: x\nContent-type: text/html;\n charset=utf-8\nSubject: s\nCONTENT-ID: <a@b>\n\n<p>\n");
    let edited = edit(&message, |i, e| {
        let part = Part::text("caf\u{e9}").encoding(Encoding::Base64);
        e.replace_part(i.root(), part, RANDOM)
    });
    let want = "Received: x\nSubject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
        Content-Transfer-Encoding: base64\n\nY2Fmw6k=\n";
    assert_eq!(edited.unwrap().into_bytes(), crlf(want));

    let wrapped = edit(&message, |i, e| {
        e.wrap(
            i.root(),
            "mixed",
            [Part::text("before")],
            [Part::text("behind")],
            RANDOM,
        )
    });
    let plain = "Content-Type: text/plain; charset=us-ascii\n\n";
    let boundary = "=-0w3ge1r70w3ge1r70w3ge1r70w";
    let want = format!(
        "Received: x\nSubject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\n\n\
        --{boundary}\n{plain}before\n--{boundary}\nContent-type: text/html;\n charset=utf-8\nCONTENT-ID: <a@b>\n\n\
        <p>\n\n--{boundary}\n{plain}behind\n--{boundary}--\n"
    );
    let wrapped = wrapped.unwrap();
    assert_eq!(wrapped.as_bytes(), crlf(&want));
    let unwrapped = edit(wrapped.as_bytes(), |i, e| e.unwrap(i.part(&[2]).unwrap()));
    let want = "Received: x\nSubject: s\nMIME-Version: 1.0\nContent-type: text/html;\n charset=utf-8\n\
        CONTENT-ID: <a@b>\n\n<p>\n";
    assert_eq!(unwrapped.unwrap().into_bytes(), crlf(want));
    let bare = edit(b"just text", |i, e| {
        e.wrap(i.root(), "mixed", [], [Part::text("x")], RANDOM)
    })
    .unwrap();
    let index = Index::of(bare.as_bytes());
    assert_eq!(index.root().children().count(), 2);
    assert_eq!(index.defects().count(), 0, "{bare}");
    let first = index.part(&[1]).unwrap().body();
    assert_eq!(&bare[first.start as usize..first.end as usize], "just text");
}

#[test]
fn nested_messages_are_edited_in_place() {
    let message = "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: inner\n\ntext\n--d--\n";
    let edited = edit(message.as_bytes(), |i, e| {
        let part = i.part(&[1]).unwrap();
        assert_eq!(part.kind(), Kind::Message);
        let inner = part.children().next().unwrap();
        e.add_field(part, Place::Top, &text("Content-Description", "d"))?;
        e.add_field(inner, Place::Top, &text("X", "inner"))
    });
    assert_eq!(
        edited.unwrap(),
        "Content-Type: multipart/digest; boundary=d\n\n--d\nContent-Description: d\n\nX: inner\nSubject: inner\n\ntext\n--d--\n"
    );
    let wrapped = edit(message.as_bytes(), |i, e| {
        e.wrap(i.part(&[1]).unwrap(), "mixed", [], [], RANDOM)
    })
    .unwrap();
    let index = Index::of(wrapped.as_bytes());
    assert_eq!(index.part(&[1, 1]).unwrap().kind(), Kind::Message, "{wrapped}");
    assert_eq!(
        index
            .part(&[1, 1])
            .unwrap()
            .children()
            .next()
            .unwrap()
            .fields()
            .count(),
        1
    );
}

#[test]
fn resent_fields_go_on_top() {
    let message = b"Received: x\r\nFrom: bob@b.test\r\n\r\nbody\r\n";
    let resent = Resent::new("alice@a.test", ["carol@c.test"])
        .build(DateTime::new(0, 0), RANDOM)
        .unwrap();
    let edited = edit(message, |i, e| e.add_fields(i.root(), Place::Top, &resent.fields)).unwrap();
    let names: Vec<_> = header::fields(edited.as_bytes())
        .map(|field| String::from_utf8_lossy(field.name).into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "Resent-Date",
            "Resent-From",
            "Resent-To",
            "Resent-Message-ID",
            "Received",
            "From"
        ]
    );
    let wrong = edit(message, |i, e| {
        e.add_fields(i.root(), Place::Top, b"no field\r\n")
    });
    assert!(matches!(wrong, Err(Error::Build(_))));
}

#[test]
fn a_stored_message_is_read_only_where_it_is_edited() {
    let body = "0123456789\r\n".repeat(100_000);
    let message = format!(
        "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{body}\r\n--b\r\n\r\nsmall\r\n--b--\r\n"
    );
    let index = Index::of(message.as_bytes());
    let reads = RefCell::new(0);
    let mut editor = Editor::stored(&index, |range| {
        *reads.borrow_mut() += range.end - range.start;
        message
            .as_bytes()
            .get(range.start as usize..range.end as usize)
            .map(Cow::Borrowed)
    });
    editor.set_field(index.root(), &text("Subject", "y")).unwrap();
    editor.remove_part(index.part(&[2]).unwrap()).unwrap();
    let edited = editor.finish().unwrap();
    assert!(*reads.borrow() < 6000, "{}", reads.borrow());
    let kept: u64 = edited
        .segments()
        .iter()
        .map(|segment| match segment {
            Segment::Original(range) => range.end - range.start,
            Segment::Inserted(_) => 0,
        })
        .sum();
    assert!(
        kept > body.len() as u64 && edited.segments().len() < 6,
        "{edited:?}"
    );

    let mut editor = Editor::stored(&index, |_| None);
    assert!(matches!(
        editor.set_field(index.root(), &text("Subject", "y")),
        Err(Error::Unreadable(_))
    ));
}

#[test]
fn the_corpus_stays_as_it_is() {
    #[allow(clippy::disallowed_methods)] // a test is where the corpus comes in
    let Ok(corpus) = std::env::var("MAIL_CORPUS") else {
        eprintln!("SKIPPED: MAIL_CORPUS is not set");
        return;
    };
    let mut folders = vec![Path::new(&corpus).join("message")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the corpus is a folder") {
            let path = entry.expect("the corpus can be listed").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let message = std::fs::read(&path).expect("the corpus can be read");
            let index = Index::of(&message);
            let same = Editor::new(&index, &message).finish().unwrap();
            assert!(same.to_vec(&message) == message, "{path:?}");
            check_edits(&message);
            files += 1;
        }
    }
    assert!(files > 1000, "{files} files");
}

/// Every edit of every part of a message leaves all others as they are.
fn check_edits(message: &[u8]) {
    let index = Index::of(message);
    if message.len() > 100_000 || index.parts().count() > 30 || has(&index, DefectKind::TooManyFields) {
        return;
    }
    let bodies = |message: &[u8]| -> Vec<Vec<u8>> {
        let index = Index::of(message);
        let leaves = index.parts().filter(|part| part.kind() == Kind::Leaf);
        leaves
            .map(|part| message[part.body().start as usize..part.body().end as usize].to_vec())
            .collect()
    };
    let before = bodies(message);
    for part in index.parts() {
        for place in [Place::Top, Place::Bottom] {
            let mut editor = Editor::new(&index, message);
            match editor.add_field(part, place, &text("X-Added", "by the editor")) {
                Err(Error::StandIn) => continue,
                added => added.expect("a field fits everywhere else"),
            }
            let edited = editor.finish().expect("one edit").to_vec(message);
            assert_eq!(bodies(&edited), before, "{place:?} {}", edited.escape_ascii());
            let again = Index::of(&edited);
            let part = again.parts().nth(part.place() as usize).expect("no part is lost");
            let range = part.header();
            let field = header::find(&edited[range.start as usize..range.end as usize], "X-Added");
            assert_eq!(
                field.map(|field| field.value.trim_ascii()),
                Some(&b"by the editor"[..]),
                "{place:?} {}
{}",
                message.escape_ascii(),
                edited.escape_ascii()
            );
            // Taking it out again gives what was there, but for line ends that had to come.
            let mut editor = Editor::new(&again, &edited);
            assert_eq!(editor.remove_fields(part, "X-Added"), Ok(1));
            let restored = editor.finish().expect("one edit").to_vec(&edited);
            assert!(restored.len() <= message.len() + 4 && restored.len() >= message.len());
        }
        let mut editor = Editor::new(&index, message);
        if editor.remove_part(part).is_ok()
            && let Ok(edited) = editor.finish()
        {
            let edited = edited.to_vec(message);
            let behind = index
                .parts()
                .skip(part.place() as usize + 1)
                .find(|other| other.depth() <= part.depth())
                .map_or(u32::MAX, |other| other.place());
            let left = index
                .parts()
                .filter(|other| other.place() < part.place() || other.place() >= behind);
            let left = left.filter(|other| other.kind() == Kind::Leaf);
            let left: Vec<Vec<u8>> = left
                .map(|part| message[part.body().start as usize..part.body().end as usize].to_vec())
                .collect();
            if !has(&index, DefectKind::UnclosedMultipart) {
                assert_eq!(bodies(&edited), left, "{}", edited.escape_ascii());
            }
        }
        // A header that a delimiter ends gets an empty line, which can give that delimiter another meaning.
        if has(&index, DefectKind::UnendedHeader) {
            continue;
        }
        let mut editor = Editor::new(&index, message);
        if editor
            .wrap(part, "mixed", [], [Part::text("footer")], RANDOM)
            .is_ok()
        {
            let edited = editor.finish().expect("one edit").to_vec(message);
            let count = bodies(&edited).len();
            assert_eq!(count, before.len() + 1, "{}", edited.escape_ascii());
        }
    }
}

fn has(index: &Index, kind: DefectKind) -> bool {
    index.defects().any(|defect| defect.kind == kind)
}

proptest! {
    #[test]
    fn without_edits_nothing_changes(message in prop::collection::vec(any::<u8>(), 0..500)) {
        let index = Index::of(&message);
        let edited = Editor::new(&index, &message).finish().unwrap();
        prop_assert_eq!(edited.to_vec(&message), message);
    }

    #[test]
    fn edits_of_anything_like_a_message(
        lines in prop::collection::vec(prop_oneof![
            Just("Content-Type: multipart/mixed; boundary=x"), Just("Content-Type: multipart/digest; boundary=y"),
            Just("Content-Type: message/rfc822"), Just("A: 1"), Just(" fold"), Just(""), Just(""), Just("--x"), Just("--x"),
            Just("--x--"), Just("--y"), Just("--y--"), Just("text"), Just("From me"), Just("\r"),
        ], 0..16),
        crlf: bool, ended: bool
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut message = lines.join(end);
        if ended {
            message.push_str(end);
        }
        check_edits(message.as_bytes());
    }
}

#[test]
fn wrapping_looks_for_its_boundary_in_the_body() {
    let far = "x".repeat(64 * 1024 - 20);
    for before in ["", &far] {
        let message = format!("A: 1\n\n{before}\n--=-{}\n", "0".repeat(26));
        let wrap = |random| {
            edit(message.as_bytes(), move |i, e| {
                e.wrap(i.root(), "mixed", [], [Part::text("footer")], random)
            })
        };
        assert_eq!(wrap([0; 16]), Err(Error::Delimiter));
        let wrapped = wrap([1; 16]).unwrap();
        assert_eq!(Index::of(wrapped.as_bytes()).root().children().count(), 2);
    }
}

#[test]
fn wrapping_ends_a_header_that_has_no_end() {
    for message in ["A: 1", "A: 1\r\n", "A: 1\r\nContent-Type: text/html\r\n"] {
        let wrapped = edit(message.as_bytes(), |i, e| {
            e.wrap(i.root(), "mixed", [], [Part::text("footer")], [1; 16])
        });
        let wrapped = wrapped.unwrap();
        let index = Index::of(wrapped.as_bytes());
        assert_eq!(index.root().children().count(), 2, "{wrapped}");
        assert!(index.part(&[1]).unwrap().body().is_empty());
        assert!(wrapped.starts_with("A: 1\r\n"), "{wrapped}");
    }
}
