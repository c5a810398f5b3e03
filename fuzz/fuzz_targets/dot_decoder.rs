//! Framing: dot-stuffing both ways and lines, the same for every cut; only CRLF.CRLF ends a body.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{seed, sizes};
use mailwright_wire::{BareNewlines, DotDecoder, DotEncoder, DotPiece, LineFramer, RecvBuf, SendBuf};

/// The body, whether a bare newline was seen, and what is behind the end.
type Decoded = (Vec<u8>, bool, Option<Vec<u8>>);

fn pieces<'a>(mut data: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = (*sizes.next()?).min(data.len());
        let (piece, rest) = data.split_at(size);
        data = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

fn fill(rx: &mut RecvBuf, mut piece: &[u8]) {
    while !piece.is_empty() {
        let room = rx.room();
        let n = room.len().min(piece.len());
        room[..n].copy_from_slice(&piece[..n]);
        rx.received(n);
        piece = &piece[n..];
    }
}

fn decode(data: &[u8], sizes: &[usize], policy: BareNewlines) -> Decoded {
    let (mut rx, mut dot, mut body) = (RecvBuf::new(1 << 24), DotDecoder::new(policy), Vec::new());
    let mut pieces = pieces(data, sizes);
    loop {
        match dot.next(&mut rx) {
            Some(DotPiece::Data(data)) => body.extend_from_slice(&data),
            Some(DotPiece::End) => {
                let mut rest = rx.data().to_vec();
                pieces.for_each(|piece| rest.extend_from_slice(piece));
                return (body, dot.saw_bare_newline(), Some(rest));
            }
            None => match pieces.next() {
                Some(piece) => fill(&mut rx, piece),
                None => return (body, dot.saw_bare_newline(), None),
            },
        }
    }
}

fn encode(data: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut dot, mut out, mut sent) = (DotEncoder::new(), SendBuf::new(), Vec::new());
    for piece in pieces(data, sizes) {
        dot.encode(Bytes::copy_from_slice(piece), &mut out);
    }
    dot.finish(&mut out);
    while !out.is_empty() {
        sent.extend_from_slice(out.data());
        out.sent(out.data().len());
    }
    sent
}

fn lines(data: &[u8], sizes: &[usize]) -> Vec<Option<(Bytes, bool)>> {
    let (mut rx, mut framer, mut seen) = (RecvBuf::new(64), LineFramer::new(64), Vec::new());
    for mut piece in pieces(data, sizes) {
        while !piece.is_empty() {
            let room = rx.room();
            let n = room.len().min(piece.len());
            room[..n].copy_from_slice(&piece[..n]);
            rx.received(n);
            piece = &piece[n..];
            loop {
                match framer.next(&mut rx) {
                    Ok(Some(line)) => seen.push(Some((line.data, line.is_crlf))),
                    Ok(None) => break,
                    Err(_) => seen.push(None),
                }
            }
        }
    }
    seen
}

fuzz_target!(|data: &[u8]| {
    let sizes = sizes(seed(data));
    for policy in [BareNewlines::Keep, BareNewlines::Normalise] {
        let whole = decode(data, &[usize::MAX], policy);
        assert_eq!(decode(data, &sizes, policy), whole);
        assert_eq!(decode(data, &[1], policy), whole);
        let end = if data.starts_with(b".\r\n") {
            Some(3)
        } else {
            data.windows(5)
                .position(|five| five == b"\r\n.\r\n")
                .map(|at| at + 5)
        };
        assert_eq!(
            whole.2.as_deref(),
            end.map(|end| &data[end..]),
            "only CRLF.CRLF ends a body"
        );
    }
    let sent = encode(data, &[usize::MAX]);
    assert_eq!(encode(data, &sizes), sent);
    assert_eq!(encode(data, &[1]), sent);
    let (_, bare, rest) = decode(&sent, &sizes, BareNewlines::Keep);
    assert!(!bare && rest == Some(Vec::new()), "what is sent ends at its end");
    assert_eq!(lines(data, &sizes), lines(data, &[1]));
});
