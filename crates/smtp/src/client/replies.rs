//! Replies as they come in (RFC 5321 §4.2)

use super::Limits;
use crate::Reply;
use mailwright_wire::{LineFramer, RecvBuf};

/// Puts the lines of replies together.
#[derive(Debug)]
pub(super) struct Replies {
    lines: LineFramer,
    max_size: usize,
    /// The reply whose last line is still to come.
    open: Option<(u16, String)>,
    /// Octets of the open reply, line endings included.
    size: usize,
}

/// Why what came is not a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyFault {
    Malformed,
    TooLong,
}

impl Replies {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            lines: LineFramer::new(limits.reply_line.clamp(512, super::MAX_INPUT)),
            max_size: limits.reply_size,
            open: None,
            size: 0,
        }
    }

    /// Forgets what was read: the buffer was cleared.
    pub(super) fn reset(&mut self) {
        self.lines.reset();
        self.open = None;
        self.size = 0;
    }

    /// The next reply, or `None` when more input is needed.
    pub(super) fn next(&mut self, rx: &mut RecvBuf) -> Result<Option<Reply>, ReplyFault> {
        loop {
            let line = match self.lines.next(rx) {
                Ok(Some(line)) => line.data,
                Ok(None) => return Ok(None),
                Err(_) => return Err(ReplyFault::TooLong),
            };
            self.size += line.len() + 2;
            if self.size > self.max_size {
                return Err(ReplyFault::TooLong);
            }
            let (code, is_last, text) = parse_line(&line).ok_or(ReplyFault::Malformed)?;
            let text = String::from_utf8_lossy(text);
            match &mut self.open {
                // RFC 5321 §4.2.1: all lines of a reply have the same code.
                Some((first, _)) if *first != code => return Err(ReplyFault::Malformed),
                Some((_, open)) => {
                    open.push('\n');
                    open.push_str(&text);
                }
                None => self.open = Some((code, text.into_owned())),
            }
            if is_last && let Some((code, text)) = self.open.take() {
                self.size = 0;
                return Ok(Some(Reply::received(code, &text)));
            }
        }
    }
}

/// Code, whether it is the last line, and text.
fn parse_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    if !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = code.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
    let (is_last, text) = match rest {
        // RFC 5321 §4.2: clients take a code without text and without its space.
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return None,
    };
    (200..600).contains(&code).then_some((code, is_last, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<Vec<String>, ReplyFault> {
        let limits = Limits {
            reply_line: 512,
            reply_size: 1000,
            ..Limits::default()
        };
        let (mut rx, mut replies, mut seen) = (
            RecvBuf::new(super::super::MAX_INPUT),
            Replies::new(&limits),
            vec![],
        );
        rx.room_for(input.len())[..input.len()].copy_from_slice(input);
        rx.received(input.len());
        while let Some(reply) = replies.next(&mut rx)? {
            seen.push(reply.to_string());
        }
        Ok(seen)
    }

    #[test]
    fn replies_of_the_wild() {
        let input = b"250-2.1.0 a\r\n250 2.1.0 b\r\n220\r\n354 \r\n250-\r\n250-x\n250 \xff\0y\r\n250 op";
        let want = [
            "250 2.1.0 a\n250 2.1.0 b",
            "220",
            "354",
            "250\n250 x\n250 \u{fffd} y",
        ];
        assert_eq!(read(input).unwrap(), want);
    }

    #[test]
    fn nonsense_is_refused() {
        for input in [
            "\r\n",
            "25\r\n",
            "2500 x\r\n",
            "250OK\r\n",
            "199 x\r\n",
            "600 x\r\n",
            "2x0 x\r\n",
            "250-a\r\n251 b\r\n",
            "HTTP/1.1 400 Bad Request\r\n",
        ] {
            assert_eq!(read(input.as_bytes()), Err(ReplyFault::Malformed), "{input}");
        }
        let endless = "250-x\r\n".repeat(200);
        assert_eq!(read(endless.as_bytes()), Err(ReplyFault::TooLong));
        assert_eq!(read(&[b'2'; 600]), Err(ReplyFault::TooLong));
    }
}
