//! Instructions of both ways, by valgrind.

use std::hint::black_box;

use connect_benches_json::{Batch, by_hand, proto};
use gungraun::{library_benchmark, library_benchmark_group, main};

fn ready() -> &'static Batch {
    Box::leak(Box::new(Batch::default()))
}

#[library_benchmark]
#[bench::batch(ready())]
fn encode_generated(batch: &Batch) -> bytes::BytesMut {
    black_box(batch).encode()
}

#[library_benchmark]
#[bench::batch(ready())]
fn encode_by_hand(batch: &Batch) -> Vec<u8> {
    black_box(batch).encode_by_hand()
}

#[library_benchmark]
#[bench::batch(ready())]
fn decode_generated(batch: &Batch) -> proto::LogBatch {
    black_box(batch).decode()
}

#[library_benchmark]
#[bench::batch(ready())]
fn decode_by_hand(batch: &Batch) -> by_hand::LogBatch {
    black_box(batch).decode_by_hand()
}

library_benchmark_group!(
    name = json,
    benchmarks = [
        encode_generated,
        encode_by_hand,
        decode_generated,
        decode_by_hand
    ]
);
main!(library_benchmark_groups = json);
