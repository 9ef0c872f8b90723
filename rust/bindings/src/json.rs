//! JSON values between Python and msgpack, strictly: an accepted value comes back equal and of the same type.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use tacit_kernels::msgpack::{Malformed, Reader};

use crate::error::invalid;

/// The deepest nesting of containers.
pub(crate) const MAX_DEPTH: usize = 128;

/// The reason that a value is not a JSON value, and the place inside it.
pub(crate) struct NotJson {
    path: Vec<String>,
    rule: &'static str,
    given: String,
}

impl NotJson {
    fn new(rule: &'static str, given: impl Into<String>) -> Self {
        Self { path: Vec::new(), rule, given: given.into() }
    }

    fn inside(mut self, place: String) -> Self {
        if self.path.len() < 8 {
            self.path.push(place);
        }
        self
    }

    pub(crate) fn of(self, field: &str) -> PyErr {
        let path: String = self.path.iter().rev().map(String::as_str).collect();
        invalid(&format!("{field}{path}"), self.rule, self.given)
    }
}

/// Appends the value as msgpack; with `sorted` the keys of every map are in order, so that equal values have equal
/// bytes. Nothing is promised of `out` after an error.
pub(crate) fn encode(value: &Bound<'_, PyAny>, sorted: bool, out: &mut Vec<u8>) -> Result<(), NotJson> {
    encode_at(value, sorted, MAX_DEPTH, out)
}

fn encode_at(value: &Bound<'_, PyAny>, sorted: bool, depth: usize, out: &mut Vec<u8>) -> Result<(), NotJson> {
    if let Ok(text) = value.cast::<PyString>() {
        encode_str(text, out)
    } else if value.is_none() {
        out.push(0xc0);
        Ok(())
    } else if let Ok(flag) = value.cast::<PyBool>() {
        out.push(if flag.is_true() { 0xc3 } else { 0xc2 });
        Ok(())
    } else if let Ok(number) = value.cast::<PyInt>() {
        encode_int(number, out)
    } else if let Ok(number) = value.cast::<PyFloat>() {
        encode_float(number.value(), out)
    } else if let Ok(entries) = value.cast::<PyDict>() {
        encode_dict(entries, sorted, deeper(depth)?, out)
    } else if let Ok(elements) = value.cast::<PyList>() {
        encode_list(elements, sorted, deeper(depth)?, out)
    } else {
        Err(NotJson::new("must be a JSON value (None, bool, int, float, str, list, dict)", type_name(value)))
    }
}

/// The name of the value's type: no code of the value's own runs.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "another type".into(), |name| name.to_string_lossy().into_owned())
}

fn deeper(depth: usize) -> Result<usize, NotJson> {
    depth.checked_sub(1).ok_or_else(|| NotJson::new("nests at most 128 deep", "a deeper value"))
}

pub(crate) fn encode_str(text: &Bound<'_, PyString>, out: &mut Vec<u8>) -> Result<(), NotJson> {
    let text = text.to_str().map_err(|_| lone_surrogate())?;
    put_str(text, out);
    Ok(())
}

pub(crate) fn put_str(text: &str, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = rmp::encode::write_str(out, text);
}

pub(crate) fn put_int(number: i64, out: &mut Vec<u8>) {
    let _ = rmp::encode::write_sint(out, number);
}

pub(crate) fn put_float(number: f64, out: &mut Vec<u8>) {
    let _ = rmp::encode::write_f64(out, number);
}

fn encode_int(number: &Bound<'_, PyInt>, out: &mut Vec<u8>) -> Result<(), NotJson> {
    if let Ok(signed) = number.extract::<i64>() {
        put_int(signed, out);
    } else if let Ok(unsigned) = number.extract::<u64>() {
        let _ = rmp::encode::write_uint(out, unsigned);
    } else {
        return Err(NotJson::new("integers have at most 64 bits", "a larger integer"));
    }
    Ok(())
}

fn encode_float(number: f64, out: &mut Vec<u8>) -> Result<(), NotJson> {
    if !number.is_finite() {
        return Err(NotJson::new("must be finite", number.to_string()));
    }
    put_float(number, out);
    Ok(())
}

fn encode_list(
    elements: &Bound<'_, PyList>,
    sorted: bool,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), NotJson> {
    let _ = rmp::encode::write_array_len(out, elements.len() as u32);
    for (place, element) in elements.iter().enumerate() {
        encode_at(&element, sorted, depth, out).map_err(|error| error.inside(format!("[{place}]")))?;
    }
    Ok(())
}

fn encode_dict(
    entries: &Bound<'_, PyDict>,
    sorted: bool,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), NotJson> {
    let _ = rmp::encode::write_map_len(out, entries.len() as u32);
    if !sorted {
        return entries.iter().try_for_each(|(key, value)| encode_entry(&key, &value, sorted, depth, out));
    }
    let mut ordered = Vec::with_capacity(entries.len());
    for (key, value) in entries.iter() {
        ordered.push((checked_key(&key)?.to_str().map_err(|_| lone_surrogate())?.to_owned(), value));
    }
    ordered.sort_by(|one, other| one.0.cmp(&other.0));
    ordered.iter().try_for_each(|(key, value)| {
        put_str(key, out);
        encode_at(value, sorted, depth, out).map_err(|error| error.inside(format!(".{key}")))
    })
}

/// The key as a string. A key of another type is named by its type, since its own text would run its own code.
fn checked_key<'a, 'py>(key: &'a Bound<'py, PyAny>) -> Result<&'a Bound<'py, PyString>, NotJson> {
    key.cast::<PyString>().map_err(|_| NotJson::new("a JSON value with text keys", type_name(key)))
}

fn lone_surrogate() -> NotJson {
    NotJson::new("must be valid Unicode", "a lone surrogate")
}

fn encode_entry(
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    sorted: bool,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), NotJson> {
    let key = checked_key(key)?;
    encode_str(key, out)?;
    encode_at(value, sorted, depth, out).map_err(|error| error.inside(format!(".{}", key.to_string_lossy())))
}

/// The inside of a map (keys and values without the header) and the number of its entries.
pub(crate) fn encode_fields(fields: &Bound<'_, PyDict>, field: &str) -> PyResult<(Vec<u8>, u32)> {
    let mut out = Vec::with_capacity(512);
    for (key, value) in fields.iter() {
        encode_entry(&key, &value, false, MAX_DEPTH, &mut out).map_err(|error| error.of(field))?;
    }
    Ok((out, fields.len() as u32))
}

/// The Python value of the msgpack that starts at the reader.
pub(crate) fn decode<'py>(py: Python<'py>, reader: &mut Reader<'_>) -> Result<Bound<'py, PyAny>, PyErr> {
    use rmp::Marker;
    let broken = |error: Malformed| invalid("record", "must be msgpack", error);
    match reader.marker().map_err(broken)? {
        Marker::Null => reader.skip().map(|()| py.None().into_bound(py)).map_err(broken),
        Marker::True | Marker::False => {
            let flag = reader.byte().map_err(broken)? == 0xc3;
            Ok(PyBool::new(py, flag).to_owned().into_any())
        }
        Marker::F32 | Marker::F64 => Ok(PyFloat::new(py, reader.number().map_err(broken)?).into_any()),
        Marker::U64 => {
            let bytes = reader.raw().map_err(broken)?;
            let number = bytes[1..].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            Ok(number.into_pyobject(py)?.into_any())
        }
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            Ok(PyString::new(py, reader.str().map_err(broken)?).into_any())
        }
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
            let list = PyList::empty(py);
            for _ in 0..reader.array().map_err(broken)? {
                list.append(decode(py, reader)?)?;
            }
            Ok(list.into_any())
        }
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
            let dict = PyDict::new(py);
            for _ in 0..reader.map().map_err(broken)? {
                let key = reader.str().map_err(broken)?;
                dict.set_item(key, decode(py, reader)?)?;
            }
            Ok(dict.into_any())
        }
        _ => Ok(reader.int().map_err(broken)?.into_pyobject(py)?.into_any()),
    }
}
