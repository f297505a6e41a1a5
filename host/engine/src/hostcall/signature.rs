//! Digital signatures, for guests that have no cryptography of their own.

use std::borrow::Cow;

use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, RsaEncoding, RsaKeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use spki::der::Decode as _;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::protobuf::{Field, Fields, put_bytes, put_flag};
use crate::state::VmState;
use crate::status::{HostcallError, HostcallResult};

/// `{hash_function = 1, public_key = 2, signature = 3, text = 4, public_key_pem = 5}`;
/// answers `{result = 1, error = 2}`.
pub(crate) fn verify(_: &mut VmState, arguments: &[u8], answer: &mut Vec<u8>) -> HostcallResult {
    let [hash, der, signed, text, pem] = fields(arguments)?;
    let key = key(der, pem, |pem| {
        SubjectPublicKeyInfoDer::from_pem_slice(pem).map(|key| key.to_vec())
    })?;
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
    let key = key(der, pem, |pem| {
        PrivateKeyDer::from_pem_slice(pem).map(|key| key.secret_der().to_vec())
    })?;
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
fn key<'a>(
    der: &'a [u8],
    pem: &[u8],
    of_pem: fn(&[u8]) -> Result<Vec<u8>, pem::Error>,
) -> Result<Cow<'a, [u8]>, HostcallError> {
    match (der, pem) {
        ([_, ..], []) => Ok(Cow::Borrowed(der)),
        ([], [_, ..]) => of_pem(pem)
            .map(Cow::Owned)
            .map_err(|_| HostcallError::BadArgument),
        _ => Err(HostcallError::BadArgument),
    }
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
        let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
        let bits = info.subject_public_key.as_bytes()?;
        match info.algorithm.oid {
            RSA => Some(PublicKey::Rsa(bits)),
            ELLIPTIC => match info.algorithm.parameters_oid().ok()? {
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

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
