//! Transfer encodings and charsets: the same for every cut, and what is encoded decodes to what it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{choices, seed, sizes};
use mailwright_message::charset::{self, Charset};
use mailwright_message::transfer::{Encoder, Encoding, find_binhex, uu, yenc};

const LABELS: [&str; 16] = [
    "utf-8", "utf-7", "utf-16", "utf-32", "iso-2022-jp", "iso-2022-kr", "hz-gb-2312", "gb18030", "shift_jis", "euc-kr",
    "big5", "cp437", "cp850", "windows-1252", "koi8-r", "us-ascii",
];

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    let sizes = sizes(seed(data));
    for encoding in [
        Encoding::Base64,
        Encoding::QuotedPrintable,
        Encoding::Uuencode,
        Encoding::Yenc,
    ] {
        let whole = encoding.decode(data);
        for sizes in [&sizes[..], &[1]] {
            let (mut decoder, mut out) = (encoding.decoder(), Vec::new());
            for chunk in chunks(data, sizes) {
                decoder.push(chunk, &mut out);
            }
            decoder.finish(&mut out);
            assert!(out == *whole, "{encoding:?} {sizes:?}");
            assert!(decoder.defects().iter().all(|defect| defect.offset <= data.len() as u64));
        }
    }
    for encoding in [Encoding::Base64, Encoding::QuotedPrintable] {
        let (mut encoder, mut out) = (Encoder::new(encoding), Vec::new());
        for chunk in chunks(data, &sizes) {
            encoder.push(chunk, &mut out);
        }
        encoder.finish(&mut out);
        assert!(out.split(|b| *b == b'\n').all(|line| line.len() <= 77));
        if encoding == Encoding::Base64 {
            assert!(*encoding.decode(&out) == *data);
        }
    }
    for file in uu::files(data) {
        assert!(file.range.end <= data.len() && file.decode().len() <= data.len());
    }
    let parts: Vec<_> = yenc::files(data).collect();
    for file in &parts {
        let _ = file.decode();
    }
    let _ = (yenc::join(&parts), find_binhex(data));

    let label = LABELS[usize::from(choice) % LABELS.len()];
    let charset = Charset::find(label.as_bytes()).expect("it is known");
    let whole = charset.decode(data);
    for sizes in [&sizes[..], &[1]] {
        let (mut decoder, mut out) = (charset.decoder(), String::new());
        for chunk in chunks(data, sizes) {
            decoder.push(chunk, &mut out);
        }
        decoder.finish(&mut out);
        assert!(out == *whole, "{label} {sizes:?}");
    }
    let _ = (charset::guess(data), charset::decode(data, data));
});

/// Pieces of the given sizes, used in turn.
fn chunks<'a>(mut rest: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = (*sizes.next()?).clamp(1, rest.len().max(1));
        (!rest.is_empty()).then(|| {
            let (chunk, behind) = rest.split_at(size);
            rest = behind;
            chunk
        })
    })
}
