//! Writes a value of the guest as JSON, natively: nothing that the guest redefined takes part but its own getters.

use rquickjs::{Ctx, Filter, Function, Object, Value, atom::Atom, function::This, qjs};
use std::fmt::Write;
use std::slice;

/// A value that is nested deeper is refused, here and by the reader of the result.
pub(crate) const MAX_DEPTH: usize = 64;

/// The reason why a value has no JSON.
#[derive(Debug, PartialEq)]
pub(crate) enum Unfit {
    /// It is longer than the limit.
    TooLong,
    /// It holds something that JSON has no word for: the text says what.
    Holds(&'static str),
    /// The guest's code (a getter, a trap) threw, or the engine did; the exception is pending.
    Threw,
}

impl From<rquickjs::Error> for Unfit {
    fn from(_: rquickjs::Error) -> Self {
        Self::Threw
    }
}

/// The JSON of a value, of at most `limit` bytes. `toJSON` is not called; a `Date` is its ISO text.
pub(crate) fn to_json<'js>(
    value: &Value<'js>,
    natives: &Natives<'js>,
    limit: usize,
) -> Result<String, Unfit> {
    let mut writer = JsonWriter { natives, out: String::new(), limit, ancestors: Vec::new() };
    if !writer.write(value)? {
        writer.out.push_str("null");
    }
    writer.check_length()?;
    Ok(writer.out)
}

/// Methods of the engine, taken before the guest could redefine them.
#[derive(Clone)]
pub(crate) struct Natives<'js> {
    date_to_iso: Function<'js>,
    function_to_string: Function<'js>,
}

impl<'js> Natives<'js> {
    /// Takes them from a context in which no code of the guest has run.
    pub(crate) fn take(ctx: &Ctx<'js>) -> rquickjs::Result<Self> {
        Ok(Self {
            date_to_iso: ctx.eval("Date.prototype.toISOString")?,
            function_to_string: ctx.eval("Function.prototype.toString")?,
        })
    }

    pub(crate) fn source_of(&self, function: &Function<'js>) -> rquickjs::Result<String> {
        let text: Value = self.function_to_string.call((This(function.clone()),))?;
        text_within(&text, usize::MAX).map_err(|_| rquickjs::Error::Exception)
    }
}

struct JsonWriter<'a, 'js> {
    natives: &'a Natives<'js>,
    out: String,
    limit: usize,
    ancestors: Vec<Value<'js>>,
}

impl<'js> JsonWriter<'_, 'js> {
    /// Writes one value; `false` means that it is undefined, and nothing was written.
    fn write(&mut self, value: &Value<'js>) -> Result<bool, Unfit> {
        self.check_length()?;
        if value.is_undefined() {
            return Ok(false);
        }
        if value.is_null() {
            self.out.push_str("null");
        } else if let Some(truth) = value.as_bool() {
            self.out.push_str(if truth { "true" } else { "false" });
        } else if let Some(number) = value.as_number() {
            write_number(&mut self.out, number);
        } else if value.is_string() {
            let text = self.text(value)?;
            write_string(&mut self.out, &text);
        } else if value.is_function() {
            return Err(Unfit::Holds("a function"));
        } else if let Some(object) = value.as_object() {
            self.write_object(object)?;
        } else {
            return Err(Unfit::Holds("a symbol or a BigInt"));
        }
        Ok(true)
    }

    fn write_object(&mut self, object: &Object<'js>) -> Result<(), Unfit> {
        if self.ancestors.len() >= MAX_DEPTH {
            return Err(Unfit::Holds("more than 64 levels"));
        }
        if self.ancestors.contains(object.as_value()) {
            return Err(Unfit::Holds("itself"));
        }
        if object.as_value().is_promise() {
            return Err(Unfit::Holds("a promise"));
        }
        if let Some(date) = self.date_text(object)? {
            write_string(&mut self.out, &date);
            return Ok(());
        }
        self.ancestors.push(object.as_value().clone());
        if object.as_value().is_array() {
            self.write_items(object)?
        } else {
            self.write_members(object)?
        }
        self.ancestors.pop();
        Ok(())
    }

    fn write_items(&mut self, array: &Object<'js>) -> Result<(), Unfit> {
        let length = array.get::<_, Value>("length")?.as_number().unwrap_or(0.0);
        self.out.push('[');
        for at in 0..length as u32 {
            if at > 0 {
                self.out.push(',');
            }
            let item: Value = array.get(at)?;
            if !self.write(&item)? {
                self.out.push_str("null");
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn write_members(&mut self, object: &Object<'js>) -> Result<(), Unfit> {
        self.out.push('{');
        let mut is_first = true;
        for key in object.own_keys::<Atom>(Filter::new().string().enum_only()) {
            let key = key?;
            let before = self.out.len();
            if !is_first {
                self.out.push(',');
            }
            let name = self.text(&key.to_value()?)?;
            write_string(&mut self.out, &name);
            self.out.push(':');
            let member: Value = object.get(key)?;
            if self.write(&member)? {
                is_first = false;
            } else {
                self.out.truncate(before);
            }
        }
        self.out.push('}');
        Ok(())
    }

    /// The ISO text of a `Date`, by the engine's own method; `None` means that the object is no date.
    fn date_text(&self, object: &Object<'js>) -> Result<Option<String>, Unfit> {
        // SAFETY: the call reads the tag of a live value.
        if !unsafe { qjs::JS_IsDate(object.as_raw()) } {
            return Ok(None);
        }
        let text: Value = self.natives.date_to_iso.call((This(object.clone()),))?;
        self.text(&text).map(Some)
    }

    fn text(&self, value: &Value<'js>) -> Result<String, Unfit> {
        text_within(value, self.limit)
    }

    fn check_length(&self) -> Result<(), Unfit> {
        if self.out.len() > self.limit { Err(Unfit::TooLong) } else { Ok(()) }
    }
}

/// The text of a string of the guest, with lone surrogates replaced; a length beyond the limit is not copied.
pub(crate) fn text_within(value: &Value, limit: usize) -> Result<String, Unfit> {
    let ctx = value.ctx().as_raw();
    let mut length = 0;
    // SAFETY: the value is alive, and `length` is written before the call returns a text.
    let text = unsafe { qjs::JS_ToCStringLen2(ctx.as_ptr(), &mut length, value.as_raw(), false) };
    if text.is_null() {
        return Err(Unfit::Threw);
    }
    let length = length as usize;
    // SAFETY: the text is alive until it is freed, and has that length.
    let bytes = unsafe { slice::from_raw_parts(text.cast::<u8>(), length) };
    let copied =
        if length > limit { Err(Unfit::TooLong) } else { Ok(String::from_utf8_lossy(bytes).into_owned()) };
    // SAFETY: the text came from `JS_ToCStringLen2` of this context.
    unsafe { qjs::JS_FreeCString(ctx.as_ptr(), text) };
    copied
}

/// JSON has no word for infinity: it is null, as `JSON.stringify` writes it.
fn write_number(out: &mut String, number: f64) {
    let whole = number.trunc() == number && number.abs() < 1e15;
    let _ = match () {
        () if !number.is_finite() => write!(out, "null"),
        () if whole => write!(out, "{}", number as i64),
        () if (1e-6..1e21).contains(&number.abs()) => write!(out, "{number}"),
        () => write!(out, "{number:e}"),
    };
}

pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if (control as u32) < 0x20 || control == '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use rquickjs::{Context, Runtime};

    fn json_of(source: &str, limit: usize) -> Result<String, Unfit> {
        let context = Context::full(&Runtime::new().unwrap()).unwrap();
        context.with(|ctx| {
            let natives = Natives::take(&ctx).unwrap();
            let value: Value = ctx.eval(source).unwrap();
            to_json(&value, &natives, limit)
        })
    }

    #[test]
    fn values_are_written_as_json_has_them() {
        let cases = [
            ("[1, -0, 1.5, 1e21, 2e-7, 1 / 0, 2 ** 53]", "[1,0,1.5,1e21,2e-7,null,9007199254740992]"),
            ("({a: [undefined, null, true], b: undefined})", r#"{"a":[null,null,true]}"#),
            (r#"'"\\\n\u0000\ud800'"#, "\"\\\"\\\\\\u000a\\u0000\u{fffd}\u{fffd}\u{fffd}\""),
            ("({['__proto__']: 1, [Symbol()]: 2})", r#"{"__proto__":1}"#),
            ("new Date(0)", r#""1970-01-01T00:00:00.000Z""#),
            ("undefined", "null"),
        ];
        for (source, expected) in cases {
            assert_eq!(json_of(source, 1_000).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn values_that_json_lacks_are_refused_with_the_reason() {
        let cases = [
            ("1n", "a symbol or a BigInt"),
            ("[Symbol()]", "a symbol or a BigInt"),
            ("[() => 1]", "a function"),
            ("const a = []; a[0] = [a]; a", "itself"),
            ("let b = 1; for (let i = 0; i < 65; i++) b = [b]; b", "more than 64 levels"),
            ("Promise.resolve(1)", "a promise"),
        ];
        for (source, reason) in cases {
            assert_eq!(json_of(source, 1_000), Err(Unfit::Holds(reason)), "{source}");
        }
        assert_eq!(json_of("'x'.repeat(1_001)", 1_000), Err(Unfit::TooLong));
        assert_eq!(json_of("new Array(4294967295)", 1_000), Err(Unfit::TooLong));
    }

    #[test]
    fn redefined_methods_of_the_guest_take_no_part() {
        let source =
            "Object.prototype.toJSON = Date.prototype.toISOString = Date.prototype.toJSON = () => 'forged';
             Array.prototype.join = String.prototype.toString = () => 'forged'; [{a: 'b'}, new Date(0)]";
        assert_eq!(json_of(source, 1_000).unwrap(), r#"[{"a":"b"},"1970-01-01T00:00:00.000Z"]"#);
    }
}
