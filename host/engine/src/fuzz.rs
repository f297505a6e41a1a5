//! What the fuzz targets reach and nobody else.

use super::abi::Headers;
use super::pairs;

/// The pairs in a guest's bytes; `None`: they break a rule.
pub fn decode_pairs(bytes: &[u8]) -> Option<Headers> {
    pairs::decode(bytes)
}

/// Pairs as a guest gets them.
pub fn encode_pairs(pairs: &Headers) -> Vec<u8> {
    let mut bytes = Vec::new();
    pairs::encode_headers(pairs, &mut bytes);
    bytes
}
