//! Texts: HTML, format=flowed, previews, bodies, reports, messages in pieces and TNEF: no panic, the same for every cut, and no markup left over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{choices, seed};
use mailwright_message::partial::{self, ExternalBody, Partial};
use mailwright_message::report::{Disposition, Feedback, Report};
use mailwright_message::tnef::{Tnef, decompress_rtf};
use mailwright_message::{Index, charset, flowed, html, preview, text};

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    let string = charset::guess(data);
    let cut = (seed(data) as usize % 17).max(1);

    let (mut converter, mut out) = (html::Converter::new(html::Options::default()), String::new());
    for chunk in pieces(&string, cut) {
        converter.push(chunk, &mut out);
    }
    converter.finish(&mut out);
    assert_eq!(out, html::to_text(&string));

    let (mut decoder, mut out) = (flowed::Decoder::new(choice & 1 == 1), String::new());
    for chunk in pieces(&string, cut) {
        decoder.push(chunk, &mut out);
    }
    decoder.finish(&mut out);
    assert_eq!(out, flowed::decode(&string, choice & 1 == 1));
    let _ = flowed::encode(&string);

    assert!(preview::from_text(&string).chars().count() <= preview::MAX_CHARS);
    let index = Index::of(data);
    let bodies = index.bodies();
    let parts = index.parts().count();
    assert!(bodies.text.len() <= parts && bodies.html.len() <= parts && bodies.attachments.len() <= parts);
    let preview = preview::of(&index, data);
    assert!(preview.chars().count() <= preview::MAX_CHARS && !preview.contains(['\r', '\n']));
    let _ = text::of_message(&index, data);
    for part in index.parts() {
        if let Some(name) = part.safe_filename() {
            assert!(!name.contains(['/', '\\', '\0']) && !name.starts_with('.') && !name.is_empty(), "{name:?}");
        }
    }

    let _ = (Report::of(&index), Disposition::parse(&index, data), Feedback::parse(&index, data));
    for part in index.parts() {
        let _ = (Partial::of(&part), ExternalBody::of(&part, data));
    }
    let _ = partial::join(&[(&index, data)], 1 << 20);
    assert!(decompress_rtf(data, 4096).is_none_or(|text| text.len() <= 4096));
    let _ = Tnef::parse(data);
    let signed = [&0x223e_9f78_u32.to_le_bytes()[..], &[0, 0], data].concat();
    let _ = Tnef::parse(&signed);
});

/// Pieces of about `size` octets that split no character.
fn pieces(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = size.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}
