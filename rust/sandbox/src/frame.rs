//! Frames: a length of four bytes, little-endian, and that many bytes.

use std::io::{self, Read, Write};

/// The longest frame that is read; the supervisor sends nothing longer.
const MAX_FRAME: usize = 16 << 20;

pub(crate) fn read(input: &mut impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(body)
}

pub(crate) fn read_text(input: &mut impl Read) -> io::Result<String> {
    String::from_utf8(read(input, MAX_FRAME)?).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Writes one frame of a kind and the parts that follow it, and flushes.
pub(crate) fn write(output: &mut impl Write, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    output.write_all(&(length as u32).to_le_bytes())?;
    output.write_all(&[kind])?;
    for part in parts {
        output.write_all(part)?;
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_its_length_its_kind_and_its_parts() {
        let mut bytes = Vec::new();
        write(&mut bytes, b'C', &[b"ab", b"c"]).unwrap();
        assert_eq!(bytes, b"\x04\0\0\0Cabc");
        assert_eq!(read(&mut bytes.as_slice(), 4).unwrap(), b"Cabc");
    }

    #[test]
    fn a_frame_beyond_its_limit_and_one_cut_short_are_refused() {
        assert!(read(&mut b"\xff\xff\xff\x7f".as_slice(), MAX_FRAME).is_err());
        assert!(read(&mut b"\x04\0\0\0abc".as_slice(), MAX_FRAME).is_err());
        assert!(read_text(&mut b"\x01\0\0\0\xff".as_slice()).is_err());
    }
}
