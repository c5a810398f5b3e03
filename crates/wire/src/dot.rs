use crate::{RecvBuf, SendBuf};
use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// What a [`DotDecoder`] does with a CR or LF that is not part of a CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_enums)] // keep or mend: there is no third way that loses nothing
pub enum BareNewlines {
    /// Leaves it as it came. [`DotDecoder::saw_bare_newline`] tells, for those who refuse such bodies.
    #[default]
    Keep,
    /// Makes it a CRLF.
    Normalise,
}

/// Takes a dot-stuffed body off the wire: RFC 5321 §4.5.2 and RFC 1939 §3.
///
/// Only CRLF.CRLF (or a first line `.CRLF`) ends the body. No other mixture of CR, LF, NUL and dots does,
/// whatever happens to bare newlines, so that nobody can smuggle a second message past a peer that counts
/// lines in another way.
#[derive(Debug, Clone)]
pub struct DotDecoder {
    /// At the start of a line, that is after CRLF or at the very beginning.
    bol: bool,
    ended: bool,
    bare: bool,
    policy: BareNewlines,
}

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // a body has data and an end
pub enum DotPiece {
    /// The next octets, with the stuffing removed. Never empty.
    Data(Bytes),
    /// The body is complete; the input behind it was not touched.
    End,
}

impl DotDecoder {
    /// Starts a body.
    pub fn new(policy: BareNewlines) -> Self {
        Self {
            bol: true,
            ended: false,
            bare: false,
            policy,
        }
    }

    /// Whether a CR or LF outside of a CRLF came by.
    pub fn saw_bare_newline(&self) -> bool {
        self.bare
    }

    /// The next piece, or `None` when more input is needed. Keep at most two octets unread behind it.
    pub fn next(&mut self, rx: &mut RecvBuf) -> Option<DotPiece> {
        if self.ended {
            return Some(DotPiece::End);
        }
        let data = rx.data();
        if self.bol && data.first() == Some(&b'.') {
            if data.starts_with(b".\r\n") {
                rx.skip(3);
                self.ended = true;
                return Some(DotPiece::End);
            }
            if b".\r\n".starts_with(data) {
                return None;
            }
            rx.skip(1);
            self.bol = false;
        }
        let data = rx.data();
        let scan = Scan::of(data);
        if scan.len == 0 {
            return None;
        }
        self.bare |= scan.bare;
        self.bol = data[..scan.len].ends_with(b"\r\n");
        let piece = rx.take(scan.len);
        Some(DotPiece::Data(match self.policy {
            BareNewlines::Normalise if scan.bare => {
                let mut out = BytesMut::with_capacity(piece.len() + 64);
                normalise(&piece, &mut out);
                out.freeze()
            }
            _ => piece,
        }))
    }
}

/// How much of some data can be handed on: up to a line that starts with a dot, or up to a last CR whose
/// partner has not come.
struct Scan {
    len: usize,
    bare: bool,
}

impl Scan {
    /// Octets that are looked at between two looks at whether there is more to know.
    const BLOCK: usize = 2048;

    fn of(data: &[u8]) -> Self {
        let (len, seen) = match STUFFED.find(data) {
            Some(at) => (at + 2, &data[..at + 2]),
            None => (data.len() - usize::from(data.ends_with(b"\r")), data),
        };
        Self {
            len,
            bare: seen.first() == Some(&b'\n') || Self::has_bare(seen),
        }
    }

    /// Whether a CR has another octet than LF behind it, or an LF another than CR before it.
    fn has_bare(data: &[u8]) -> bool {
        (0..data.len()).step_by(Self::BLOCK).any(|at| {
            // Neighbouring blocks share an octet, so that every pair of octets is in one of them.
            let block = &data[at..data.len().min(at + Self::BLOCK + 1)];
            // No branch for a pair, so that compilers make vector instructions of it.
            let pairs = block.iter().zip(&block[1..]);
            pairs.fold(false, |bare, (a, b)| bare | ((*a == b'\r') != (*b == b'\n')))
        })
    }
}

/// The start of a line that begins with a dot, and the end of the line before it.
static STUFFED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n."));

/// Copies `data` with every bare CR and bare LF made a CRLF. A CR at the very end counts as bare.
fn normalise(data: &[u8], out: &mut BytesMut) {
    let mut from = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', data) {
        if at < from {
            continue;
        }
        out.put_slice(&data[from..at]);
        out.put_slice(b"\r\n");
        from = at + if data[at..].starts_with(b"\r\n") { 2 } else { 1 };
    }
    out.put_slice(&data[from..]);
}

/// Puts a body on the wire with dot-stuffing, whatever the chunks it comes in.
///
/// A bare CR or LF goes out as CRLF: some peers take it for a line end, and then a dot behind it would end
/// the message early (RFC 5321 §2.3.8 forbids sending one).
#[derive(Debug, Clone)]
pub struct DotEncoder {
    bol: bool,
    /// A CR was held back at the end of the last chunk.
    cr: bool,
}

impl DotEncoder {
    /// Starts a body.
    pub fn new() -> Self {
        Self { bol: true, cr: false }
    }

    /// Queues the next chunk; large stretches without dots go by reference.
    pub fn encode(&mut self, mut chunk: Bytes, out: &mut SendBuf) {
        if chunk.is_empty() {
            return;
        }
        if std::mem::take(&mut self.cr) {
            out.put(b"\r\n");
            self.bol = true;
            if chunk[0] == b'\n' {
                bytes::Buf::advance(&mut chunk, 1);
            }
        }
        let trailing_crs = chunk.iter().rev().take_while(|b| **b == b'\r').count();
        chunk.truncate(chunk.len() - trailing_crs);
        while !chunk.is_empty() {
            if self.bol && chunk[0] == b'.' {
                out.put(b".");
            }
            let scan = Scan::of(&chunk);
            // Never empty: no CR is last here.
            let piece = chunk.split_to(scan.len);
            let ends_line = piece.last() == Some(&b'\n');
            if scan.bare {
                Self::stuff_lines(&piece, out);
            } else {
                out.put_bytes(piece);
            }
            self.bol = ends_line;
        }
        // Only the last of these can still get its LF.
        for _ in 1..trailing_crs {
            out.put(b"\r\n");
            self.bol = true;
        }
        self.cr = trailing_crs > 0;
    }

    /// The slow way, for a piece with bare newlines: what follows one may start with a dot.
    fn stuff_lines(piece: &[u8], out: &mut SendBuf) {
        let mut mended = BytesMut::with_capacity(piece.len() + 64);
        normalise(piece, &mut mended);
        let mut from = 0;
        for lf in memchr::memchr_iter(b'\n', &mended) {
            if mended.get(lf + 1) == Some(&b'.') {
                out.put(&mended[from..=lf]);
                out.put(b".");
                from = lf + 1;
            }
        }
        out.put(&mended[from..]);
    }

    /// Ends the body: completes the last line and adds the line with the single dot.
    pub fn finish(self, out: &mut SendBuf) {
        if self.cr || !self.bol {
            out.put(b"\r\n");
        }
        out.put(b".\r\n");
    }
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes `input` in pieces; the body, whether a bare newline was seen, and the input behind the end.
    fn decode(input: &[u8], cut: usize, policy: BareNewlines) -> (Vec<u8>, bool, Option<Vec<u8>>) {
        let (mut rx, mut dot, mut body) = (RecvBuf::new(1 << 20), DotDecoder::new(policy), vec![]);
        let mut pieces = input.chunks(cut.max(1));
        loop {
            match dot.next(&mut rx) {
                Some(DotPiece::Data(d)) => body.extend_from_slice(&d),
                Some(DotPiece::End) => {
                    let rest = [rx.data(), &pieces.collect::<Vec<_>>().concat()].concat();
                    return (body, dot.saw_bare_newline(), Some(rest));
                }
                None => match pieces.next() {
                    Some(piece) => {
                        rx.room_for(piece.len())[..piece.len()].copy_from_slice(piece);
                        rx.received(piece.len());
                    }
                    None => return (body, dot.saw_bare_newline(), None),
                },
            }
        }
    }

    fn encode(body: &[u8], cut: usize) -> Vec<u8> {
        let (mut dot, mut out) = (DotEncoder::new(), SendBuf::new());
        for piece in body.chunks(cut.max(1)) {
            dot.encode(Bytes::copy_from_slice(piece), &mut out);
        }
        dot.finish(&mut out);
        let mut sent = vec![];
        while !out.is_empty() {
            sent.extend_from_slice(out.data());
            out.sent(out.data().len());
        }
        sent
    }

    /// Every mixture that some server in the wild takes for the end of data, and the few that are.
    #[test]
    fn only_crlf_dot_crlf_ends_a_body() {
        let table: &[(&[u8], bool)] = &[
            (b"\r\n.\r\n", true),
            (b"\n.\n", false),
            (b"\n.\r\n", false),
            (b"\r\n.\n", false),
            (b"\r.\r", false),
            (b"\r.\r\n", false),
            (b"\r\n.\r", false),
            (b"\r.\n", false),
            (b"\n.\r", false),
            (b"\r\n.\r\r\n", false),
            (b"\r\r\n.\r\n", true),
            (b"\r\n\0.\r\n", false),
            (b"\r\n.\0\r\n", false),
            (b"\0\r\n.\r\n", true),
            (b"\n\r\n.\r\n", true),
            (b"\r\n .\r\n", false),
            (b"\r\n. \r\n", false),
        ];
        for (end, ends) in table {
            let input = [b"body", *end, b"MAIL FROM:<evil@example>\r\n"].concat();
            for policy in [BareNewlines::Keep, BareNewlines::Normalise] {
                for cut in 1..=input.len() {
                    let (_, _, rest) = decode(&input, cut, policy);
                    assert_eq!(rest.is_some(), *ends, "{} cut {cut}", end.escape_ascii());
                    if let Some(rest) = rest {
                        assert_eq!(rest, b"MAIL FROM:<evil@example>\r\n");
                    }
                }
            }
        }
    }

    #[test]
    fn empty_messages_end_and_first_lines_are_unstuffed() {
        assert_eq!(
            decode(b".\r\n", 1, BareNewlines::Keep),
            (vec![], false, Some(vec![]))
        );
        assert_eq!(
            decode(b"..\r\n.x\r\n.\r\nQ", 2, BareNewlines::Keep),
            (b".\r\nx\r\n".to_vec(), false, Some(b"Q".to_vec()))
        );
    }

    #[test]
    fn bare_newlines_are_seen_and_mended() {
        for cut in 1..12 {
            let (body, bare, _) = decode(b"a\nb\rc\r\nd\r\n.\r\n", cut, BareNewlines::Normalise);
            assert_eq!((body.as_slice(), bare), (&b"a\r\nb\r\nc\r\nd\r\n"[..], true));
            let (body, bare, _) = decode(b"a\nb\rc\r\nd\r\n.\r\n", cut, BareNewlines::Keep);
            assert_eq!((body.as_slice(), bare), (&b"a\nb\rc\r\nd\r\n"[..], true));
            assert!(!decode(b"a\r\nb\r\n.\r\n", cut, BareNewlines::Keep).1);
        }
    }

    #[test]
    fn output_never_holds_an_early_end() {
        for body in [
            &b"a\n.\r\nb"[..],
            b"a\r.\r\nb",
            b"a\r\n.\r\nb",
            b".",
            b"a\n.\nb\r.\rc",
            b"\r",
            b"\n.",
            b"",
        ] {
            for cut in 1..=body.len().max(1) {
                let sent = encode(body, cut);
                assert!(sent.ends_with(b".\r\n"));
                let early = sent[..sent.len() - 3].windows(5).any(|w| w == b"\r\n.\r\n");
                assert!(!early, "{}", sent.escape_ascii());
                let lf = memchr::memchr_iter(b'\n', &sent).count();
                let cr = memchr::memchr_iter(b'\r', &sent).count();
                let crlf = memchr::memmem::find_iter(&sent, b"\r\n").count();
                assert_eq!((lf, cr), (crlf, crlf), "{}", sent.escape_ascii());
            }
        }
    }

    #[test]
    fn long_bodies_go_by_reference() {
        let body = Bytes::from([vec![b'x'; 70], b"\r\n".to_vec()].concat().repeat(1000));
        let mut out = SendBuf::new();
        DotEncoder::new().encode(body.clone(), &mut out);
        assert_eq!(out.data().as_ptr(), body.as_ptr());
    }

    fn nasty() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            Just(b'\r'),
            Just(b'\n'),
            Just(b'.'),
            Just(b'x'),
            Just(0),
            any::<u8>()
        ];
        prop_oneof![
            proptest::collection::vec(byte, 0..200),
            proptest::collection::vec(
                prop_oneof![
                    Just(&b"\r\n"[..]),
                    Just(&b"."[..]),
                    Just(&b"xx"[..]),
                    Just(&b"\r\n."[..])
                ],
                0..60
            )
            .prop_map(|v| v.concat()),
        ]
    }

    proptest! {
        #[test]
        fn encode_then_decode_gives_the_normalised_body(body in nasty(), cut in 1usize..40, cut2 in 1usize..40) {
            let mut want = BytesMut::new();
            normalise(&body, &mut want);
            if !want.is_empty() && !want.ends_with(b"\r\n") {
                want.extend_from_slice(b"\r\n");
            }
            let sent = encode(&body, cut);
            prop_assert_eq!(&sent, &encode(&body, body.len().max(1)));
            let (got, bare, rest) = decode(&[&sent[..], b"NOOP"].concat(), cut2, BareNewlines::Keep);
            prop_assert_eq!(got, want.to_vec());
            prop_assert!(!bare);
            prop_assert_eq!(rest.unwrap(), b"NOOP");
        }

        #[test]
        fn every_cut_decodes_alike(input in nasty(), cut in 1usize..40) {
            for policy in [BareNewlines::Keep, BareNewlines::Normalise] {
                prop_assert_eq!(decode(&input, cut, policy), decode(&input, input.len().max(1), policy));
            }
        }
    }
}
