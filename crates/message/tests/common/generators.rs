//! Messages that are made to be slow to read, or deep, or large.

pub(crate) type Generator = fn(usize) -> Vec<u8>;

/// Every generator makes a message of about `n` of something.
pub(crate) const GENERATORS: &[(&str, Generator)] = &[
    ("nested multiparts", |n| {
        (0..n)
            .flat_map(|i| {
                format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n").into_bytes()
            })
            .collect()
    }),
    ("nested multiparts, then lines with hyphens", |n| {
        let mut message: Vec<u8> = (0..200)
            .flat_map(|i| {
                format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n").into_bytes()
            })
            .collect();
        message.extend(b"\r\n--not a delimiter\r\n".repeat(n));
        message
    }),
    ("one boundary nested in itself", |n| {
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(n)
    }),
    ("nested messages", |n| {
        b"Content-Type: message/rfc822\r\n\r\n".repeat(n)
    }),
    ("nested digests", |n| {
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n".repeat(n)
    }),
    ("parts", |n| {
        let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
        message.extend(b"--b\r\n\r\nx\r\n".repeat(n));
        message
    }),
    ("closed multiparts", |n| {
        let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
        message.extend(b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n".repeat(n));
        message
    }),
    ("fields", |n| b"A: b\r\n".repeat(n)),
    ("the same field", |n| b"Subject: b\r\n".repeat(n)),
    ("lines that are no field", |n| {
        [b"A: b\r\n".to_vec(), b"garbage\r\n".repeat(n)].concat()
    }),
    ("one field folded", |n| {
        [b"Subject: x\r\n".to_vec(), b" y\r\n".repeat(n)].concat()
    }),
    ("one long header line", |n| {
        [b"Subject: ".to_vec(), b"x".repeat(n * 8)].concat()
    }),
    ("one long line that is no field", |n| b"x".repeat(n * 8)),
    ("one long delimiter", |n| {
        [
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b".to_vec(),
            b" ".repeat(n * 8),
        ]
        .concat()
    }),
    ("addresses", |n| {
        [b"To: ".to_vec(), b"a@b, ".repeat(n), b"\r\n\r\n".to_vec()].concat()
    }),
    ("empty addresses", |n| {
        [b"To: ".to_vec(), b", ".repeat(n), b"\r\n\r\n".to_vec()].concat()
    }),
    ("groups", |n| {
        [b"To: ".to_vec(), b"g:a@b;".repeat(n), b"\r\n\r\n".to_vec()].concat()
    }),
    ("groups in groups", |n| {
        [b"To: ".to_vec(), b"g:".repeat(n), b"\r\n\r\n".to_vec()].concat()
    }),
    ("words of one name", |n| {
        [b"To: ".to_vec(), b"a(c) ".repeat(n), b"@b\r\n\r\n".to_vec()].concat()
    }),
    ("at signs", |n| {
        [b"To: ".to_vec(), b"@(c)".repeat(n), b"\r\n\r\n".to_vec()].concat()
    }),
    ("open comments", |n| {
        [b"To: ".to_vec(), b"(".repeat(n), b"\r\n\r\n".to_vec()].concat()
    }),
    ("open quotes and brackets", |n| {
        [b"To: ".to_vec(), b"\\\"[(<".repeat(n), b"\r\n\r\n".to_vec()].concat()
    }),
    ("a route that never ends", |n| {
        [b"To: <".to_vec(), b"@a,".repeat(n), b"\r\n\r\n".to_vec()].concat()
    }),
    ("parameters", |n| {
        let parameters: Vec<u8> = (0..n).flat_map(|i| format!("; p{i}=v").into_bytes()).collect();
        [
            b"Content-Type: text/plain".to_vec(),
            parameters,
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    }),
    ("sections of a parameter", |n| {
        let parameters: Vec<u8> = (0..n)
            .rev()
            .flat_map(|i| format!("; p*{i}*=%41").into_bytes())
            .collect();
        [
            b"Content-Type: text/plain".to_vec(),
            parameters,
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    }),
    ("parameters without values", |n| {
        [
            b"Content-Type: text/plain; x=".to_vec(),
            b"a b ".repeat(n),
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    }),
    ("starts of encoded words", |n| {
        [b"From: ".to_vec(), b"=?utf-8?q?".repeat(n), b"\r\n\r\n".to_vec()].concat()
    }),
    ("languages", |n| {
        [
            b"Content-Language: ".to_vec(),
            b"de,".repeat(n),
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    }),
    ("boundaries that share their start", |n| {
        let boundary = |i: usize| "b".repeat(i % 60 + 1);
        let mut message: Vec<u8> = (0..60)
            .flat_map(|i| {
                format!(
                    "Content-Type: multipart/mixed; boundary={0}\r\n\r\n--{0}\r\n",
                    boundary(i)
                )
                .into_bytes()
            })
            .collect();
        message.extend((0..n).flat_map(|i| format!("--{}x\r\n", boundary(i)).into_bytes()));
        message
    }),
    ("lines of hyphens", |n| {
        [
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n".to_vec(),
            b"-".repeat(n),
            b"\r\n-\n--".repeat(n),
        ]
        .concat()
    }),
    ("fields without anything", |n| b"A:\n".repeat(n)),
    ("Received fields", |n| {
        b"Received: from a (b [192.0.2.1]) by c (d) with ESMTP id e for <f@g>;\r\n\tMon, 23 Nov 2026 09:08:07 +0000 (UTC)\r\n".repeat(n)
    }),
    ("comments in comments", |n| {
        [
            b"Date: ".to_vec(),
            b"(".repeat(n),
            b")".repeat(n),
            b" 1 Jan 2026\r\nFrom: ".to_vec(),
            b"(".repeat(n),
            b")".repeat(n),
            b"a@b\r\n\r\n".to_vec(),
        ]
        .concat()
    }),
    ("sections of a parameter with holes", |n| {
        let sections: Vec<u8> = (0..n)
            .flat_map(|i| format!("; p*{}=v", i * 7919 % (2 * n)).into_bytes())
            .collect();
        [
            b"Content-Type: text/plain".to_vec(),
            sections,
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    }),
    ("identifiers", |n| {
        [
            b"References: ".to_vec(),
            b"<a@b> <c".repeat(n),
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    }),
    ("encoded words", |n| {
        [
            b"Subject: ".to_vec(),
            b"=?iso-2022-jp?B?GyRC?= =?utf-8?q?=C3?= ".repeat(n),
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    }),
    ("tags of a signature", |n| {
        [
            b"DKIM-Signature: v=1".to_vec(),
            b"; a = b\r\n\t c".repeat(n),
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    }),
    ("soft line breaks", |n| {
        [
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n".to_vec(),
            b"= \t \r\n=4".repeat(n),
            b" ".repeat(n),
        ]
        .concat()
    }),
    ("padding", |n| {
        [
            b"Content-Transfer-Encoding: base64\r\n\r\n".to_vec(),
            b"A=\r\n==-".repeat(n),
        ]
        .concat()
    }),
    ("shifted charset", |n| {
        [
            b"Content-Type: text/plain; charset=iso-2022-kr\r\n\r\n".to_vec(),
            b"\x1b$)C\x0e!\x0f".repeat(n),
        ]
        .concat()
    }),
    ("tags of HTML", |n| {
        [
            b"Content-Type: text/html\r\n\r\n".to_vec(),
            b"<b><!-- <a href='&amp".repeat(n),
        ]
        .concat()
    }),
    ("lines that are no field, with delimiters that are none", |n| {
        [
            b"Content-Type: multipart/mixed; boundary=b\r\n".to_vec(),
            b"--bb\r\nx\r\n".repeat(n),
        ]
        .concat()
    }),
    ("carriage returns", |n| {
        [b"A: b\r\n".to_vec(), b"\r".repeat(n), b"\n\r\r".repeat(n)].concat()
    }),
];
