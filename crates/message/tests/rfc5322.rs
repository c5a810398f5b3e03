//! The examples of RFC 5322 appendix A, all of them.

mod common;

use common::{crlf, render_envelope};
use mailwright_message::address_list::{self, Address, Mailbox};
use mailwright_message::{Index, date, header, message_id};

/// Name and address of each mailbox; groups in braces.
fn addresses(value: &str) -> String {
    let mailbox = |m: &Mailbox<'_>| {
        let route = m
            .route
            .as_deref()
            .map(|route| format!("{route}:"))
            .unwrap_or_default();
        let address = m.address().expect("the examples have valid addresses");
        assert_eq!(address.to_string(), format!("{}@{}", m.local_part, m.domain));
        match &m.name {
            Some(name) => format!("{name} <{route}{address}>"),
            None => format!("{route}{address}"),
        }
    };
    let value = crlf(value);
    let list = address_list::parse(&value);
    let items = list.iter().map(|address| match address {
        Address::Mailbox(m) => mailbox(m),
        Address::Group(g) => {
            let members: Vec<String> = g.mailboxes.iter().map(mailbox).collect();
            format!("{}{{{}}}", g.name, members.join(", "))
        }
    });
    items.collect::<Vec<_>>().join(", ")
}

#[test]
fn addresses_of_the_examples() {
    for (section, value, want) in [
        (
            "A.1.1",
            "John Doe <jdoe@machine.example>",
            "John Doe <jdoe@machine.example>",
        ),
        (
            "A.1.2",
            "\"Joe Q. Public\" <john.q.public@example.com>",
            "Joe Q. Public <john.q.public@example.com>",
        ),
        (
            "A.1.2",
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
        ),
        (
            "A.1.2",
            "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
            "boss@nil.test, Giant; \"Big\" Box <sysservices@example.net>",
        ),
        (
            "A.1.3",
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            "A Group{Ed Jones <c@a.test>, joe@where.test, John <jdoe@one.test>}",
        ),
        ("A.1.3", "Undisclosed recipients:;", "Undisclosed recipients{}"),
        (
            "A.2",
            "\"Mary Smith: Personal Account\" <smith@home.example>",
            "Mary Smith: Personal Account <smith@home.example>",
        ),
        (
            "A.5",
            "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            "Pete <pete@silly.test>",
        ),
        (
            "A.5",
            "A Group(Some people)\n     :Chris Jones <c@(Chris's host.)public.example>,\n         joe@example.org,\n  John <jdoe@one.test> (my dear friend); (the end of the group)",
            "A Group{Chris Jones <c@public.example>, joe@example.org, John <jdoe@one.test>}",
        ),
        (
            "A.5",
            "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
            "Hidden recipients{}",
        ),
        (
            "A.6.1",
            "Joe Q. Public <john.q.public@example.com>",
            "Joe Q. Public <john.q.public@example.com>",
        ),
        (
            "A.6.1",
            "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            "Mary Smith <@node.test:mary@example.net>, jdoe@test.example",
        ),
        (
            "A.6.3",
            " John Doe <jdoe@machine(comment).  example>",
            "John Doe <jdoe@machine.example>",
        ),
        (
            "A.6.3",
            " Mary Smith\n  \n          <mary@example.net>",
            "Mary Smith <mary@example.net>",
        ),
    ] {
        assert_eq!(addresses(value), want, "{section}: {value}");
    }
}

#[test]
fn addresses_of_the_wild() {
    let brief = |value: &str| {
        let list = address_list::parse(value.as_bytes());
        let of = |m: &Mailbox<'_>| {
            format!(
                "{}|{}|{}",
                m.name.as_deref().unwrap_or("-"),
                m.local_part,
                m.domain
            )
        };
        let items = list.iter().map(|address| match address {
            Address::Mailbox(m) => of(m),
            Address::Group(g) => format!("{}:{:?}", g.name, g.mailboxes.iter().map(of).collect::<Vec<_>>()),
        });
        items.collect::<Vec<_>>().join(" ")
    };
    for (value, want) in [
        ("", ""),
        (" , ,, ", ""),
        ("root", "-|root|"),
        ("John Doe", "John Doe||"),
        ("jdoe@x.test (John Doe)", "John Doe|jdoe|x.test"),
        ("John Doe jdoe@x.test", "John Doe|jdoe|x.test"),
        ("jdoe@x.test John Doe", "John Doe|jdoe|x.test"),
        ("<jdoe@x.test", "-|jdoe|x.test"),
        ("a <x@y, b <z@w>", "a|x|y b|z|w"),
        (
            "\"a b\"@x.test, \"plain\"@y.test",
            "-|\"a b\"|x.test -|\"plain\"|y.test",
        ),
        ("\"a \\\"b\\\\c\".d@x", "-|\"a \\\"b\\\\c.d\"|x"),
        (
            "x@[192.0.2.1], x@[IPv6:2001:db8::1]",
            "-|x|[192.0.2.1] -|x|[IPv6:2001:db8::1]",
        ),
        ("A: a@b, B: c@d;", "A:[\"-|a|b\"] B:[\"-|c|d\"]"),
        ("A: a@b", "A:[\"-|a|b\"]"),
        (";;a@b;", "-|a|b"),
        ("<>", "-||"),
        ("=?utf-8?q?J=C3=BCrgen,?= =?utf-8?q?_X?= <j@x>", "Jürgen, X|j|x"),
        ("\"=?utf-8?B?w6k=?=\" <j@x>", "é|j|x"),
        ("Jürgen <j@ü.test>", "Jürgen|j|ü.test"),
        ("a@b@c", "-|a@b|c"),
        ("@", "-||"),
        ("\"open <a@b>", "open|a|b"),
        ("(open <a@b>", "open|a|b"),
    ] {
        assert_eq!(brief(value), want, "{value}");
    }
    assert_eq!(brief(&String::from_utf8_lossy(b"x")), "-|x|");
    let list = address_list::parse(b"J\xfcrgen <j@x>");
    assert!(matches!(&list[..], [Address::Mailbox(m)] if m.name.as_deref() == Some("Jürgen")));
}

/// The message of A.6.3, the hardest one, as a whole.
#[test]
fn a_message_in_obsolete_white_space() {
    let message = crlf(concat!(
        "From  : John Doe <jdoe@machine(comment).  example>\n",
        "To    : Mary Smith\n",
        "  \n",
        "          <mary@example.net>\n",
        "Subject     : Saying Hello\n",
        "Date  : Fri, 21 Nov 1997 09(comment):   55  :  06 -0600\n",
        "Message-ID  : <1234   @   local(blah)  .machine .example>\n",
        "\n",
        "This is a message just to say hello.\nSo, \"Hello\".\n",
    ));
    let index = Index::of(&message);
    assert_eq!(index.defects().count(), 0);
    assert_eq!(index.root().lines(), Some(2));
    assert_eq!(
        render_envelope(&index.envelope()),
        "(\"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600\" \"Saying Hello\" \
         ((\"John Doe\" NIL \"jdoe\" \"machine.example\")) ((\"John Doe\" NIL \"jdoe\" \"machine.example\")) \
         ((\"John Doe\" NIL \"jdoe\" \"machine.example\")) ((\"Mary Smith\" NIL \"mary\" \"example.net\")) \
         NIL NIL NIL \"<1234   @   local(blah)  .machine .example>\")"
    );
    let date = date::parse(index.envelope().date().unwrap()).unwrap();
    assert_eq!((date.unix, date.offset), (880_127_706, -360));
    let ids = message_id::parse_list(index.envelope().message_id().unwrap());
    assert_eq!(ids, ["1234@local.machine.example"]);
}

/// A.3 and A.4: fields that come more than once, and fields of trace.
#[test]
fn trace_and_resent_fields_are_in_order() {
    let message = crlf(concat!(
        "Received: from x.y.test\n   by example.net\n   via TCP\n   with ESMTP\n   id ABC12345\n",
        "   for <mary@example.net>;  21 Nov 1997 10:05:43 -0600\n",
        "Received: from node.example by x.y.test; 21 Nov 1997 10:01:22 -0600\n",
        "Resent-From: Mary Smith <mary@example.net>\n",
        "From: John Doe <jdoe@node.example>\nTo: Mary Smith <mary@example.net>\n\nhi\n",
    ));
    let index = Index::of(&message);
    assert_eq!(index.received_count(), 2);
    let names = |ranges: Vec<std::ops::Range<u64>>| {
        ranges
            .into_iter()
            .map(|r| String::from_utf8_lossy(&message[r.start as usize..r.end as usize]).into_owned())
            .collect::<Vec<_>>()
    };
    let from_index = names(index.header_fields().map(|span| span.name).collect());
    assert_eq!(from_index, ["Received", "Received", "Resent-From", "From", "To"]);
    let walked: Vec<String> = header::fields(&message)
        .map(|field| String::from_utf8_lossy(field.name).into_owned())
        .collect();
    assert_eq!(from_index, walked);
}
