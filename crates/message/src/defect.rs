//! What is odd about a message

/// Something odd, and where. A defect never keeps a message from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Defect {
    /// What is odd.
    pub kind: DefectKind,
    /// Where, in octets from the start of the message.
    pub offset: u64,
}

impl Defect {
    pub(crate) fn new(kind: DefectKind, offset: u64) -> Self {
        Self { kind, offset }
    }
}

/// Where the readers of values say what is odd. `()` does not listen, and costs nothing.
pub(crate) trait Report {
    fn defect(&mut self, kind: DefectKind, at: usize);
}

impl Report for () {
    fn defect(&mut self, _: DefectKind, _: usize) {}
}

impl Report for Vec<Defect> {
    fn defect(&mut self, kind: DefectKind, at: usize) {
        self.push(Defect::new(kind, at as u64));
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What can be odd about a message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum DefectKind {
            $($(#[$doc])* $name = $code,)*
        }

        impl DefectKind {
            /// The inverse of `as u8`.
            pub(crate) fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

// The numbers stand in stored indexes: never use one again for something else.
kinds! {
    /// An mbox separator line (`From …`) stands before the header; it is in the header's range, but no field.
    MboxLine = 1,
    /// The first line of a header is no field: there is no header, and the body starts here.
    MissingHeader = 2,
    /// A line inside of a header is no field and continues none; it is passed over.
    InvalidHeaderLine = 3,
    /// The header ends without an empty line; lines behind its last field that are none are the body.
    UnendedHeader = 4,
    /// A field that should stand once came again; the first one counts.
    DuplicateField = 5,
    /// A Content-Type value names no type; the default is taken.
    InvalidContentType = 6,
    /// A multipart names no boundary: all of its body is one text/plain part.
    MissingBoundary = 7,
    /// The boundary of a multipart never came: all of its body is one text/plain part.
    NoParts = 8,
    /// The last delimiter of a multipart is missing.
    UnclosedMultipart = 9,
    /// There is text behind the two hyphens of a last delimiter.
    DelimiterTrail = 10,
    /// A multipart or message is said to be in base64 or quoted-printable (RFC 2045 §6.4 forbids it); its parts
    /// are looked for in the octets as they are.
    EncodedComposite = 11,
    /// Parts are nested deeper than the limit: this one is taken as application/octet-stream.
    TooDeep = 12,
    /// There are more parts than the limit: delimiters from here on are body text.
    TooManyParts = 13,
    /// There are more header fields than the limit: from here on they are not in the index.
    TooManyFields = 14,
    /// A field is longer than the limit: what is behind the limit is not looked at.
    FieldTooLong = 15,
    /// An address list has more members than the limit: the rest is not in the envelope.
    TooManyAddresses = 16,
    /// A value has more parameters than the limit: the rest is left out.
    TooManyParameters = 17,
    /// The text of envelopes and body structures is longer than the limit: the rest is left out.
    TooMuchText = 18,
    /// A byte order mark stands before the name of a field; it is passed over.
    ByteOrderMark = 19,
    /// A quote, parenthesis or bracket has no partner: it is read as if it were not there.
    Unbalanced = 40,
    /// Two addresses stand side by side without a comma.
    MissingComma = 41,
    /// A member of an address list has no address, or one without local part or domain, or with space inside of
    /// them.
    InvalidAddress = 42,
    /// The semicolon that ends a group is missing.
    UnclosedGroup = 43,
    /// A date is not of a form of RFC 5322; what can be made out of it counts.
    InvalidDate = 44,
    /// The zone of a date is missing or tells nothing: it is read as UTC.
    UnknownZone = 45,
    /// An identifier is not of the form `<left@right>`.
    InvalidId = 46,
    /// There are more identifiers than the limit: the rest is left out.
    TooManyIds = 47,
    /// What stands in the place of a parameter is none, or its value breaks the rules: spaces without quotes,
    /// escapes without digits.
    InvalidParameter = 48,
    /// A parameter, or a section of one, came again; the first one counts.
    DuplicateParameter = 49,
    /// A section of a parameter (RFC 2231 §3) is missing: the value ends before it.
    MissingSection = 50,
    /// The charset of an encoded word or a parameter is not known: the word stays as it is.
    UnknownCharset = 51,
    /// An encoded word has spaces in it, no end, or an encoding that there is not.
    InvalidEncodedWord = 52,
    /// An encoded word stands where RFC 2047 §5 allows none: inside of quotes, or glued to other text. It is
    /// decoded all the same.
    MisplacedEncodedWord = 53,
    /// Octets mean nothing in their charset, or are 8-bit without one and no UTF-8.
    UndecodableText = 54,
    /// A tag of a DKIM or ARC field has no name, no value sign, or came before.
    InvalidTag = 55,
    /// There are more tags, results or list members than the limit: the rest is left out.
    TooManyValues = 56,
    /// A clause of a Received field came again, or words stand where a clause should.
    InvalidTrace = 57,
    /// A List-* field has something else than URIs in angle brackets.
    InvalidListHeader = 58,
    /// An Authentication-Results field does not follow RFC 8601 §2.2 from here on.
    InvalidResults = 59,
    /// A keyword is none of those that its field may have.
    InvalidKeyword = 60,

    // Those of decoders count their offsets from the start of what is decoded, and are in no index.
    /// A body is in a transfer encoding that is not known: its octets are taken as they are (RFC 2045 §6.4).
    UnknownEncoding = 64,
    /// An octet in base64 is outside of the alphabet, or padding stands where none may: it is skipped.
    InvalidBase64 = 65,
    /// There is something behind padding: lines of base64 are decoded too, and from the first other one on, such as
    /// what a mailing list adds, all is left out.
    DataAfterPadding = 66,
    /// The padding at the end of base64 is missing.
    MissingPadding = 67,
    /// base64 ends with one symbol that makes no octet.
    TruncatedBase64 = 68,
    /// An `=` in quoted-printable starts neither an escape nor a soft line break: it stays.
    InvalidEscape = 69,
    /// An escape in quoted-printable has lower-case digits (RFC 2045 §6.7 rule 1).
    LowercaseEscape = 70,
    /// Quoted-printable ends inside of an escape: it stays as it is.
    TruncatedEscape = 71,
    /// There are blanks between the `=` of a soft line break and its line end.
    TrailingBlanks = 72,
    /// There are 8-bit octets in quoted-printable: they stay.
    EightBitInEncoded = 73,
    /// A line within a uuencoded file is none of uuencode: it is skipped.
    InvalidUuencode = 74,
    /// A uuencoded file has no `begin` or no `end`.
    UnendedUuencode = 75,
    /// A file in yEnc has no `=ybegin` or no `=yend`.
    UnendedYenc = 76,
    /// A file in yEnc is not as long as it says.
    YencSize = 77,
    /// The checksum of a file in yEnc does not match.
    YencChecksum = 78,
    /// A TNEF stream ends early, or a checksum or length in it is wrong: what could be read is there.
    DamagedTnef = 81,
    /// A TNEF stream has more attachments or more data than the limit: the rest is left out.
    TnefLimit = 82,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        let known = (0..=u8::MAX).filter_map(|code| Some((code, DefectKind::from_code(code)?)));
        assert!(known.map(|(code, kind)| assert_eq!(code, kind as u8)).count() > 50);
    }
}
