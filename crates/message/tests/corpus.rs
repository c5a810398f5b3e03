//! Public messages from `$MAIL_CORPUS/message`, when that is there.

mod common;

use std::path::{Path, PathBuf};

use common::{exercise, index_in_chunks};
use mailwright_message::{Index, address_list, date, header};

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
