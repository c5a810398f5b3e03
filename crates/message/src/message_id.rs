//! Message identifiers (RFC 5322 §3.6.4, §4.5.4)

use crate::{charset, lex};

/// The identifiers of a Message-ID, In-Reply-To or References value, without their angle brackets.
///
/// White space and comments inside of one are dropped. Other words (the phrases of RFC 822's In-Reply-To) are
/// passed over; only where there are no angle brackets at all, words with an `@` count as identifiers.
///
/// ```
/// let ids = mailwright_message::message_id::parse_list(b"<1234 @ local(blah) .machine .example> <b@c>");
/// assert_eq!(ids, ["1234@local.machine.example", "b@c"]);
/// ```
pub fn parse_list(value: &[u8]) -> Vec<String> {
    let mut ids = Vec::new();
    let mut at = 0;
    let mut bracket = false;
    let mut quotes = Quotes { none_closes: false };
    while at < value.len() {
        at = lex::skip_cfws(value, at);
        match value.get(at) {
            Some(b'<') => {
                bracket = true;
                let (id, end) = id(value, at + 1, &mut quotes);
                at = end;
                if !id.is_empty() {
                    ids.push(charset::guess(&id).into_owned());
                }
            }
            Some(b'"') => at = quotes.end(value, at),
            _ => at += 1,
        }
    }
    if bracket {
        return ids;
    }
    value
        .split(|b| lex::is_space(*b))
        .filter(|word| word.contains(&b'@'))
        .map(|word| charset::guess(word).into_owned())
        .collect()
}

/// The identifier behind a `<`, and where reading goes on.
fn id(value: &[u8], mut at: usize, quotes: &mut Quotes) -> (Vec<u8>, usize) {
    let mut id = Vec::new();
    loop {
        at = lex::skip_cfws(value, at);
        match value.get(at) {
            Some(b'>') => return (id, at + 1),
            // The bracket of this one was lost.
            Some(b'<') | None => return (id, at),
            Some(b'"') => {
                let end = quotes.end(value, at);
                id.extend(value[at..end].iter().filter(|b| !matches!(b, b'\r' | b'\n')));
                at = end;
            }
            Some(byte) => {
                id.push(*byte);
                at += 1;
            }
        }
    }
}

/// Where quoted strings end. When one does not, no later one does: looking again would make the work quadratic.
struct Quotes {
    none_closes: bool,
}

impl Quotes {
    /// The position behind the quoted string that starts at `at`, or behind its quote if it never ends.
    fn end(&mut self, value: &[u8], at: usize) -> usize {
        if !self.none_closes {
            if let Some(end) = lex::quote_end(value, at) {
                return end + 1;
            }
            self.none_closes = true;
        }
        at + 1
    }
}

/// A fresh identifier `<…@host>`, angle brackets included.
///
/// `random` is 12 octets of fresh randomness or more. Octets of `host` that a domain cannot have are dropped.
pub fn generate(random: &[u8], host: &str) -> String {
    let mut id = String::with_capacity(random.len() * 2 + host.len() + 3);
    id.push('<');
    push_token(random, &mut id);
    id.push('@');
    let host: String = host
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .collect();
    id.push_str(if host.is_empty() { "localhost" } else { &host });
    id.push('>');
    id
}

/// Letters and digits that stand for `random`.
pub(crate) fn push_token(random: &[u8], out: &mut String) {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let (mut bits, mut count) = (0u32, 0);
    for byte in random {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            out.push(char::from(DIGITS[(bits >> count & 31) as usize]));
        }
    }
    if count > 0 {
        out.push(char::from(DIGITS[(bits << (5 - count) & 31) as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_they_come() {
        for (input, want) in [
            (
                "<1234@local.machine.example> <3456@example.net>",
                &["1234@local.machine.example", "3456@example.net"][..],
            ),
            (
                "             <testabcd.1234@silly.test>",
                &["testabcd.1234@silly.test"],
            ),
            (
                "<1234   @   local(blah)  .machine .example>",
                &["1234@local.machine.example"],
            ),
            ("<a@b><c@d>,<e@f>", &["a@b", "c@d", "e@f"]),
            ("Your message of \"Mon, <x@y>\" <a@b>", &["a@b"]),
            ("<\"a b\"@c>", &["\"a b\"@c"]),
            ("<a@b <c@d", &["a@b", "c@d"]),
            ("a@b no-id c@d", &["a@b", "c@d"]),
            ("<>", &[]),
            ("", &[]),
            ("<\"", &["\""]),
        ] {
            assert_eq!(parse_list(input.as_bytes()), want, "{input}");
        }
    }

    #[test]
    fn fresh_ids_parse() {
        let id = generate(&[0xff; 16], "mx.example\r\n>");
        assert_eq!(id, "<zzzzzzzzzzzzzzzzzzzzzzzzzw@mx.example>");
        assert_eq!(parse_list(id.as_bytes()), [id.trim_matches(['<', '>'])]);
        assert!(generate(&[1, 2], "é").ends_with("@localhost>"));
    }
}
