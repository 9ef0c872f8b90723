//! The bytes of an in-memory structure: columns of numbers and texts, written and read back without a change.
//!
//! An image holds little-endian numbers and lengths, one behind the other. Maps are written in the order of their keys,
//! so that equal structures have equal bytes. A reader checks every length before it takes memory for it: bytes that
//! are no image give [`Malformed`], never a panic.
//!
//! # Examples
//! ```
//! use tacit_kernels::image::{Image, ImageReader};
//! let mut bytes = Vec::new();
//! vec![1u32, 2, 3].write(&mut bytes);
//! assert_eq!(Vec::<u32>::read(&mut ImageReader::new(&bytes)).unwrap(), [1, 2, 3]);
//! assert!(Vec::<u32>::read(&mut ImageReader::new(&bytes[..9])).is_err());
//! ```

use crate::msgpack::{Malformed, Result};
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// A structure that has an image.
pub trait Image: Sized {
    /// Appends the image of this structure.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads the structure whose image starts here.
    fn read(input: &mut ImageReader<'_>) -> Result<Self>;
}

/// A cursor over the bytes of an image.
#[derive(Debug)]
pub struct ImageReader<'a> {
    rest: &'a [u8],
}

impl<'a> ImageReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed("an image ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A count of elements, each of which takes at least `least` bytes of the image.
    pub fn count(&mut self, least: usize) -> Result<usize> {
        let count = usize::try_from(u64::read(self)?).map_err(|_| Malformed("a count beyond memory"))?;
        match count.checked_mul(least) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(Malformed("a count beyond the end of its image")),
        }
    }

    /// Fails if bytes are left.
    pub fn end(&self) -> Result<()> {
        check(self.rest.is_empty(), "bytes behind the end of an image")
    }
}

/// Fails with `fault` unless `holds`.
pub(crate) fn check(holds: bool, fault: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(Malformed(fault)) }
}

/// An element of a fixed number of bytes: columns of these are copied as they lie.
pub trait Fixed: Copy {
    const BYTES: usize;

    /// Writes the element into so many bytes.
    fn store(self, place: &mut [u8]);

    /// The element in so many bytes.
    fn load(bytes: &[u8]) -> Self;
}

macro_rules! fixed_number {
    ($($number:ty),*) => {$(
        impl Fixed for $number {
            const BYTES: usize = size_of::<$number>();

            #[inline]
            fn store(self, place: &mut [u8]) {
                place.copy_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn load(bytes: &[u8]) -> Self {
                bytes.try_into().map_or_else(|_| Self::default(), <$number>::from_le_bytes)
            }
        }
    )*};
}

fixed_number!(u8, i8, u16, u32, u64, i64, f32, f64);

impl<T: Fixed, const N: usize> Fixed for [T; N] {
    const BYTES: usize = N * T::BYTES;

    #[inline]
    fn store(self, place: &mut [u8]) {
        place.chunks_exact_mut(T::BYTES).zip(self).for_each(|(place, element)| element.store(place));
    }

    #[inline]
    fn load(bytes: &[u8]) -> Self {
        std::array::from_fn(|at| T::load(&bytes[at * T::BYTES..][..T::BYTES]))
    }
}

impl<A: Fixed, B: Fixed> Fixed for (A, B) {
    const BYTES: usize = A::BYTES + B::BYTES;

    #[inline]
    fn store(self, place: &mut [u8]) {
        let (first, second) = place.split_at_mut(A::BYTES);
        self.0.store(first);
        self.1.store(second);
    }

    #[inline]
    fn load(bytes: &[u8]) -> Self {
        (A::load(&bytes[..A::BYTES]), B::load(&bytes[A::BYTES..]))
    }
}

impl<T: Fixed> Image for T {
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + T::BYTES, 0);
        self.store(&mut out[start..]);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        input.take(T::BYTES).map(T::load)
    }
}

impl<T: Fixed> Image for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_column(self, out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let count = input.count(T::BYTES)?;
        Ok(input.take(count * T::BYTES)?.chunks_exact(T::BYTES).map(T::load).collect())
    }
}

/// Writes a slice as the image of a vector.
pub fn write_column<T: Fixed>(column: &[T], out: &mut Vec<u8>) {
    (column.len() as u64).write(out);
    let start = out.len();
    out.resize(start + column.len() * T::BYTES, 0);
    let places = out[start..].chunks_exact_mut(T::BYTES);
    places.zip(column).for_each(|(place, element)| element.store(place));
}

/// Writes a part with its length before it, so that a reader can take it apart from what follows.
pub fn write_part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    0u64.write(out);
    write(out);
    let length = (out.len() - start - 8) as u64;
    length.store(&mut out[start..start + 8]);
}

/// The bytes of a part that `write_part` wrote.
pub fn read_part<'a>(input: &mut ImageReader<'a>) -> Result<ImageReader<'a>> {
    let length = input.count(1)?;
    input.take(length).map(ImageReader::new)
}

/// Writes a text.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    write_column(text.as_bytes(), out);
}

/// Reads a text that `write_text` wrote.
pub fn read_text(input: &mut ImageReader<'_>) -> Result<Box<str>> {
    String::from_utf8(Vec::read(input)?).map(Into::into).map_err(|_| Malformed("a text is not UTF-8"))
}

/// Writes a map by its keys, ascending.
pub fn write_map<K: Fixed + Ord, V: Fixed>(map: &FxHashMap<K, V>, out: &mut Vec<u8>) {
    let mut pairs: Vec<(K, V)> = map.iter().map(|(key, value)| (*key, *value)).collect();
    pairs.sort_unstable_by_key(|(key, _)| *key);
    write_column(&pairs, out);
}

/// Reads a map that `write_map` wrote.
pub fn read_map<K: Fixed + Eq + Hash, V: Fixed>(input: &mut ImageReader<'_>) -> Result<FxHashMap<K, V>> {
    let count = input.count(K::BYTES + V::BYTES)?;
    let mut map = FxHashMap::with_capacity_and_hasher(count, rustc_hash::FxBuildHasher);
    map.extend(
        input.take(count * (K::BYTES + V::BYTES))?.chunks_exact(K::BYTES + V::BYTES).map(<(K, V)>::load),
    );
    check(map.len() == count, "a key stands twice")?;
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_texts_and_maps_come_back(
            pairs in prop::collection::btree_map(any::<u32>(), any::<u64>(), 0..40),
            text in ".{0,20}",
        ) {
            let map: FxHashMap<u32, u64> = pairs.clone().into_iter().collect();
            let column: Vec<(u32, [u64; 2])> = pairs.into_iter().map(|(a, b)| (a, [b, !b])).collect();
            let mut bytes = Vec::new();
            write_map(&map, &mut bytes);
            write_text(&text, &mut bytes);
            column.write(&mut bytes);
            let mut input = ImageReader::new(&bytes);
            prop_assert_eq!(read_map::<u32, u64>(&mut input).unwrap(), map);
            prop_assert_eq!(&*read_text(&mut input).unwrap(), text.as_str());
            prop_assert_eq!(Vec::<(u32, [u64; 2])>::read(&mut input).unwrap(), column);
            prop_assert!(input.end().is_ok());
        }

        #[test]
        fn a_count_beyond_the_end_takes_no_memory(count in 3u64.., rest in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut bytes = count.to_le_bytes().to_vec();
            bytes.extend_from_slice(&rest);
            prop_assert!(Vec::<u64>::read(&mut ImageReader::new(&bytes)).is_err());
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let mut bytes = Vec::new();
        write_column(&[(1u32, 2u32), (1, 3)], &mut bytes);
        assert!(read_map::<u32, u32>(&mut ImageReader::new(&bytes)).is_err());
    }
}
