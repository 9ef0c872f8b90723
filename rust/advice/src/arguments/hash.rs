//! Numbers that stand for places, names and values. The same on every machine.

use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(super) const NAME: u64 = 0x9e6c_63d0_876a_3f01;
pub(super) const KEY: u64 = 2;
pub(super) const ANY: u64 = 3;
pub(super) const AFTER: u64 = 4;
pub(super) const MAP: u64 = 5;
pub(super) const LIST: u64 = 6;
pub(super) const LEFT_OUT: u64 = 7;

pub(super) fn text(text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), 11)
}

/// One number from two; the order matters.
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x2d35_8dcc_aa6c_78a5) * u128::from(b ^ 0x8bb8_4b93_962e_acc9);
    (product as u64) ^ ((product >> 64) as u64)
}

pub(super) fn mix_text(a: u64, text: &str) -> u64 {
    mix(a, self::text(text))
}

/// Returns true if a key looks like a value: three digits in a row.
pub(super) fn is_data(key: &str) -> bool {
    key.as_bytes().windows(3).any(|three| three.iter().all(u8::is_ascii_digit))
}

/// The key as it counts for a place: keys that look like values are all alike.
pub(super) fn general(key: &str) -> &str {
    if is_data(key) { "#" } else { key }
}
