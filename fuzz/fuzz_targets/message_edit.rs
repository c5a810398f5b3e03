//! The editor: without edits a message stays as it is, and an edit changes what it names alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::choices;
use mailwright_message::Index;
use mailwright_message::build::Field;
use mailwright_message::edit::{Editor, Place};
use mailwright_message::header::Headers;

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    let index = Index::of(data);
    let same = Editor::new(&index, data).finish().expect("nothing is asked");
    assert!(same.octets() == data.len() as u64 && same.to_vec(data) == data);

    let root = index.root();
    let mut editor = Editor::new(&index, data);
    let place = match choice & 3 {
        0 => Place::Top,
        1 => Place::Bottom,
        2 => Place::Before("Subject"),
        _ => Place::After("Subject"),
    };
    if editor.add_field(root, place, &Field::text("X-Fuzz", "here")).is_ok() {
        if let Ok(edited) = editor.finish() {
            let edited = edited.to_vec(data);
            let index = Index::of(&edited);
            assert_eq!(Headers::of(&edited, index.root()).all("X-Fuzz").count(), 1 + before(data, "X-Fuzz"));
        }
    }

    let parts: Vec<_> = index.parts().collect();
    let part = parts[usize::from(choice >> 2) % parts.len()];
    let mut editor = Editor::new(&index, data);
    let done = match choice & 3 {
        0 => editor.remove_part(part).is_ok(),
        1 => editor.replace_body(part, &b"body"[..]).is_ok(),
        2 => editor.unwrap(part).is_ok(),
        _ => editor.remove_fields(part, "Subject").is_ok(),
    };
    if let (true, Ok(edited)) = (done, editor.finish()) {
        let out = edited.to_vec(data);
        assert_eq!(out.len() as u64, edited.octets());
        let _ = Index::of(&out);
    }
});

/// How many fields of a name the message had.
fn before(data: &[u8], name: &str) -> usize {
    let index = Index::of(data);
    Headers::of(data, index.root()).all(name).count()
}
