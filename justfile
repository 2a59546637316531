# `just` lists what there is. What CI runs is `.ci/run`; recipes only name its parts.

_default:
    @just --list --unsorted

# All that has to hold before a change goes in: what CI runs
check:
    .ci/run

# Tests, or those whose name contains a word: `just test reshape`
test *words:
    cargo test --all-features {{words}}

# Formatting and lints
lint:
    .ci/run fmt clippy

# The documentation, with broken links as errors
doc:
    .ci/run doc

# Every example
examples:
    .ci/run examples

# Each feature alone
features:
    .ci/run features

# Benchmarks: all, or one of `sched`, `elemwise`
bench *names:
    cargo bench {{ if names == "" { "--benches" } else { "--bench " + names } }}

# The main job, as the README runs it
climatology *args:
    cargo run --release --example climatology -- {{args}}

# Licences, advisories and sources of dependencies (needs cargo-deny)
deny:
    cargo deny check
