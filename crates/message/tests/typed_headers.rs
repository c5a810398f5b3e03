//! The typed values of whole headers: the messages of RFC 5322 appendix A, and the fields of other RFCs.

mod common;

use common::crlf;
use mailwright_message::address_list::{self, Address, Mailbox};
use mailwright_message::authentication::Results;
use mailwright_message::automatic::AutoSubmitted;
use mailwright_message::header::{Headers, Limits};
use mailwright_message::list::{self, ListId};
use mailwright_message::priority::Priority;
use mailwright_message::tags::TagList;
use mailwright_message::thread::{self, Links};
use mailwright_message::trace::Hop;
use mailwright_message::{DefectKind, Index, date};
use proptest::prelude::*;

/// All that RFC 5322 says about a header, on one line.
fn brief(message: &[u8]) -> String {
    let index = Index::of(message);
    let headers = Headers::of(message, index.root());
    let walked = Headers::new(message);
    assert!(
        headers.fields().eq(walked.fields()),
        "both ways see the same fields"
    );
    assert_eq!(headers.defects(&Limits::default()), [], "nothing is odd");
    let mut out = Vec::new();
    let members = |name: &str| {
        let all = address_list::parse(headers.raw(name)?);
        let shown: Vec<String> = all.iter().map(Address::to_string).collect();
        Some(shown.join(", "))
    };
    for name in ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"] {
        out.extend(members(name).map(|members| format!("{name}={members}")));
    }
    out.extend(headers.subject().map(|subject| format!("Subject={subject}")));
    out.extend(headers.date().map(|date| format!("Date={}", date::format(date))));
    out.extend(headers.message_id().map(|id| format!("Message-ID={id}")));
    out.extend(headers.in_reply_to().map(|id| format!("In-Reply-To={id}")));
    out.extend(headers.references().map(|id| format!("References={id}")));
    out.join("|")
}

#[test]
fn messages_of_rfc_5322_appendix_a() {
    for (section, message, want) in [
        (
            "A.1.1",
            "From: John Doe <jdoe@machine.example>\nTo: Mary Smith <mary@example.net>\nSubject: Saying Hello\nDate: Fri, 21 Nov 1997 09:55:06 -0600\nMessage-ID: <1234@local.machine.example>\n\nThis is a message just to say hello.\nSo, \"Hello\".\n",
            "From=John Doe <jdoe@machine.example>|To=Mary Smith <mary@example.net>|Subject=Saying Hello|Date=Fri, 21 Nov 1997 09:55:06 -0600|Message-ID=1234@local.machine.example",
        ),
        (
            "A.1.1",
            "From: John Doe <jdoe@machine.example>\nSender: Michael Jones <mjones@machine.example>\nTo: Mary Smith <mary@example.net>\n\n",
            "From=John Doe <jdoe@machine.example>|Sender=Michael Jones <mjones@machine.example>|To=Mary Smith <mary@example.net>",
        ),
        (
            "A.1.2",
            "From: \"Joe Q. Public\" <john.q.public@example.com>\nTo: Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>\nCc: <boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>\nDate: Tue, 1 Jul 2003 10:52:37 +0200\nMessage-ID: <5678.21-Nov-1997@example.com>\n\nHi everyone.\n",
            "From=\"Joe Q. Public\" <john.q.public@example.com>|To=Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>|Cc=boss@nil.test, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>|Date=Tue, 1 Jul 2003 10:52:37 +0200|Message-ID=5678.21-Nov-1997@example.com",
        ),
        (
            "A.1.3",
            "From: Pete <pete@silly.example>\nTo: A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;\nCc: Undisclosed recipients:;\nDate: Thu, 13 Feb 1969 23:32:54 -0330\nMessage-ID: <testabcd.1234@silly.example>\n\nTesting.\n",
            "From=Pete <pete@silly.example>|To=A Group: Ed Jones <c@a.test>, joe@where.test, John <jdoe@one.test>;|Cc=Undisclosed recipients:;|Date=Thu, 13 Feb 1969 23:32:54 -0330|Message-ID=testabcd.1234@silly.example",
        ),
        (
            "A.2",
            "From: Mary Smith <mary@example.net>\nTo: John Doe <jdoe@machine.example>\nReply-To: \"Mary Smith: Personal Account\" <smith@home.example>\nSubject: Re: Saying Hello\nDate: Fri, 21 Nov 1997 10:01:10 -0600\nMessage-ID: <3456@example.net>\nIn-Reply-To: <1234@local.machine.example>\nReferences: <1234@local.machine.example>\n\nThis is a reply to your hello.\n",
            "From=Mary Smith <mary@example.net>|Reply-To=\"Mary Smith: Personal Account\" <smith@home.example>|To=John Doe <jdoe@machine.example>|Subject=Re: Saying Hello|Date=Fri, 21 Nov 1997 10:01:10 -0600|Message-ID=3456@example.net|In-Reply-To=1234@local.machine.example|References=1234@local.machine.example",
        ),
        (
            "A.2",
            "To: \"Mary Smith: Personal Account\" <smith@home.example>\nFrom: John Doe <jdoe@machine.example>\nSubject: Re: Saying Hello\nDate: Fri, 21 Nov 1997 11:00:00 -0600\nMessage-ID: <abcd.1234@local.machine.test>\nIn-Reply-To: <3456@example.net>\nReferences: <1234@local.machine.example> <3456@example.net>\n\n",
            "From=John Doe <jdoe@machine.example>|To=\"Mary Smith: Personal Account\" <smith@home.example>|Subject=Re: Saying Hello|Date=Fri, 21 Nov 1997 11:00:00 -0600|Message-ID=abcd.1234@local.machine.test|In-Reply-To=3456@example.net|References=1234@local.machine.example|References=3456@example.net",
        ),
        (
            "A.5",
            "From: Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>\nTo:A Group(Some people)\n     :Chris Jones <c@(Chris's host.)public.example>,\n         joe@example.org,\n  John <jdoe@one.test> (my dear friend); (the end of the group)\nCc:(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;\nDate: Thu,\n      13\n        Feb\n          1969\n      23:32\n               -0330 (Newfoundland Time)\nMessage-ID:              <testabcd.1234@silly.test>\n\nTesting.\n",
            "From=Pete <pete@silly.test>|To=A Group: Chris Jones <c@public.example>, joe@example.org, John <jdoe@one.test>;|Cc=Hidden recipients:;|Date=Thu, 13 Feb 1969 23:32:00 -0330|Message-ID=testabcd.1234@silly.test",
        ),
        (
            "A.6.1",
            "From: Joe Q. Public <john.q.public@example.com>\nTo: Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example\nDate: Tue, 1 Jul 2003 10:52:37 +0200\nMessage-ID: <5678.21-Nov-1997@example.com>\n\nHi everyone.\n",
            "From=\"Joe Q. Public\" <john.q.public@example.com>|To=Mary Smith <@node.test:mary@example.net>, jdoe@test.example|Date=Tue, 1 Jul 2003 10:52:37 +0200|Message-ID=5678.21-Nov-1997@example.com",
        ),
        (
            "A.6.2",
            "From: John Doe <jdoe@machine.example>\nTo: Mary Smith <mary@example.net>\nSubject: Saying Hello\nDate: 21 Nov 97 09:55:06 GMT\nMessage-ID: <1234@local.machine.example>\n\n",
            "From=John Doe <jdoe@machine.example>|To=Mary Smith <mary@example.net>|Subject=Saying Hello|Date=Fri, 21 Nov 1997 09:55:06 +0000|Message-ID=1234@local.machine.example",
        ),
        (
            "A.6.3",
            "From  : John Doe <jdoe@machine(comment).  example>\nTo    : Mary Smith\n  \n          <mary@example.net>\nSubject     : Saying Hello\nDate  : Fri, 21 Nov 1997 09(comment):   55  :  06 -0600\nMessage-ID  : <1234   @   local(blah)  .machine .example>\n\n",
            "From=John Doe <jdoe@machine.example>|To=Mary Smith <mary@example.net>|Subject=Saying Hello|Date=Fri, 21 Nov 1997 09:55:06 -0600|Message-ID=1234@local.machine.example",
        ),
    ] {
        assert_eq!(brief(&crlf(message)), want, "{section}");
    }
}

/// A.3 and A.4.
#[test]
fn resent_blocks_and_hops_of_rfc_5322() {
    let message = crlf(
        "Received: from x.y.test\n   by example.net\n   via TCP\n   with ESMTP\n   id ABC12345\n   for <mary@example.net>;  21 Nov 1997 10:05:43 -0600\n\
         Received: from node.example by x.y.test; 21 Nov 1997 10:01:22 -0600\n\
         Resent-From: Mary Smith <mary@example.net>\nResent-To: Jane Brown <j-brown@other.example>\n\
         Resent-Date: Mon, 24 Nov 1997 14:22:01 -0800\nResent-Message-ID: <78910@example.net>\n\
         Resent-From: First <first@example.net>\nFrom: John Doe <jdoe@machine.example>\n\nhi\n",
    );
    let headers = Headers::new(&message);
    let hops: Vec<Hop<'_>> = headers.received().collect();
    assert_eq!(hops.len(), 2);
    assert_eq!(
        (hops[0].from.as_deref(), hops[0].by.as_deref()),
        (Some("x.y.test"), Some("example.net"))
    );
    assert_eq!(
        (hops[0].via.as_deref(), hops[0].with.as_deref()),
        (Some("TCP"), Some("ESMTP"))
    );
    assert_eq!(
        (hops[0].id.as_deref(), hops[0].recipient.as_deref()),
        (Some("ABC12345"), Some("mary@example.net"))
    );
    assert_eq!(hops[0].date.unwrap().unix, 880_128_343);
    assert_eq!(hops[1].by.as_deref(), Some("x.y.test"));
    let blocks = headers.resent();
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[0].fields().len(), 4);
    assert_eq!(blocks[0].message_id().unwrap(), "78910@example.net");
    assert_eq!(blocks[0].date().unwrap().unix, 880_410_121);
    assert_eq!(blocks[0].addresses("To").count(), 1);
    assert_eq!(blocks[1].message_id(), None);
    assert_eq!(headers.defects(&Limits::default()), []);
}

#[test]
fn the_first_of_two_fields_counts() {
    let headers = Headers::new(b"Subject: one\r\nsubject: two\r\nTo: a@b, c\r\n\r\n");
    assert_eq!(headers.subject().unwrap(), "one");
    assert_eq!(headers.all("SUBJECT").count(), 2);
    let told: Vec<_> = headers
        .defects(&Limits::default())
        .iter()
        .map(|d| (d.kind, d.offset))
        .collect();
    assert_eq!(
        told,
        [(DefectKind::DuplicateField, 14), (DefectKind::InvalidAddress, 37)]
    );
}

#[test]
fn fields_of_mailing_lists() {
    let message = crlf(
        "List-Id: List Header Mailing List <list-header.nisto.com>\nList-Help: <mailto:list@host.com?subject=help> (List Instructions)\n\
         List-Unsubscribe: (Use this command to get off the list)\n     <mailto:list-manager@host.com?body=unsubscribe%20list>,\n <https://host.com/off?x=1>\n\
         List-Unsubscribe-Post: List-Unsubscribe=One-Click\nList-Post: NO (posting not allowed on this list)\n\n",
    );
    let headers = Headers::new(&message);
    let id = headers.list_id().unwrap();
    assert_eq!(
        (id.description.as_deref(), &*id.id),
        (Some("List Header Mailing List"), "list-header.nisto.com")
    );
    let help = headers.list_commands("List-Help").unwrap();
    assert_eq!(help.links[0].uri, "mailto:list@host.com?subject=help");
    assert_eq!(help.links[0].comment.as_deref(), Some("List Instructions"));
    let off = headers.list_commands("list-unsubscribe").unwrap();
    assert_eq!(off.links.len(), 2);
    assert_eq!(
        off.links[0].comment.as_deref(),
        Some("Use this command to get off the list")
    );
    assert_eq!(
        headers.one_click_unsubscribe().unwrap(),
        "https://host.com/off?x=1"
    );
    assert!(headers.list_commands("List-Post").unwrap().refused);
    assert_eq!(headers.defects(&Limits::default()), []);
    assert!(headers.is_automatic());
    assert_eq!(ListId::parse(b"\"open <x@y>").unwrap().id, "x@y");
    assert_eq!(ListId::parse(b" (nothing) "), None);
    let mut defects = Vec::new();
    let bare = list::parse_with(
        b"mailto:a@b, <no uri>, <https://c",
        &Limits::default(),
        &mut defects,
    );
    assert_eq!(
        bare.links.iter().map(|link| &*link.uri).collect::<Vec<_>>(),
        ["mailto:a@b", "nouri", "https://c"]
    );
    assert_eq!(
        defects.iter().map(|d| (d.kind, d.offset)).collect::<Vec<_>>(),
        [
            (DefectKind::InvalidListHeader, 0),
            (DefectKind::InvalidListHeader, 12),
        ]
    );
}

/// RFC 8601 appendix B, with the result the text gives.
#[test]
fn authentication_results_of_rfc_8601() {
    let parse = |value: &'static str| {
        let mut defects = Vec::new();
        let results = Results::parse_with(value.as_bytes(), &Limits::default(), &mut defects);
        assert_eq!(defects, [], "{value}");
        results
    };
    let none = parse(" example.org 1; none");
    assert_eq!(
        (&*none.authserv_id, none.version, none.results.len()),
        ("example.org", Some(1), 0)
    );
    let two = parse(
        " example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n          spf=pass smtp.mailfrom=example.net",
    );
    assert_eq!(
        two.of("AUTH").next().unwrap().property("smtp", "auth"),
        Some("sender@example.net")
    );
    assert_eq!(two.of("spf").next().unwrap().result, "pass");
    let odd = parse(
        "foo.example.net (foobar) 1 (baz);\r\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n      policy (A dot can go here) . (like that) expired\r\n      (this surprised me) = (as I wasn't expecting it) 1362471462",
    );
    let dkim = odd.of("dkim").next().unwrap();
    assert_eq!(
        (dkim.version, &*dkim.result, dkim.property("policy", "expired")),
        (Some(1), "fail", Some("1362471462"))
    );
    let arc =
        parse("i=2; mx.b.test; dkim=pass header.i=@a.test header.b=\"a b;c\"; arc=none reason=\"x (y)\"");
    assert_eq!((arc.instance, &*arc.authserv_id), (Some(2), "mx.b.test"));
    assert_eq!(arc.results[0].property("header", "b"), Some("a b;c"));
    assert_eq!(arc.results[1].reason.as_deref(), Some("x (y)"));
}

#[test]
fn authentication_results_of_the_wild() {
    let mut defects = Vec::new();
    let value = b"spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=a.test; junk here; dmarc=bestguesspass action=none header.from=a.test;compauth=pass reason=109";
    let results = Results::parse_with(value, &Limits::default(), &mut defects);
    assert_eq!(results.authserv_id, "");
    let methods: Vec<_> = results.results.iter().map(|r| (&*r.method, &*r.result)).collect();
    assert_eq!(
        methods,
        [("spf", "pass"), ("dmarc", "bestguesspass"), ("compauth", "pass")]
    );
    assert_eq!(results.results[1].property("header", "from"), Some("a.test"));
    assert_eq!(results.results[2].reason.as_deref(), Some("109"));
    assert!(
        defects.iter().all(|d| d.kind == DefectKind::InvalidResults) && defects.len() == 3,
        "{defects:?}"
    );
}

#[test]
fn signatures_as_tags() {
    let value = b" v=1; a=rsa-sha256; c=relaxed/simple; d=example.com;\r\n\th=From : To:Subject; x = 1118006938 ;\r\n\tbh=MTIz\r\n NDU2; b=dzdVyO\r\n fAKCdL==; d=other.test; =x; 1a=2; t";
    let mut defects = Vec::new();
    let tags = TagList::parse_with(value, &Limits::default(), &mut defects);
    assert_eq!(tags.value("d").unwrap(), "example.com");
    assert!(tags.has_duplicates());
    assert_eq!(tags.number("x"), Some(1_118_006_938));
    assert_eq!(tags.number("d"), None);
    assert_eq!(
        tags.tag("h").unwrap().split().collect::<Vec<_>>(),
        [&b"From"[..], b"To", b"Subject"]
    );
    assert_eq!(tags.compact("b").unwrap(), &b"dzdVyOfAKCdL=="[..]);
    let b = tags.tag("b").unwrap();
    assert_eq!(&value[b.value_range()], b.raw());
    assert_eq!(&value[b.range()], b"b=dzdVyO\r\n fAKCdL==");
    let at = |text: &[u8]| value.windows(text.len()).position(|w| w == text).unwrap() as u64;
    let told: Vec<_> = defects.iter().map(|d| (d.kind, d.offset)).collect();
    let want = [at(b"d=other"), at(b"=x;"), at(b"1a"), at(b"; t") + 2];
    assert_eq!(told, want.map(|at| (DefectKind::InvalidTag, at)));
    assert!(!TagList::parse(b"a=1; b=2;").has_duplicates());
}

#[test]
fn small_fields() {
    let message = crlf(
        "Return-Path: <>\nDelivered-To: a@x\nDelivered-To: b@x\nMIME-Version: (one) 1.0 (two)\nX-Priority: 1 (Highest)\nContent-Language: en-US, de\n\
         Keywords: one, \"two, three\"\nKeywords: =?utf-8?q?f=C3=BCnf?=\nContent-ID: <i@x>\nContent-Location:\n http://a/\n b\n\
         Disposition-Notification-To: Me <me@x>\nAuto-Submitted: auto-notified; owner=x\nContent-Disposition: attachment; filename*=utf-8''%e2%82%ac.txt\n\
         Content-Type: text/plain; name=other\nSender: s@x\n\n",
    );
    let headers = Headers::new(&message);
    assert_eq!(headers.return_path(), Some(Mailbox::default()));
    assert_eq!(
        headers.delivered_to().map(|m| m.local_part).collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(headers.mime_version(), Some((1, 0)));
    assert_eq!(headers.priority(), Some(Priority::High));
    assert_eq!(headers.content_language(), ["en-US", "de"]);
    assert_eq!(headers.keywords(), ["one", "two, three", "fünf"]);
    assert_eq!(headers.content_id().unwrap(), "i@x");
    assert_eq!(headers.content_location().unwrap(), "http://a/b");
    assert_eq!(headers.disposition_notification_to().count(), 1);
    assert_eq!(headers.auto_submitted(), Some(AutoSubmitted::Notified));
    assert_eq!(headers.filename().as_deref(), Some("€.txt"));
    assert_eq!(headers.sender().unwrap().local_part, "s");
    assert_eq!(headers.reply_to().count(), 0);
    assert!(headers.is_automatic());
    assert!(Priority::High > Priority::Normal && Priority::parse(b"9").is_none());
    assert_eq!(Headers::new(b"MIME-Version: 1.0.1\r\n").mime_version(), None);
}

#[test]
fn base_subjects() {
    for (subject, base) in [
        ("Re: [list] hello", "hello"),
        ("  re : RE:\tFW: Fwd[5]: a  b (FWD) (fwd)", "a b"),
        ("[fwd: [a] Re: hello (fwd)]", "hello"),
        ("[a][b] Re: [c] d", "d"),
        ("[only]", "[only]"),
        ("[a] [only]", "[only]"),
        ("Aw: hello", "Aw: hello"),
        ("re-check: hello", "re-check: hello"),
        ("[fwd: open", "[fwd: open"),
        ("Re:", ""),
        ("", ""),
    ] {
        assert_eq!(thread::base_subject(subject), base, "{subject}");
    }
    assert_eq!(thread::loose_base_subject("Aw: WG: hello (wg)"), "hello");
}

#[test]
fn links_without_references() {
    let headers =
        Headers::new(b"Message-ID: <c@x>\r\nIn-Reply-To: Your mail <b@x> <z@x>\r\nReferences: none\r\n\r\n");
    let links = Links::of(&headers);
    // The one word of References is an identifier without its brackets.
    assert_eq!(links.parent(), Some("none"));
    let headers = Headers::new(b"In-Reply-To: Your mail <b@x> <z@x>\r\nReferences:\r\n\r\n");
    assert_eq!(Links::of(&headers).ids().collect::<Vec<_>>(), ["b@x"]);
}

/// An address list of parts that come in the wild.
fn wild_list() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("a@b.test"),
        Just("Joe Q. Public <j@x.test>"),
        Just("\"Q, \\\"x\\\"\" <q@x>"),
        Just("=?utf-8?q?J=C3=BC,?= <j@x>"),
        Just("J\u{fc} <j@\u{fc}.test>"),
        Just("(c)"),
        Just("<"),
        Just(">"),
        Just(","),
        Just(" "),
        Just(";"),
        Just("g:"),
        Just("\""),
        Just("\\"),
        Just("@"),
        Just("."),
        Just("[1.2]"),
        Just("=?"),
        Just("?="),
        Just("\r\n "),
        Just("word"),
        Just("<a=?x?q?y?=@b.c>"),
        Just("=?utf-8?q?a<b?= <c@d>"),
        Just("\"\" <a@b>"),
        Just("<a@b> tail"),
        Just("a@b c@d"),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    /// Members that are seen at a glance are read as the slow way reads them: a comment leads to that.
    #[test]
    fn both_ways_read_the_same(list in wild_list(), other in "[a-z.@<>\", =?]{0,30}") {
        for list in [list, other] {
            let (plain, slow) = (list.as_bytes(), format!("(){list}"));
            prop_assert_eq!(address_list::parse(plain), address_list::parse(slow.as_bytes()), "{}", list);
        }
    }

    #[test]
    fn printed_addresses_read_back(
        name in proptest::option::of("\\PC{1,40}|[ -~]{1,40}|[\\t\"\\\\,<>=? é]{1,20}"),
        group in "[a-zé ,]{1,20}",
        local in "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}|\"[ -!#-Z^-~]{0,10}\"",
        domain in "[a-z0-9-]{1,10}(\\.[a-z0-9ü-]{1,10}){0,2}|\\[[0-9.]{1,10}\\]",
    ) {
        prop_assume!(name.as_deref().is_none_or(|name| !name.trim().is_empty() && !name.contains('\u{feff}')));
        prop_assume!(!local.contains("=?") && !group.trim().is_empty());
        let mut mailbox = Mailbox::default();
        mailbox.name = name.map(Into::into);
        mailbox.local_part = local.into();
        mailbox.domain = domain.into();
        let printed = mailbox.to_string();
        let read = address_list::parse(printed.as_bytes());
        prop_assert_eq!(&read[..], &[Address::Mailbox(mailbox.clone())][..], "{}", printed);
        let list = format!("{printed}, x@y, {printed}");
        prop_assert_eq!(address_list::mailboxes(list.as_bytes()).count(), 3);
    }

    #[test]
    fn any_octets_are_read(value in proptest::collection::vec(prop_oneof![
        proptest::sample::select(&b"<>()[]\"\\,;:@.= ?*'%\r\n\t"[..]), any::<u8>(), proptest::sample::select(&b"abfrom by with id for none 1"[..])
    ], 0..120)) {
        let mut header = b"From: ".to_vec();
        header.extend_from_slice(&value);
        for name in ["Date", "Message-ID", "Content-Type", "Content-Disposition", "Received", "Authentication-Results", "DKIM-Signature",
            "List-Post", "Keywords", "Auto-Submitted", "Priority", "MIME-Version", "Subject", "List-Id", "Resent-To", "Return-Path"] {
            header.extend_from_slice(format!("\r\n{name}: ").as_bytes());
            header.extend_from_slice(&value);
        }
        let headers = Headers::new(&header);
        let defects = headers.defects(&Limits::default());
        prop_assert!(defects.iter().all(|defect| defect.offset <= header.len() as u64));
        let _ = (headers.list_id(), headers.return_path(), headers.resent(), Links::of(&headers), headers.is_automatic());
        let _ = (headers.content_location(), headers.filename(), headers.one_click_unsubscribe(), headers.mime_version());
        // Every group that starts ends.
        let items: Vec<_> = headers.from().collect();
        let starts = items.iter().filter(|i| matches!(i, address_list::Item::GroupStart(_))).count();
        let ends = items.iter().filter(|i| matches!(i, address_list::Item::GroupEnd)).count();
        prop_assert_eq!(starts, ends);
    }
}
