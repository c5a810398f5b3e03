//! Base64 as the mail protocols frame SASL messages (RFC 4648 §4)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Encodes `data` with padding and without line breaks.
pub fn base64_encode(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// Decodes `text` strictly: the standard alphabet, canonical padding, nothing else, no stray bits.
///
/// `None` if it is anything else; the empty text is empty data.
pub fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Encodes an initial response: like [`base64_encode`], but `=` if it is empty (RFC 4954 §4, RFC 5034 §4).
pub fn base64_encode_initial(data: &[u8]) -> String {
    match data {
        [] => "=".to_owned(),
        _ => base64_encode(data),
    }
}

/// Decodes an initial response: like [`base64_decode`], but `=` is empty data and the empty text is nothing.
pub fn base64_decode_initial(text: &[u8]) -> Option<Vec<u8>> {
    match text {
        b"" => None,
        b"=" => Some(Vec::new()),
        _ => base64_decode(text),
    }
}
