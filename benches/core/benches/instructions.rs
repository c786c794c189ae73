//! Instructions and allocations of each scenario, by valgrind: the same in every run, on any machine of one kind.

use std::hint::black_box;

use bytes::Bytes;
use connect_benches::{
    Decode, EndStream, Gzip16K, StreamRecv, StreamSend, UnaryClient, UnaryServer,
};
use connect_proto::Protocol;
use gungraun::{Dhat, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};

/// Runs a scenario once, so that lazy work is done, and keeps it: dropping it is no part of the work.
macro_rules! ready {
    ($scenario:expr, $run:ident) => {{
        let scenario = Box::leak(Box::new($scenario));
        black_box(scenario.$run());
        scenario
    }};
    ($scenario:expr) => {
        ready!($scenario, run)
    };
}

fn large() -> Bytes {
    vec![b'm'; 64 * 1024].into()
}

#[library_benchmark]
#[bench::connect(ready!(UnaryServer::new(Protocol::Connect)))]
#[bench::grpc(ready!(UnaryServer::new(Protocol::Grpc)))]
#[bench::grpc_web(ready!(UnaryServer::new(Protocol::GrpcWeb)))]
#[bench::grpc_64k(ready!(UnaryServer::with_message(Protocol::Grpc, large())))]
#[bench::grpc_web_64k(ready!(UnaryServer::with_message(Protocol::GrpcWeb, large())))]
fn unary_server(scenario: &UnaryServer) -> usize {
    black_box(black_box(scenario).run())
}

#[library_benchmark]
#[bench::connect(ready!(UnaryClient::new(Protocol::Connect)))]
#[bench::grpc(ready!(UnaryClient::new(Protocol::Grpc)))]
#[bench::grpc_web(ready!(UnaryClient::new(Protocol::GrpcWeb)))]
fn unary_client(scenario: &UnaryClient) -> usize {
    black_box(black_box(scenario).run())
}

#[library_benchmark]
#[bench::connect_joined(ready!(StreamRecv::new(Protocol::Connect, true)))]
#[bench::grpc_joined(ready!(StreamRecv::new(Protocol::Grpc, true)))]
#[bench::grpc_single(ready!(StreamRecv::new(Protocol::Grpc, false)))]
fn stream_recv(scenario: &StreamRecv) -> usize {
    black_box(black_box(scenario).run())
}

#[library_benchmark]
#[bench::connect_joined(ready!(StreamSend::new(Protocol::Connect, true)))]
#[bench::grpc_joined(ready!(StreamSend::new(Protocol::Grpc, true)))]
#[bench::grpc_single(ready!(StreamSend::new(Protocol::Grpc, false)))]
fn stream_send(scenario: &StreamSend) -> usize {
    black_box(black_box(scenario).run())
}

#[library_benchmark]
#[bench::one_small(ready!(Decode::new(1, 25)))]
#[bench::hundred_small(ready!(Decode::new(100, 25)))]
#[bench::one_64k(ready!(Decode::new(1, 64 * 1024)))]
fn envelopes(scenario: &Decode) -> usize {
    black_box(black_box(scenario).run())
}

#[library_benchmark]
#[bench::error(ready!(EndStream::new()))]
fn end_stream(scenario: &EndStream) -> usize {
    black_box(black_box(scenario).run())
}

#[library_benchmark]
#[bench::compress(ready!(Gzip16K::new(), compress), Gzip16K::compress)]
#[bench::decompress(ready!(Gzip16K::new(), decompress), Gzip16K::decompress)]
fn gzip_16k(scenario: &Gzip16K, run: fn(&Gzip16K) -> usize) -> usize {
    black_box(run(black_box(scenario)))
}

library_benchmark_group!(
    name = core;
    benchmarks = unary_server, unary_client, stream_recv, stream_send, envelopes, end_stream, gzip_16k
);

main!(
    config = LibraryBenchmarkConfig::default().tool(Dhat::default());
    library_benchmark_groups = core
);
