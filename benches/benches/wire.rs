//! Framing of bodies, next to a plain copy of the same octets: the limit of any framing.
#![allow(missing_docs)] // `criterion_group!` makes public items

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mailwright_wire::{BareNewlines, DotDecoder, DotEncoder, DotPiece, RecvBuf, SendBuf};
use std::hint::black_box;

const CHUNK: usize = 64 * 1024;

/// A megabyte of lines as base64 attachments have them.
fn body() -> Bytes {
    let line = [&[b'A'; 76][..], b"\r\n"].concat();
    Bytes::from(line.repeat((1 << 20) / line.len()))
}

/// Takes the whole of `wire` through a receive buffer, in chunks; returns the octets of the body.
fn decode(wire: &[u8]) -> usize {
    let (mut rx, mut dot, mut total) = (RecvBuf::new(CHUNK), DotDecoder::new(BareNewlines::Keep), 0);
    let mut rest = wire;
    loop {
        match dot.next(&mut rx) {
            Some(DotPiece::Data(data)) => total += black_box(data).len(),
            Some(DotPiece::End) => return total,
            None => {
                let room = rx.room_for(CHUNK);
                let n = room.len().min(rest.len());
                room[..n].copy_from_slice(&rest[..n]);
                rx.received(n);
                rest = &rest[n..];
            }
        }
    }
}

fn copy(wire: &[u8]) -> usize {
    let mut room = vec![0; CHUNK];
    let mut total = 0;
    for piece in wire.chunks(CHUNK) {
        room[..piece.len()].copy_from_slice(piece);
        total += black_box(&room[..piece.len()]).len();
    }
    total
}

fn dot_stuffing(c: &mut Criterion) {
    let body = body();
    let wire = [&body[..], b".\r\n"].concat();
    assert_eq!(decode(&wire), body.len());
    let mut group = c.benchmark_group("dot");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("copy", |b| b.iter(|| copy(&wire)));
    group.bench_function("decode", |b| b.iter(|| decode(&wire)));
    group.bench_function("encode", |b| {
        let encode = |body: Bytes| {
            let (mut dot, mut out) = (DotEncoder::new(), SendBuf::new());
            dot.encode(body, &mut out);
            dot.finish(&mut out);
            assert_eq!(out.len(), wire.len());
            out
        };
        b.iter_batched(|| body.clone(), encode, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, dot_stuffing);
criterion_main!(benches);
