//! The part of WASI there is.

use crate::fixture::{FAR, statuses};
use crate::guest::{L, N, R1, R2, call, s};

#[test]
fn wasi_offers_a_clock_randomness_and_a_log() {
    let iovec = |at: u32, len: u32| [at.to_le_bytes(), len.to_le_bytes()].concat();
    // The first argument's bytes lie at 1024: two pieces of text within themselves.
    let mut pieces = iovec(1024 + 16, 3);
    pieces.extend(iovec(1024 + 19, 3));
    pieces.extend(b"abcde\n");
    let cases = [
        ("the pieces, kept", call("proxy_log", [N(1), s(&pieces)]), 0),
        (
            "to standard output",
            call("fd_write", [N(1), N(1024), N(2), R1]),
            0,
        ),
        (
            "to standard error",
            call("fd_write", [N(2), N(1024), N(2), R1]),
            0,
        ),
        ("to a file", call("fd_write", [N(3), N(1024), N(2), R1]), 8),
        (
            "pieces out of bounds",
            call("fd_write", [N(1), N(-16), N(9), R1]),
            21,
        ),
        (
            "too many pieces",
            call("fd_write", [N(1), N(1024), N(-1), R1]),
            21,
        ),
        ("the time", call("clock_time_get", [N(0), L(1), R1]), 0),
        (
            "the other time",
            call("clock_time_get", [N(1), L(1), R1]),
            0,
        ),
        (
            "a process's time",
            call("clock_time_get", [N(2), L(1), R1]),
            58,
        ),
        (
            "time to nowhere",
            call("clock_time_get", [N(0), L(1), FAR]),
            21,
        ),
        ("its resolution", call("clock_res_get", [N(0), R1]), 0),
        ("some randomness", call("random_get", [R1, N(8)]), 0),
        (
            "too much randomness",
            call("random_get", [N(0), N(65_537)]),
            28,
        ),
        ("randomness to nowhere", call("random_get", [FAR, N(8)]), 21),
        ("no arguments", call("args_sizes_get", [R1, R2]), 0),
        ("no environment", call("environ_sizes_get", [R1, R2]), 0),
        (
            "standard output's state",
            call("fd_fdstat_get", [N(1), R1]),
            0,
        ),
        ("a file's state", call("fd_fdstat_get", [N(5), R1]), 8),
        ("no reading", call("fd_read", [N(0), N(0), N(0), R1]), 52),
        (
            "no directories opened",
            call("fd_prestat_get", [N(3), R1]),
            8,
        ),
        (
            "no directories",
            call("fd_readdir", [N(3), N(0), N(0), L(0), R1]),
            20,
        ),
        (
            "no files",
            call(
                "path_open",
                [N(3), N(0), N(0), N(0), N(0), L(0), L(0), N(0), R1],
            ),
            44,
        ),
        (
            "no deleting",
            call("path_unlink_file", [N(3), N(0), N(0)]),
            58,
        ),
        (
            "no sockets",
            call("sock_send", [N(3), N(0), N(0), N(0), R1]),
            58,
        ),
        ("yielding", call("sched_yield", []), 0),
        (
            "waiting for nothing",
            call("poll_oneoff", [N(0), N(0), N(0), R1]),
            0,
        ),
        ("what nobody knows", call("a_name_of_no_wasi", [N(0)]), 52),
    ];
    statuses(&cases);
}
