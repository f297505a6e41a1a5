//! Small filters for tests: see `examples/`.
