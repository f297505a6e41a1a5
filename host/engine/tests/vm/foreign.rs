//! Functions of Envoy's own. The keys were made for these tests with openssl,
//! and so were the signatures of `a text`.

use crate::guest::{Guest, N, R1, R2, Step, call, s};
use crate::run::Run;

/// Calls a function that answers with bytes.
fn function(name: &str, arguments: impl AsRef<[u8]>) -> Step {
    call(
        "proxy_call_foreign_function",
        [s(name), s(arguments), R1, R2],
    )
}

/// A protobuf message of these fields, all of bytes.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, bytes) in fields {
        message.push(number << 3 | 2);
        let mut len = bytes.len();
        while len > 0x7f {
            message.push(len as u8 | 0x80);
            len >>= 7;
        }
        message.push(len as u8);
        message.extend_from_slice(bytes);
    }
    message
}

#[track_caller]
fn answer(run: &Run, index: u8) -> Vec<u8> {
    let outcome = run.outcome(index);
    assert_eq!(outcome.status, 0, "call {index}");
    outcome.bytes
}

#[test]
fn what_is_compressed_is_zlibs_and_comes_out_again() {
    let text = "all work and no play ".repeat(50);
    let run = Guest::ticking([function("compress", &text), function("compress", "")]);
    let packed = answer(&run, 0);
    assert!(packed.len() < text.len() / 10, "{} bytes", packed.len());
    let empty = answer(&run, 1);
    let by_zlib = b"\x78\x9c\x4b\x54\x28\x49\xad\x28\x01\x00\x07\x4f\x02\x47";
    let bomb = {
        let run = Guest::ticking([function("compress", vec![0; 60_000])]);
        answer(&run, 0)
    };
    let run = Guest::ticking([
        function("uncompress", &packed),
        function("uncompress", &empty),
        function("uncompress", &packed[..packed.len() / 2]),
        function("uncompress", "no zlib"),
        function("uncompress", by_zlib),
        function("uncompress", &bomb),
        call(
            "proxy_call_foreign_function",
            [s("uncompress"), s(&packed), N(0), R2],
        ),
        call(
            "proxy_call_foreign_function",
            [s("uncompress"), s(&packed), R1, N(0)],
        ),
    ]);
    assert_eq!(answer(&run, 0), text.as_bytes());
    assert_eq!(answer(&run, 1), b"");
    assert_eq!(run.outcome(2).status, 3, "half of it");
    assert_eq!(run.outcome(3).status, 3, "something else");
    assert_eq!(answer(&run, 4), b"a text", "as zlib itself packed it");
    assert_eq!(answer(&run, 5).len(), 60_000);
    assert_eq!(
        run.outcome(6).numbers[..2],
        [0, 1050],
        "only the length was wanted"
    );
    assert_ne!(run.outcome(7).numbers[0], 0, "only the address was wanted");
}

const RSA: &[u8] = include_bytes!("keys/rsa.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("keys/rsa.pub.pem");
const RSA_SIGNED: &[u8] = include_bytes!("keys/rsa.sha256.sig");
const P256: &[u8] = include_bytes!("keys/p256.pem");
const P256_PUBLIC: &[u8] = include_bytes!("keys/p256.pub.pem");
const P256_SIGNED: &[u8] = include_bytes!("keys/p256.sha256.sig");

fn verify(hash: &[u8], key: &[u8], signed: &[u8], text: &[u8]) -> Step {
    let arguments = message(&[(1, hash), (5, key), (3, signed), (4, text)]);
    function("verify_signature", arguments)
}

#[test]
fn signatures_that_openssl_made_are_verified() {
    let (sha256, text) = (&b"sha256"[..], &b"a text"[..]);
    let der = message(&[(1, sha256), (2, b"\x30\x00"), (3, RSA_SIGNED), (4, text)]);
    let both = message(&[
        (1, sha256),
        (2, b"x"),
        (5, RSA_PUBLIC),
        (3, RSA_SIGNED),
        (4, text),
    ]);
    let run = Guest::ticking([
        verify(sha256, RSA_PUBLIC, RSA_SIGNED, text),
        verify(sha256, P256_PUBLIC, P256_SIGNED, text),
        verify(sha256, RSA_PUBLIC, RSA_SIGNED, b"another text"),
        verify(sha256, P256_PUBLIC, RSA_SIGNED, text),
        verify(b"md5", RSA_PUBLIC, RSA_SIGNED, text),
        verify(sha256, b"no key", RSA_SIGNED, text),
        verify(sha256, b"", RSA_SIGNED, text),
        function("verify_signature", der),
        function("verify_signature", both),
        function("verify_signature", b"\xff"),
    ]);
    assert_eq!(answer(&run, 0), b"\x08\x01", "RSA: true");
    assert_eq!(answer(&run, 1), b"\x08\x01", "P-256: true");
    let refused = message(&[(2, b"Failed to verify digital signature. Error code: 0")]);
    assert_eq!(answer(&run, 2), refused);
    assert_eq!(answer(&run, 3), refused);
    assert_eq!(answer(&run, 4), message(&[(2, b"md5 is not supported.")]));
    let statuses: Vec<u32> = (5..10).map(|index| run.outcome(index).status).collect();
    assert_eq!(
        statuses, [2; 5],
        "keys that are none, two keys, and no message"
    );
}

#[test]
fn what_is_signed_here_is_verified_here() {
    let text = &b"a text"[..];
    let sign =
        |hash: &[u8], key: &[u8]| function("sign", message(&[(1, hash), (3, text), (4, key)]));
    let cases = [
        (&b"sha256"[..], RSA, RSA_PUBLIC),
        (b"sha384", RSA, RSA_PUBLIC),
        (b"sha512", RSA, RSA_PUBLIC),
        (b"sha256", P256, P256_PUBLIC),
    ];
    for (hash, private, public) in cases {
        let name = String::from_utf8_lossy(hash);
        let run = Guest::ticking([sign(hash, private)]);
        let answered = answer(&run, 0);
        // {result = true, signature}: the signature is what follows a flag and a length.
        assert_eq!(answered[..3], *b"\x08\x01\x12", "{name}");
        let signed = if answered[3] < 0x80 {
            &answered[4..]
        } else {
            &answered[5..]
        };
        let run = Guest::ticking([verify(hash, public, signed, text)]);
        assert_eq!(answer(&run, 0), b"\x08\x01", "{name}");
    }
    let run = Guest::ticking([
        sign(b"sha384", P256),
        sign(b"sha256", RSA_PUBLIC),
        sign(b"sha256", b""),
        sign(b"sha1", RSA),
    ]);
    assert_eq!(
        answer(&run, 0),
        message(&[(3, b"sha384 is not supported.")])
    );
    assert_eq!(
        [run.outcome(1).status, run.outcome(2).status],
        [2, 2],
        "no private key"
    );
    assert_eq!(answer(&run, 3), message(&[(3, b"sha1 is not supported.")]));
}
