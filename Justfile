# The steps of continuous integration, each by itself: a recipe runs exactly what .ci/run runs.
# `just` lists them; without just, call the same script.

_help:
    @just --list --unsorted

# the README's test command, then the same with every feature
test:
    .ci/run test

# clippy without a warning, for all sets of features
lint:
    .ci/run lint

# formatting of every workspace
fmt:
    .ci/run fmt

# the plugin under protoc and buf, compared with build.rs
codegen:
    .ci/run codegen

# documentation without a warning
doc:
    .ci/run doc

# what each crate may link, the order of its modules, and how long files may be
layers:
    .ci/run layers files

# a rolling restart and a killed server under load
balanced:
    .ci/run balanced

# calls over a simulated network that fails: `just sim 0..10000` for these seeds
sim seeds="0..1000":
    CONNECT_SIM_SEEDS={{ seeds }} cargo test --release -p connect-sim --test calls

# the configurations of docs/deploy, and calls through nginx and Envoy
deploy:
    .ci/run deploy

# licences, bans, sources and advisories
deny:
    .ci/run deny

# the oldest supported Rust, and wasm32 with a module that imports nothing
portable:
    .ci/run msrv wasm

# the official conformance suite; `just conformance tokio --quick` for a fixed spread
conformance runtime="tokio" *options:
    conformance/run {{ runtime }} {{ options }}

# Google's Protobuf conformance suite, binary and JSON
protobuf:
    .ci/run protobuf

# the generator over schemas of registries, and random messages beside Protobuf for Python
schemas:
    .ci/run schemas

# every command of the tours in the README and in docs/embedding.md
tour:
    .ci/run tour

# connect-web and the page of examples/wasm-client in headless Chromium, and in Node.js
browser:
    .ci/run browser

# a few seconds of every fuzz target
fuzz-smoke:
    .ci/run fuzz

# parsers and coders under Miri
miri:
    .ci/run miri

# each published crate, built from its own archive
package:
    .ci/run package

# the benchmarks lint and compile
bench-check:
    .ci/run bench

# instruction counts and times of the core
bench:
    cargo bench --manifest-path benches/Cargo.toml -p connect-benches

# write the checked-in generated code anew
generate:
    UPDATE_GENERATED=1 cargo test --quiet -p connect-codegen -p checked-in

# generated code that is checked in is what would be generated now; part of `test`
check-generated:
    cargo test --quiet -p connect-codegen -p checked-in

# everything, as a submission is checked
ci:
    .ci/run
