# List the recipes.
list:
    @{{ just_executable() }} --list --unsorted

# Balance, given a configuration: just run --config lb.json
run *args:
    cargo run --release -- run {{ args }}

# Show it on this machine, with three stand-in replicas.
demo *args:
    cargo run --release -- demo {{ args }}

# Run every test; or some: just test -p dtr-lb-filter
test *args:
    cargo test {{ args }}

# Run the stories, on Envoy and on the host.
e2e *args:
    cargo build -p dtr-lb && cargo test -p dtr-lb-tests {{ args }}

# Compare with NGINX, HAProxy and Envoy, and write bench/RESULTS.md; in three minutes, without: just bench --quick
bench *args:
    cargo build --release --package dtr-lb --package dtr-lb-bench && bench/run {{ args }}

# Make faults under load and count what clients see: just chaos --event NAME --proxy host
chaos *args:
    cargo build --release --workspace --bins && "${CARGO_TARGET_DIR:-target}/release/chaos" {{ args }}

# All of them, 100,000 connections each on dtr-lb and Envoy, and the table: an hour and three quarters.
chaos-results *args:
    cargo build --release --workspace --bins && "${CARGO_TARGET_DIR:-target}/release/chaos" --out tests/chaos/RESULTS.md --rate 1000 --seconds 95 --peer-seconds 3 {{ args }}

# Look for inputs that break the engine or a reader, for two minutes: just fuzz hostcalls, pairs, import, proxy_header or requested_name.
fuzz target *args:
    cargo +nightly fuzz run {{ target }} -- -max_total_time=120 {{ args }}

# Write envoy/envoy.yaml and envoy/kubernetes.yaml again.
envoy:
    cargo run -- envoy --config envoy/dtr-lb.json --out target/envoy --wasm-path /etc/dtr-lb/dtr_lb_filter.wasm --system-roots /etc/ssl/certs/ca-certificates.crt && cp target/envoy/envoy.yaml envoy/envoy.yaml
    cargo run -- envoy --config envoy/dtr-lb.json --out target/envoy --kubernetes && install -m 644 target/envoy/kubernetes.yaml envoy/kubernetes.yaml

# Write docs/reference.md again, from the types that read a configuration.
reference:
    DTR_LB_WRITE_REFERENCE=1 cargo test --workspace --test reference the_reference

# Build the image, dtr-lb:latest, of nothing but the static binary.
image:
    packaging/image

# Prove the image on a Docker engine: failures, reload, drain, restart, log drivers.
prove-image *args:
    packaging/prove-image {{ args }}

# Prove the filter's images: pushed to a registry and pulled back.
prove-filter-image *args:
    packaging/prove-filter-image {{ args }}

# Prove Envoys that follow one file, in containers as Kubernetes would run them.
prove-fleet *args:
    packaging/prove-fleet {{ args }}

# Build the package for Debian: target/artifacts/dtr-lb_VERSION-1_amd64.deb.
deb:
    packaging/deb

# Prove the package on Debian 12 and 13: install, start, reload, upgrade, drain, purge.
prove-package *args:
    packaging/prove-package {{ args }}

# Build a release into target/artifacts: archive, package, image, SBOM, licences, SHA256SUMS.
dist:
    packaging/dist

# Build the book: target/book/index.html.
book:
    .ci/book

# Format everything.
fmt:
    cargo fmt --all

# Deny every warning of clippy, also in the glue, which only wasm32 compiles.
lint:
    cargo clippy --workspace --all-targets -- -D warnings && cargo clippy -p dtr-lb-filter --target wasm32-unknown-unknown -- -D warnings

# Do exactly what CI does.
check:
    bash .ci/run
