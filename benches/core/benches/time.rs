//! The same scenarios in wall-clock time. On a shared machine a difference under 20 % says nothing: count
//! instructions first.

use std::hint::black_box;

use connect_benches::{
    Decode, EndStream, Gzip16K, SMALL, StreamRecv, StreamSend, UnaryClient, UnaryServer,
};
use connect_proto::Protocol;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn unary(c: &mut Criterion) {
    for protocol in Protocol::ALL {
        let server = UnaryServer::new(protocol);
        c.bench_function(&format!("unary/server/{protocol}"), |b| {
            b.iter(|| black_box(&server).run());
        });
        let client = UnaryClient::new(protocol);
        c.bench_function(&format!("unary/client/{protocol}"), |b| {
            b.iter(|| black_box(&client).run());
        });
    }
    let end = EndStream::new();
    c.bench_function("end_stream", |b| b.iter(|| black_box(&end).run()));
}

fn streams(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream of 1000");
    group.throughput(Throughput::Elements(1000));
    for (joined, name) in [(true, "joined"), (false, "single")] {
        let recv = StreamRecv::new(Protocol::Grpc, joined);
        group.bench_function(format!("recv/{name}"), |b| {
            b.iter(|| black_box(&recv).run())
        });
        let send = StreamSend::new(Protocol::Grpc, joined);
        group.bench_function(format!("send/{name}"), |b| {
            b.iter(|| black_box(&send).run())
        });
    }
    group.finish();
    let mut group = c.benchmark_group("envelopes");
    for (messages, size) in [(1, SMALL.len()), (100, SMALL.len()), (1, 64 * 1024)] {
        let decode = Decode::new(messages, size);
        group.throughput(Throughput::Bytes((messages * size) as u64));
        group.bench_function(format!("{messages} of {size} B"), |b| {
            b.iter(|| black_box(&decode).run());
        });
    }
}

fn compression(c: &mut Criterion) {
    let mut group = c.benchmark_group("gzip 16 KiB");
    group.throughput(Throughput::Bytes(16 * 1024));
    let gzip = Gzip16K::new();
    group.bench_function("compress", |b| b.iter(|| black_box(&gzip).compress()));
    group.bench_function("decompress", |b| b.iter(|| black_box(&gzip).decompress()));
}

criterion_group!(benches, unary, streams, compression);
criterion_main!(benches);
