//! Reading msgpack without building a tree: the few moves that decoding a record needs.

use rmp::Marker;
use rmp::decode::{self, RmpRead};

/// The bytes are not the msgpack that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed record: {0}")]
pub struct Malformed(pub &'static str);

pub type Result<T> = std::result::Result<T, Malformed>;

/// A cursor over msgpack bytes.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that were not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The number of entries of the map that starts here.
    pub fn map(&mut self) -> Result<u32> {
        decode::read_map_len(&mut self.rest).map_err(|_| Malformed("a map was expected"))
    }

    /// The number of elements of the array that starts here.
    pub fn array(&mut self) -> Result<u32> {
        decode::read_array_len(&mut self.rest).map_err(|_| Malformed("an array was expected"))
    }

    pub fn str(&mut self) -> Result<&'a str> {
        let (text, rest) =
            decode::read_str_from_slice(self.rest).map_err(|_| Malformed("a string was expected"))?;
        self.rest = rest;
        Ok(text)
    }

    pub fn bin(&mut self) -> Result<&'a [u8]> {
        let bytes = decode::read_bin_len(&mut self.rest).map_err(|_| Malformed("bytes were expected"))?;
        self.take(bytes as usize)
    }

    pub fn int(&mut self) -> Result<i64> {
        decode::read_int(&mut self.rest).map_err(|_| Malformed("an integer was expected"))
    }

    /// A number, whatever its width, as the float nearest to it.
    pub fn number(&mut self) -> Result<f64> {
        match self.marker()? {
            Marker::F64 => decode::read_f64(&mut self.rest).map_err(|_| Malformed("a float was expected")),
            Marker::F32 => {
                decode::read_f32(&mut self.rest).map(f64::from).map_err(|_| Malformed("a float was expected"))
            }
            Marker::U64 => decode::read_u64(&mut self.rest)
                .map(|v| v as f64)
                .map_err(|_| Malformed("an integer was expected")),
            _ => self.int().map(|value| value as f64),
        }
    }

    /// The value that `read` finds here; `None` means nil.
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.marker()? == Marker::Null {
            self.skip()?;
            return Ok(None);
        }
        read(self).map(Some)
    }

    /// The bytes of the value that starts here, passed over.
    pub fn raw(&mut self) -> Result<&'a [u8]> {
        let start = self.rest;
        self.skip()?;
        Ok(&start[..start.len() - self.rest.len()])
    }

    pub fn marker(&self) -> Result<Marker> {
        self.rest.first().map(|byte| Marker::from_u8(*byte)).ok_or(Malformed("the bytes end early"))
    }

    /// Passes over one value, however deep, without recursion.
    pub fn skip(&mut self) -> Result<()> {
        let mut values: u64 = 1;
        while values > 0 {
            values -= 1;
            values += self.skip_head()?;
        }
        Ok(())
    }

    /// Passes over one scalar or the head of one container; returns how many values are inside.
    fn skip_head(&mut self) -> Result<u64> {
        let marker = self.marker()?;
        match marker {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => Ok(u64::from(self.array()?)),
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => Ok(2 * u64::from(self.map()?)),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => self.str().map(|_| 0),
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length =
                    decode::read_bin_len(&mut self.rest).map_err(|_| Malformed("bytes were expected"))?;
                self.advance(length as usize)
            }
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
                self.advance(1)
            }
            Marker::U8 | Marker::I8 => self.advance(2),
            Marker::U16 | Marker::I16 => self.advance(3),
            Marker::U32 | Marker::I32 | Marker::F32 => self.advance(5),
            Marker::U64 | Marker::I64 | Marker::F64 => self.advance(9),
            _ => Err(Malformed("an extension type is not part of a record")),
        }
    }

    fn advance(&mut self, bytes: usize) -> Result<u64> {
        self.rest = self.rest.get(bytes..).ok_or(Malformed("the bytes end early"))?;
        Ok(0)
    }

    pub fn byte(&mut self) -> Result<u8> {
        self.rest.read_u8().map_err(|_| Malformed("the bytes end early"))
    }

    pub fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let taken = self.rest.get(..bytes).ok_or(Malformed("the bytes end early"))?;
        self.rest = &self.rest[bytes..];
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn skipping_a_nested_value_lands_behind_it() {
        let mut bytes = Vec::new();
        rmp::encode::write_map_len(&mut bytes, 2).unwrap();
        rmp::encode::write_str(&mut bytes, "a").unwrap();
        rmp::encode::write_array_len(&mut bytes, 2).unwrap();
        rmp::encode::write_f64(&mut bytes, 1.5).unwrap();
        rmp::encode::write_nil(&mut bytes).unwrap();
        rmp::encode::write_str(&mut bytes, "b").unwrap();
        rmp::encode::write_uint(&mut bytes, 70_000).unwrap();
        bytes.push(0x2a);
        let mut reader = Reader::new(&bytes);
        reader.skip().unwrap();
        assert_eq!(reader.int(), Ok(42));
        assert!(reader.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while reader.skip().is_ok() && !reader.is_empty() {}
        }
    }
}
