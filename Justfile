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

# documentation without a warning
doc:
    .ci/run doc

# what each crate may link, and how long files may be
layers:
    .ci/run layers files

# licences, bans, sources and advisories
deny:
    .ci/run deny

# the oldest supported Rust, and wasm32
portable:
    .ci/run msrv wasm

# the official conformance suite; `just conformance tokio --quick` for a fixed spread
conformance runtime="tokio" *options:
    conformance/run {{ runtime }} {{ options }}

# everything, as a submission is checked
ci:
    .ci/run
