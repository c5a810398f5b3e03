//! Tests of the pack format

use super::*;

fn packs(path: &Path) -> Arc<Packs> {
    Arc::new(Packs::open(path, 1 << 20, |_| Ok(Some(0))).unwrap())
}

fn put(packs: &Arc<Packs>, key: u64, body: &[u8]) -> Written {
    let mut appender = packs.begin(key).unwrap();
    // Of no length that a frame is a multiple of.
    body.chunks(10_007)
        .for_each(|piece| appender.write(piece).unwrap());
    appender.finish().unwrap()
}

fn body(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 251) as u8).collect()
}

#[test]
fn parts_of_a_body_are_read_at_any_offset() {
    let folder = tempfile::tempdir().unwrap();
    let packs = packs(folder.path());
    for size in [
        1,
        Packs::FRAME - 1,
        Packs::FRAME,
        Packs::FRAME + 1,
        5 * Packs::FRAME + 7,
    ] {
        let body = body(size);
        let record = put(&packs, 7, &body);
        packs
            .verify(7, record.location, size as u64, &record.hash)
            .unwrap();
        for from in [
            0,
            1,
            Packs::FRAME - 1,
            Packs::FRAME,
            3 * Packs::FRAME + 5,
            size - 1,
            size,
            size + 1,
        ] {
            for length in [0, 1, 100, Packs::FRAME, 3 * Packs::FRAME] {
                let to = (from + length).min(size);
                let read = packs
                    .read(
                        7,
                        record.location,
                        size as u64,
                        from as u64..(from + length) as u64,
                    )
                    .unwrap();
                assert_eq!(
                    read,
                    body[from.min(size).min(to)..to],
                    "{size} octets, {from} + {length}"
                );
            }
        }
    }
}

#[test]
fn every_flipped_octet_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let packs = packs(folder.path());
    let record = put(&packs, 3, &body(100));
    let path = packs.file_path(record.location.pack);
    let good = fs::read(&path).unwrap();
    for at in record.location.offset as usize..record.end as usize {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        let verified = packs.verify(3, record.location, 100, &record.hash);
        assert_eq!(
            verified.unwrap_err().kind(),
            io::ErrorKind::InvalidData,
            "octet {at}"
        );
    }
    fs::write(&path, &good).unwrap();
    packs.verify(3, record.location, 100, &record.hash).unwrap();
    assert!(
        packs.verify(4, record.location, 100, &record.hash).is_err(),
        "a record answers to its own key only"
    );
}

#[test]
fn what_a_crash_left_half_written_is_cut_off_and_whole_records_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second, path) = {
        let packs = packs(folder.path());
        let first = put(&packs, 1, &body(70_000));
        let second = put(&packs, 2, &body(300));
        assert_eq!(first.location.pack, second.location.pack);
        let path = packs.file_path(first.location.pack);
        (first, second, path)
    };
    let good = fs::read(&path).unwrap();
    for cut in [
        1,
        8,
        20,
        47,
        200,
        300,
        (second.end - second.location.offset) as usize - 1,
    ] {
        fs::write(&path, &good[..good.len() - cut]).unwrap();
        let packs = packs(folder.path());
        assert_eq!(fs::metadata(&path).unwrap().len(), first.end);
        packs.verify(1, first.location, 70_000, &first.hash).unwrap();
        let again = put(&packs, 2, &body(300));
        assert_eq!(again.location, second.location, "the place is used again");
        assert_eq!(fs::read(&path).unwrap(), good);
    }
}

#[test]
fn an_abandoned_record_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let packs = packs(folder.path());
    let kept = put(&packs, 1, &body(10));
    let mut appender = packs.begin(2).unwrap();
    appender.write(&body(Packs::FRAME)).unwrap();
    drop(appender);
    assert_eq!(
        fs::metadata(packs.file_path(kept.location.pack)).unwrap().len(),
        kept.end
    );
}

#[test]
fn two_writers_never_share_a_pack_and_full_packs_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let packs = packs(folder.path());
    let (one, two) = (packs.begin(1).unwrap(), packs.begin(2).unwrap());
    assert_ne!(one.location.pack, two.location.pack);
    drop((one, two));
    let full = put(&packs, 3, &body(2 << 20));
    let next = put(&packs, 4, &body(2 << 20));
    assert_ne!(full.location.pack, next.location.pack);
}

#[test]
fn a_pack_goes_only_when_nobody_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let packs = packs(folder.path());
    let record = put(&packs, 1, &body(10));
    let pack = record.location.pack;
    packs.suspect(pack);
    assert!(packs.removable().is_empty(), "it is pinned");
    packs.unpin(pack);
    assert_eq!(packs.removable(), [pack]);
    let lease = packs.begin(2).unwrap();
    assert!(!packs.remove(pack).unwrap(), "it is written to");
    drop(lease);
    assert!(packs.remove(pack).unwrap());
    assert!(packs.read(1, record.location, 10, 0..10).is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn room_is_taken_before_it_is_written_to() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let packs = Arc::new(Packs::open(folder.path(), 64 << 20, |_| Ok(None)).unwrap());
    let mut appender = packs.begin(1).unwrap();
    let taken = || {
        let file = fs::metadata(packs.file_path(1)).unwrap();
        (file.len(), file.blocks() * 512)
    };
    // Not every file system can do it; where one does, the length is still that of what was written.
    let (length, octets) = taken();
    assert_eq!(length, 32);
    let can = octets >= 1 << 20;
    appender.write(&[7; Packs::FRAME]).unwrap();
    let written = appender.finish().unwrap();
    assert_eq!(taken().0, written.end);
    assert!(!can || taken().1 == octets);
    // What is given up gives back what it took.
    drop(packs.begin(2).unwrap());
    assert_eq!(taken().0, written.end);
    let mut appender = packs.begin(3).unwrap();
    for _ in 0..20 {
        appender.write(&[7; Packs::FRAME]).unwrap();
    }
    assert!(!can || taken().1 >= 2 << 20);
    assert_eq!(taken().0, appender.end);
}
