//! `chaos`: makes faults under load and counts what clients saw of them.

use std::process::ExitCode;

fn main() -> ExitCode {
    dtr_lb_chaos::main()
}
