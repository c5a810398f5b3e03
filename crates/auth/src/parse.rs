//! Reading Authentication-Results, and finding forged ones (RFC 8601 §2.2, §5)

use crate::keyword::is_keyword;
use crate::{AuthenticationResults, Error, Keyword, MethodResult, Property, Verdict};
use core::ops::Range;
use mailwright_message::header;

/// Finds the fields of a header that claim to come from the server with this name, or from one that cannot be
/// made out: RFC 8601 §5 has a server remove them from mail that comes in, since readers believe them.
///
/// `header` may be a whole message. The ranges are those of whole fields with their line ends, in order.
pub fn claims_of<'a>(header: &'a [u8], authserv_id: &str) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let authserv_id = authserv_id.to_owned();
    header::fields(header).filter_map(move |field| {
        let claims = field.is("Authentication-Results")
            && Reader::new(field.value)
                .authserv_id()
                .map_or(true, |id| id.eq_ignore_ascii_case(&authserv_id));
        // Fields are slices of the header they come from.
        let start = field.raw.as_ptr() as usize - header.as_ptr() as usize;
        claims.then_some(start..start + field.raw.len())
    })
}

pub(crate) fn field(value: &[u8]) -> Result<AuthenticationResults, Error> {
    let mut reader = Reader::new(value);
    let mut field = AuthenticationResults::new(reader.authserv_id()?);
    reader.skip_cfws()?;
    if reader.peek().is_some_and(|b| b.is_ascii_digit()) {
        if reader.run(|b| b.is_ascii_digit()) != b"1" {
            return Err(Error::Version);
        }
        reader.skip_cfws()?;
    }
    reader.expect(b';')?;
    loop {
        reader.skip_cfws()?;
        if reader.is_at_end() {
            // A `;` too many at the end; but something must have been said.
            return match field.results.is_empty() {
                true => Err(reader.malformed()),
                false => Ok(field),
            };
        }
        match reader.result(field.results.is_empty())? {
            Some(result) => field.results.push(result),
            None => return Ok(field),
        }
        reader.skip_cfws()?;
        if reader.is_at_end() {
            return Ok(field);
        }
        reader.expect(b';')?;
    }
}

struct Reader<'a> {
    value: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(value: &'a [u8]) -> Self {
        Self { value, at: 0 }
    }

    fn authserv_id(&mut self) -> Result<String, Error> {
        self.skip_cfws()?;
        self.value(|b| !is_cfws_start(b) && b != b';')
    }

    /// One result; `None` for the word `none`, which must be all there is.
    fn result(&mut self, may_be_none: bool) -> Result<Option<MethodResult>, Error> {
        let start = self.at;
        let method = self.keyword()?;
        self.skip_cfws()?;
        if self.is_at_end() && may_be_none && method.as_str().eq_ignore_ascii_case("none") {
            return Ok(None);
        }
        if self.peek() == Some(b'/') {
            self.at += 1;
            self.skip_cfws()?;
            if self.run(|b| b.is_ascii_digit()).is_empty() {
                return Err(self.malformed());
            }
            self.skip_cfws()?;
        }
        self.expect(b'=')?;
        self.skip_cfws()?;
        let word = self.keyword()?;
        let verdict = Verdict::new(word.as_str()).ok_or(Error::Malformed(start))?;
        let mut result = MethodResult::new(method, verdict);
        loop {
            self.skip_cfws()?;
            if self.is_at_end() || self.peek() == Some(b';') {
                return Ok(Some(result));
            }
            self.detail(&mut result)?;
        }
    }

    /// A reason or a property.
    fn detail(&mut self, result: &mut MethodResult) -> Result<(), Error> {
        let kind = self.keyword()?;
        self.skip_cfws()?;
        if self.peek() == Some(b'=') {
            let reason = kind.as_str().eq_ignore_ascii_case("reason");
            if !reason || result.reason.is_some() || !result.properties.is_empty() {
                return Err(self.malformed());
            }
            self.at += 1;
            self.skip_cfws()?;
            result.reason = Some(self.value(is_value)?);
            return Ok(());
        }
        self.expect(b'.')?;
        self.skip_cfws()?;
        let name = self.keyword()?;
        self.skip_cfws()?;
        self.expect(b'=')?;
        self.skip_cfws()?;
        let value = self.value(is_value)?;
        result.properties.push(Property::new(kind, name, value));
        Ok(())
    }

    /// A quoted string without its quotes, or a run of other octets; an address with a quoted local part as it
    /// is written.
    fn value(&mut self, is_value: impl Fn(u8) -> bool) -> Result<String, Error> {
        let start = self.at;
        let value = if self.peek() == Some(b'"') {
            let unquoted = self.quoted_string()?;
            if self.peek() == Some(b'@') {
                self.run(is_value);
                let written = self.value[start..self.at].iter().copied();
                written.filter(|b| !matches!(b, b'\r' | b'\n')).collect()
            } else {
                unquoted
            }
        } else {
            let run = self.run(is_value);
            if run.is_empty() {
                return Err(self.malformed());
            }
            run.to_vec()
        };
        String::from_utf8(value).map_err(|_| Error::Malformed(start))
    }

    fn quoted_string(&mut self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        self.expect(b'"')?;
        loop {
            match self.take()? {
                b'"' => return Ok(text),
                b'\\' => text.push(self.take()?),
                // RFC 5322 §3.2.4: folding inside is not part of it.
                b'\r' | b'\n' => {}
                octet => text.push(octet),
            }
        }
    }

    /// Comments and white space, folded or not.
    fn skip_cfws(&mut self) -> Result<(), Error> {
        let mut depth = 0usize;
        while let Some(octet) = self.peek() {
            match octet {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => {
                    self.at += 1;
                    self.peek().ok_or(self.malformed())?;
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ if depth > 0 => {}
                _ => break,
            }
            self.at += 1;
        }
        match depth {
            0 => Ok(()),
            _ => Err(self.malformed()),
        }
    }

    fn keyword(&mut self) -> Result<Keyword, Error> {
        let at = self.at;
        let word = self.run(is_keyword);
        std::str::from_utf8(word)
            .ok()
            .and_then(Keyword::new)
            .ok_or(Error::Malformed(at))
    }

    fn run(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.value[self.at..];
        let len = rest.iter().position(|b| !accepts(*b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn expect(&mut self, octet: u8) -> Result<(), Error> {
        match self.peek() {
            Some(next) if next == octet => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.malformed()),
        }
    }

    fn take(&mut self) -> Result<u8, Error> {
        let octet = self.peek().ok_or(self.malformed())?;
        self.at += 1;
        Ok(octet)
    }

    fn peek(&self) -> Option<u8> {
        self.value.get(self.at).copied()
    }

    fn is_at_end(&self) -> bool {
        self.at == self.value.len()
    }

    fn malformed(&self) -> Error {
        Error::Malformed(self.at)
    }
}

fn is_value(octet: u8) -> bool {
    !is_cfws_start(octet) && !matches!(octet, b';' | b'"' | b')')
}

fn is_cfws_start(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | b'(')
}
