//! Public messages from `$MAIL_CORPUS/message`, when that is there.

mod common;

use std::path::{Path, PathBuf};

use common::{exercise, index_in_chunks};
use mailwright_message::edit::Editor;
use mailwright_message::{Index, address_list, date, header, preview, text};

#[test]
fn every_message_of_the_corpus_is_indexed() {
    #[allow(clippy::disallowed_methods)] // a test is where the corpus comes in
    let Ok(corpus) = std::env::var("MAIL_CORPUS") else {
        eprintln!("SKIPPED: MAIL_CORPUS is not set");
        return;
    };
    let mut files = Vec::new();
    collect(&Path::new(&corpus).join("message"), &mut files);
    assert!(!files.is_empty(), "there is nothing in {corpus}/message");
    let mut parts = 0;
    for path in &files {
        let message = std::fs::read(path).expect("the corpus can be read");
        let whole = Index::of(&message);
        exercise(&whole, &message);
        assert_eq!(
            Index::from_bytes(whole.to_bytes()).as_ref(),
            Ok(&whole),
            "{path:?}"
        );
        for sizes in [&[1][..], &[2, 3], &[61], &[4096]] {
            if message.len() < 300_000 || sizes[0] > 60 {
                assert!(index_in_chunks(&message, sizes) == whole, "{path:?} {sizes:?}");
            }
        }
        parts += whole.parts().count();
        assert!(reassembled(&whole, &message) == message, "{path:?}");
        let same = Editor::new(&whole, &message).finish().expect("nothing is asked");
        assert!(same.to_vec(&message) == message, "{path:?}");
        assert!(preview::of(&whole, &message).chars().count() <= preview::MAX_CHARS);
        let _ = text::of_message(&whole, &message);
        for part in whole.parts() {
            let body = part.body();
            let _ = part.decode_text(&message[body.start as usize..body.end as usize]);
            let range = part.header();
            for field in header::fields(&message[range.start as usize..range.end as usize]) {
                let _ = (
                    header::decode(field.value),
                    address_list::parse(field.value),
                    date::parse(field.value),
                );
            }
        }
    }
    eprintln!("{} files, {parts} parts", files.len());
}

/// The message from the ranges of its parts: headers, bodies of leaves, and what stands between them.
fn reassembled(index: &Index, message: &[u8]) -> Vec<u8> {
    let mut spans: Vec<_> = index
        .parts()
        .flat_map(|part| {
            let body = part.children().next().is_none().then(|| part.body());
            std::iter::once(part.header()).chain(body)
        })
        .collect();
    // Parts that no delimiter or header announces share the start of what is around them.
    spans.sort_by_key(|span| (span.start, span.end));
    let (mut out, mut at) = (Vec::new(), 0);
    for span in spans {
        assert!(span.start >= at, "{span:?} overlaps what ends at {at}");
        out.extend_from_slice(&message[at as usize..span.start as usize]);
        out.extend_from_slice(&message[span.start as usize..span.end as usize]);
        at = span.end;
    }
    out.extend_from_slice(&message[at as usize..]);
    out
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the corpus is a folder") {
        let path = entry.expect("the corpus can be listed").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
