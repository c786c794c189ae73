//! Both ways in wall-clock time, one after the other in one run: the ratio counts.

use std::hint::black_box;

use connect_benches_json::Batch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn json(c: &mut Criterion) {
    let batch = Batch::default();
    let mut group = c.benchmark_group("json batch");
    group.throughput(Throughput::Bytes(batch.json_len() as u64));
    group.bench_function("encode/by hand", |b| {
        b.iter(|| black_box(&batch).encode_by_hand());
    });
    group.bench_function("encode/generated", |b| {
        b.iter(|| black_box(&batch).encode())
    });
    group.bench_function("decode/by hand", |b| {
        b.iter(|| black_box(&batch).decode_by_hand());
    });
    group.bench_function("decode/generated", |b| {
        b.iter(|| black_box(&batch).decode())
    });
    group.finish();
}

criterion_group!(benches, json);
criterion_main!(benches);
