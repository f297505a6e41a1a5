//! Digital signatures, for guests that have no cryptography of their own.

use base64::Engine as _;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, RsaEncoding, RsaKeyPair, UnparsedPublicKey};

use crate::abi::{HostcallError, HostcallResult};
use crate::protobuf::{Field, Fields, put_bytes, put_flag};
use crate::state::VmState;

/// `{hash_function = 1, public_key = 2, signature = 3, text = 4, public_key_pem = 5}`;
/// answers `{result = 1, error = 2}`.
pub(crate) fn verify(_: &mut VmState, arguments: &[u8], answer: &mut Vec<u8>) -> HostcallResult {
    let [hash, der, signed, text, pem] = fields(arguments)?;
    let key = key(der, pem)?;
    let key = PublicKey::of(&key).ok_or(HostcallError::BadArgument)?;
    match key.verify(hash, text, signed) {
        Ok(()) => put_flag(answer, 1, true),
        Err(error) => put_bytes(answer, 2, error.as_bytes()),
    }
    Ok(())
}

/// `{hash_function = 1, private_key = 2, text = 3, private_key_pem = 4}`;
/// answers `{result = 1, signature = 2, error = 3}`.
pub(crate) fn sign(_: &mut VmState, arguments: &[u8], answer: &mut Vec<u8>) -> HostcallResult {
    let [hash, der, text, pem] = fields(arguments)?;
    let key = key(der, pem)?;
    let key = PrivateKey::of(&key).ok_or(HostcallError::BadArgument)?;
    match key.sign(hash, text) {
        Ok(signed) => {
            put_flag(answer, 1, true);
            put_bytes(answer, 2, &signed);
        }
        Err(error) => put_bytes(answer, 3, error.as_bytes()),
    }
    Ok(())
}

/// Fields 1, 2, ... of a message, all of them bytes.
fn fields<const N: usize>(arguments: &[u8]) -> Result<[&[u8]; N], HostcallError> {
    let mut found = [&[][..]; N];
    for field in Fields::of(arguments) {
        if let (number, Field::Bytes(bytes)) = field.map_err(|_| HostcallError::BadArgument)?
            && let Some(slot) = usize::try_from(number - 1)
                .ok()
                .and_then(|at| found.get_mut(at))
        {
            *slot = bytes;
        }
    }
    Ok(found)
}

/// The key in one form or the other, not both.
fn key(der: &[u8], pem: &[u8]) -> Result<Vec<u8>, HostcallError> {
    match (der, pem) {
        ([_, ..], []) => Ok(der.to_vec()),
        ([], [_, ..]) => of_pem(pem).ok_or(HostcallError::BadArgument),
        _ => Err(HostcallError::BadArgument),
    }
}

/// The bytes between the dashes.
fn of_pem(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let begun = text.find("-----BEGIN ")?;
    let body = text
        .get(begun..)?
        .split_once('\n')?
        .1
        .split_once("-----END ")?
        .0;
    let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD
        .decode(packed)
        .ok()
}

enum PublicKey<'a> {
    Rsa(&'a [u8]),
    Curve(Curve, &'a [u8]),
}

enum PrivateKey {
    Rsa(RsaKeyPair),
    Curve(Curve, EcdsaKeyPair),
}

/// Elliptic curves with a name.
#[derive(Clone, Copy)]
enum Curve {
    P256,
    P384,
}

impl<'a> PublicKey<'a> {
    /// Out of a `SubjectPublicKeyInfo`.
    fn of(der: &'a [u8]) -> Option<PublicKey<'a>> {
        let (info, _) = element(der, SEQUENCE)?;
        let (algorithm, rest) = element(info, SEQUENCE)?;
        let (bits, _) = element(rest, BIT_STRING)?;
        // The first byte counts bits left over at the end; a key has none.
        let bits = bits.strip_prefix(&[0])?;
        let (name, parameters) = element(algorithm, OBJECT)?;
        match name {
            RSA => Some(PublicKey::Rsa(bits)),
            ELLIPTIC => match element(parameters, OBJECT)?.0 {
                P256 => Some(PublicKey::Curve(Curve::P256, bits)),
                P384 => Some(PublicKey::Curve(Curve::P384, bits)),
                _ => None,
            },
            _ => None,
        }
    }

    fn verify(&self, hash: &[u8], text: &[u8], signed: &[u8]) -> Result<(), String> {
        let (how, bits): (&dyn signature::VerificationAlgorithm, _) = match (self, hash) {
            (PublicKey::Rsa(bits), b"sha1") => (
                &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                bits,
            ),
            (PublicKey::Rsa(bits), b"sha256") => (
                &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                bits,
            ),
            (PublicKey::Rsa(bits), b"sha384") => (&signature::RSA_PKCS1_2048_8192_SHA384, bits),
            (PublicKey::Rsa(bits), b"sha512") => (
                &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
                bits,
            ),
            (PublicKey::Curve(Curve::P256, bits), b"sha256") => {
                (&signature::ECDSA_P256_SHA256_ASN1, bits)
            }
            (PublicKey::Curve(Curve::P256, bits), b"sha384") => {
                (&signature::ECDSA_P256_SHA384_ASN1, bits)
            }
            (PublicKey::Curve(Curve::P384, bits), b"sha256") => {
                (&signature::ECDSA_P384_SHA256_ASN1, bits)
            }
            (PublicKey::Curve(Curve::P384, bits), b"sha384") => {
                (&signature::ECDSA_P384_SHA384_ASN1, bits)
            }
            _ => return Err(unsupported(hash)),
        };
        UnparsedPublicKey::new(how, bits)
            .verify(text, signed)
            .map_err(|_| "Failed to verify digital signature. Error code: 0".to_owned())
    }
}

impl PrivateKey {
    /// Out of PKCS #8, or of RSA's own form.
    fn of(der: &[u8]) -> Option<PrivateKey> {
        let random = SystemRandom::new();
        if let Ok(key) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            return Some(PrivateKey::Rsa(key));
        }
        [
            (Curve::P256, &signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            (Curve::P384, &signature::ECDSA_P384_SHA384_ASN1_SIGNING),
        ]
        .into_iter()
        .find_map(|(curve, how)| {
            let key = EcdsaKeyPair::from_pkcs8(how, der, &random).ok()?;
            Some(PrivateKey::Curve(curve, key))
        })
    }

    fn sign(&self, hash: &[u8], text: &[u8]) -> Result<Vec<u8>, String> {
        let random = SystemRandom::new();
        let failed = |_| "Failed to sign data.".to_owned();
        match (self, hash) {
            (PrivateKey::Rsa(key), b"sha256" | b"sha384" | b"sha512") => {
                let how: &dyn RsaEncoding = match hash {
                    b"sha256" => &signature::RSA_PKCS1_SHA256,
                    b"sha384" => &signature::RSA_PKCS1_SHA384,
                    _ => &signature::RSA_PKCS1_SHA512,
                };
                let mut signed = vec![0; key.public().modulus_len()];
                key.sign(how, &random, text, &mut signed).map_err(failed)?;
                Ok(signed)
            }
            (PrivateKey::Curve(Curve::P256, key), b"sha256")
            | (PrivateKey::Curve(Curve::P384, key), b"sha384") => {
                Ok(key.sign(&random, text).map_err(failed)?.as_ref().to_vec())
            }
            _ => Err(unsupported(hash)),
        }
    }
}

fn unsupported(hash: &[u8]) -> String {
    format!("{} is not supported.", String::from_utf8_lossy(hash))
}

/// The contents of the DER element in front, which must be of this kind, and
/// what follows it.
fn element(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != kind {
        return None;
    }
    let (len, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = digits
                .iter()
                .fold(0, |len, digit| len << 8 | usize::from(*digit));
            (len, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
/// 1.2.840.113549.1.1.1
const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
/// 1.2.840.10045.2.1
const ELLIPTIC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
/// 1.2.840.10045.3.1.7
const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// 1.3.132.0.34
const P384: &[u8] = b"\x2b\x81\x04\x00\x22";
