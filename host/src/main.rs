//! dtr-lb.
fn main() {}
