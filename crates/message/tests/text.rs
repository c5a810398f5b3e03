//! HTML, format=flowed, previews and the text for search.

use mailwright_message::{Index, body, flowed, html, preview, text};
use proptest::prelude::*;

fn html_cut(input: &str, size: usize) -> String {
    let (mut converter, mut out) = (html::Converter::new(html::Options::default()), String::new());
    let chars: Vec<char> = input.chars().collect();
    for piece in chars.chunks(size.max(1)) {
        converter.push(&piece.iter().collect::<String>(), &mut out);
    }
    converter.finish(&mut out);
    out
}

#[test]
fn html_as_a_person_reads_it() {
    for (input, want) in [
        ("<html>hello<br/>world<br/></html>", "hello\nworld"),
        ("a   b\r\n\tc", "a b c"),
        ("<p>one</p>  <p>two</p>three", "one\n\ntwo\n\nthree"),
        ("<div>Hello</div><div>World</div>", "Hello\nWorld"),
        ("Hel<b>lo</b> <i>you</i>", "Hello you"),
        (
            "&lt;b&gt; &amp;amp; &copy &#8364;&#x20AC;&#128; &nosuch; &;& a&b",
            "<b> &amp; © €€€ &nosuch; &;& a&b",
        ),
        (
            "&heartsuit;&NotEqualTilde;&AElig;&#0;&#x110000;&#xD800;",
            "♥≂̸Æ\u{fffd}\u{fffd}\u{fffd}",
        ),
        ("don&apos;t&nbsp;go", "don't go"),
        (
            "<head><title>T</title><style>p{}</style></head><body>B</body>",
            "B",
        ),
        ("<title>no head</title>x", "x"),
        ("a<script>var s = '<p>x</p>';</scr</script >b", "ab"),
        ("a<STYLE type='text/css'>b</sTyLe>c", "ac"),
        (
            "a<!-- x --->b<!---->c<!-->d<!--->e<!-- y --!>f<!-- > - -- -> -->g",
            "abcdefg",
        ),
        ("a<!doctype html><?xml x?><![CDATA[y]]>b", "ab"),
        ("before<!-- unterminated --", "before"),
        ("x < y and <3 and a<", "x < y and <3 and a<"),
        ("<p title='a>b' data-x=\"<\">c</p>", "c"),
        (
            "<ul><li>one<li>two<ol><li>a</li><li>b</li></ol></ul>end",
            "- one\n- two\n  1. a\n  2. b\n\nend",
        ),
        (
            "<table><tr><td>a</td><td> b </td></tr><tr><td>c<td>d</table>e",
            "a\tb\nc\td\n\ne",
        ),
        ("<pre>a\n  b\n\n\nc</pre>d", "a\n  b\n\n\nc\n\nd"),
        (
            "x<blockquote>one<br>two<p>three</blockquote>y",
            "x\n\n> one\n> two\n>\n> three\n\ny",
        ),
        (
            "<a href='https://a.test/x?a=1&amp;b=2'>here</a>.",
            "here <https://a.test/x?a=1&b=2>.",
        ),
        (
            "<a href=https://a.test/>a.test</a> <a href=mailto:b@c>b@c</a>",
            "a.test b@c",
        ),
        ("<a href='javascript:alert(1)'>x</a><a href='#top'>y</a>", "xy"),
        ("<img src=x alt='A cat &amp; dog'><img src=y>", "A cat & dog"),
        (
            "<div style='color:red; DISPLAY : none'>no<div>no</div>no</div>yes",
            "yes",
        ),
        ("<span hidden>no</span><p hidden>no<p>yes", "yes"),
        ("<template><div>no</div></template>a<noscript>b</noscript>", "ab"),
        ("<h1>T</h1><hr>x", "T\n\n----------\nx"),
        ("one<br><br><br><br>two", "one\n\ntwo"),
    ] {
        assert_eq!(html::to_text(input), want, "{input}");
        for size in 1..6 {
            assert_eq!(html_cut(input, size), want, "{input} {size}");
        }
    }
}

#[test]
fn flowed_text() {
    // RFC 3676 §4.2, §4.5
    let sent = ">>>Take some more tea.\r\n>>I've had nothing yet, \r\n>>so I can't take more.\r\n>You mean you can't take LESS, \r\n>it's very easy to take more.\r\n> -- \r\n>sig\r\n  stuffed\r\n >From\r\n-- \r\nsig \r\n";
    let read = ">>> Take some more tea.\n>> I've had nothing yet, so I can't take more.\n> You mean you can't take LESS, it's very easy to take more.\n> -- \n> sig\n stuffed\n>From\n-- \nsig \n";
    assert_eq!(flowed::decode(sent, false), read);
    assert_eq!(flowed::decode("ab \r\ncd\r\n", true), "abcd\n");
    assert_eq!(
        flowed::decode("> a \r\nb", false),
        "> a \nb\n",
        "a paragraph ends where the depth changes"
    );
    let long = format!("{} \n> {}", "word ".repeat(2000), "x".repeat(9000));
    let whole = flowed::decode(&long, false);
    for size in [1, 3, 1000, 4096] {
        let (mut decoder, mut out) = (flowed::Decoder::new(false), String::new());
        for piece in long.as_bytes().chunks(size) {
            decoder.push(std::str::from_utf8(piece).unwrap(), &mut out);
        }
        decoder.finish(&mut out);
        assert!(out == whole, "{size}");
    }
}

#[test]
fn previews() {
    for (text, want) in [
        ("Hi Bob,\r\n\r\nlunch at noon?\r\n-- \r\nAlice", "lunch at noon?"),
        ("Hello!", "Hello!"),
        (
            "On Monday Bob wrote:\n> old\n> text\n\nYes, that is right.",
            "Yes, that is right.",
        ),
        ("Note:\nno quote follows", "Note: no quote follows"),
        ("> only\n> quoted", "only quoted"),
        (
            "\u{200b}\u{34f} \u{ad}\u{feff}Sale\u{200c}\u{200c}! \u{a0} *****\n----\nnow",
            "Sale! ***** now",
        ),
        ("---------- Forwarded message ---------\nread this", "read this"),
        ("────────\n■ News\n———\n— now", "■ News — now"),
        (
            "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nHi Bob,\r\nlunch at noon?\r\n\
             -----BEGIN PGP SIGNATURE-----\r\n\r\niF0EARECAB0W\r\n-----END PGP SIGNATURE-----\r\n",
            "lunch at noon?",
        ),
        ("👍", "👍"),
        ("", ""),
        ("\n \n", ""),
    ] {
        assert_eq!(preview::from_text(text), want, "{text:?}");
    }
    let long = preview::from_text(&"wörd ".repeat(100));
    assert!(
        long.chars().count() <= preview::MAX_CHARS && long.ends_with("wörd"),
        "{long}"
    );
    let solid = preview::from_text(&"ü".repeat(1000));
    assert_eq!(solid.chars().count(), preview::MAX_CHARS);
    let pair = preview::from_text(&format!("{} tail", "x".repeat(196)));
    assert_eq!(pair, "x".repeat(196), "the last word would be cut");
}

fn message(body: &str) -> Index {
    Index::of(body.as_bytes())
}

#[test]
fn text_for_search() {
    let source = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\
        Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n8NLJ18XU\r\n--x\r\n\
        Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>caf=C3=A9 <a href=3D\"http://a/\">li<b>nk</b></a></p>\r\n--x\r\n\
        Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\nsplit \r\nword\r\n--x\r\n\
        Content-Type: image/png\r\n\r\nbinary\r\n--x\r\n\
        Content-Type: text/plain; charset=x-odd\r\n\r\nGr\u{fc}\u{df}e\r\n--x--\r\n";
    let index = message(source);
    let text = text::of_message(&index, source.as_bytes());
    assert_eq!(text, "Привет\n\ncafé link\n\nsplitword\n\nGr\u{fc}\u{df}e");
    let part = index.part(&[5]).unwrap();
    let reader = text::Reader::of(&part).unwrap();
    let kinds: Vec<_> = reader.defects().map(|d| d.kind).collect();
    assert_eq!(kinds, [mailwright_message::DefectKind::UnknownCharset]);
    assert!(text::Reader::of(&index.part(&[4]).unwrap()).is_none());
}

fn numbers(index: &Index) -> [Vec<u32>; 3] {
    let of = |list: &[mailwright_message::index::Part<'_>]| {
        list.iter().map(mailwright_message::index::Part::place).collect()
    };
    let bodies = index.bodies();
    [of(&bodies.text), of(&bodies.html), of(&bodies.attachments)]
}

#[test]
fn bodies_as_rfc_8621_sorts_them() {
    // The example of §4.1.4, its parts named A to K.
    let leaf = |media: &str, more: &str, name: &str| format!("Content-Type: {media}\r\n{more}\r\n{name}\r\n");
    let multi = |subtype: &str, boundary: &str, parts: &[String]| {
        let inner: String = parts
            .iter()
            .map(|part| format!("--{boundary}\r\n{part}"))
            .collect();
        format!("Content-Type: multipart/{subtype}; boundary={boundary}\r\n\r\n{inner}--{boundary}--\r\n")
    };
    let inline = "Content-Disposition: inline\r\n";
    let attachment = "Content-Disposition: attachment\r\n";
    let source = multi(
        "mixed",
        "m1",
        &[
            leaf("text/plain", inline, "A"),
            multi(
                "mixed",
                "m2",
                &[
                    multi(
                        "alternative",
                        "a",
                        &[
                            multi(
                                "mixed",
                                "m3",
                                &[
                                    leaf("text/plain", inline, "B"),
                                    leaf("image/jpeg", inline, "C"),
                                    leaf("text/plain", inline, "D"),
                                ],
                            ),
                            multi(
                                "related",
                                "r",
                                &[leaf("text/html", "", "E"), leaf("image/jpeg", "", "F")],
                            ),
                        ],
                    ),
                    leaf("image/jpeg", attachment, "G"),
                    leaf("application/x-excel", "", "H"),
                    leaf("message/rfc822", "", "Subject: J\r\n\r\nJ"),
                ],
            ),
            leaf("text/plain", inline, "K"),
        ],
    );
    let index = message(&source);
    let names = |list: &[mailwright_message::index::Part<'_>]| -> String {
        let letter = |part: &mailwright_message::index::Part<'_>| {
            let body = &source[part.body().start as usize..part.body().end as usize];
            body.trim().chars().next_back().unwrap()
        };
        list.iter().map(letter).collect()
    };
    let bodies = index.bodies();
    assert_eq!(names(&bodies.text), "ABCDK");
    assert_eq!(names(&bodies.html), "AEK");
    assert_eq!(names(&bodies.attachments), "CFGHJ");
    // One form only stands for both; a root that is no multipart is its own body.
    assert_eq!(
        numbers(&message(&multi(
            "alternative",
            "a",
            &[leaf("text/html", "", "x")]
        ))),
        [vec![1], vec![1], vec![]]
    );
    assert_eq!(numbers(&message("\r\nhello")), [vec![0], vec![0], vec![]]);
    assert_eq!(
        numbers(&message("Content-Type: application/pdf\r\n\r\nx")),
        [vec![], vec![], vec![0]]
    );
}

#[test]
fn names_and_calendars() {
    let name = |header: &str| message(&format!("{header}\r\n\r\nx")).root().filename();
    assert_eq!(
        name("Content-Type: a/b; name=\"old; name.txt\"").as_deref(),
        Some("old; name.txt")
    );
    assert_eq!(
        name("Content-Type: a/b; name=x\r\nContent-Disposition: attachment; filename*=utf-8''na%C3%AFve%20plan.pdf").as_deref(),
        Some("naïve plan.pdf")
    );
    assert_eq!(
        name("Content-Type: a/b; name=\"=?utf-8?q?na=C3=AFve?=\"").as_deref(),
        Some("naïve")
    );
    assert_eq!(
        name("Content-Disposition: attachment; filename=\"a\\\"b\\\\c\"").as_deref(),
        Some("a\"b\\c")
    );
    assert_eq!(name("Content-Type: a/b"), None);
    let long = body::safe_filename(&format!("{}.tar.gz", "ü".repeat(300))).unwrap();
    assert!(long.len() <= 200 && long.ends_with(".gz"), "{long}");
    assert_eq!(
        body::safe_filename("a/b\\c:d?.txt\u{0}").as_deref(),
        Some("cd.txt")
    );
    assert_eq!(body::safe_filename("/"), None);
    assert_eq!(body::safe_filename("LPT1").as_deref(), Some("_LPT1"));
    let calendar =
        message("Content-Type: text/calendar; method=request; charset=utf-8\r\n\r\nBEGIN:VCALENDAR");
    assert_eq!(calendar.root().calendar_method().as_deref(), Some("REQUEST"));
    assert_eq!(message("\r\nx").root().calendar_method(), None);
}

proptest! {
    #[test]
    fn html_never_panics_and_does_not_mind_cuts(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "<", ">", "&", ";", "amp", "#x41", "<p>", "</p>", "<pre>", "</pre>", "<li>", "<ul>", "</ul>", "<ol>",
                "<blockquote>", "</blockquote>", "<a href=http://x/>", "</a>", "<script>", "</script>", "<!--", "--",
                "-->", "!", "\"", "'", "=", " ", "\n", "text", "é", "<td>", "<tr>", "<div hidden>", "</div>", "<br>",
                "<head>", "<img alt=x>", "/", "<hr>",
            ]),
            0..60,
        ),
        size in 1usize..9,
    ) {
        let input = pieces.concat();
        let whole = html::to_text(&input);
        prop_assert_eq!(html_cut(&input, size), whole);
    }

    #[test]
    fn flowed_round_trip(lines in proptest::collection::vec("(>{1,3} )?[a-zé>][a-zé ]{0,200}[a-z]|From [a-z ]{0,100}[a-z]| [a-z]+|-- ", 0..9)) {
        // A line that starts with `>` is a quote, and reads `> `.
        let lines: Vec<String> = lines
            .into_iter()
            .map(|line| {
                let depth = line.bytes().take_while(|b| *b == b'>').count();
                let content = line[depth..].strip_prefix(' ').filter(|_| depth > 0).unwrap_or(&line[depth..]);
                if depth > 0 { format!("{} {content}", &line[..depth]) } else { line.clone() }
            })
            .collect();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let sent = flowed::encode(&text);
        let longest_word = text.split([' ', '\n']).map(str::len).max().unwrap_or(0);
        for line in sent.split("\r\n") {
            prop_assert!(line.len() <= 78.max(longest_word + 30), "{}", line);
        }
        prop_assert_eq!(flowed::decode(&sent, false), text);
    }

    #[test]
    fn flowed_text_does_not_mind_cuts(text in "[>a \r\n-]{0,80}", size in 1usize..7, del_sp in any::<bool>()) {
        let (mut decoder, mut out) = (flowed::Decoder::new(del_sp), String::new());
        for piece in text.as_bytes().chunks(size) {
            decoder.push(std::str::from_utf8(piece).unwrap(), &mut out);
        }
        decoder.finish(&mut out);
        prop_assert_eq!(out, flowed::decode(&text, del_sp));
    }

    #[test]
    fn previews_and_names_are_bounded(text in "\\PC{0,400}|[>\\-: \n a-z]{0,300}") {
        let preview = preview::from_text(&text);
        prop_assert!(preview.chars().count() <= preview::MAX_CHARS && !preview.contains(['\n', '\r']));
        if let Some(name) = body::safe_filename(&text) {
            prop_assert!(!name.is_empty() && name.len() <= 201 && !name.contains(['/', '\\', '\0']));
        }
    }
}

#[test]
fn answers_to_html_quote_its_text() {
    let message = b"From: bob@b.test\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\
        Content-Type: text/html; charset=utf-8\r\n\r\n<p>Lunch &amp; tea?</p><p>Bob</p>\r\n--x--\r\n";
    let original = mailwright_message::build::reply::Original::new(&Index::of(message), message);
    assert!(
        original.text().starts_with("Lunch & tea?"),
        "{:?}",
        original.text()
    );
    assert!(!original.text().contains('<') && original.text().contains("Bob"));
}
