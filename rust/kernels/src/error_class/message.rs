//! The line of an error text that says what went wrong.

use std::borrow::Cow;

use super::json;
use super::words::{Word, stable_words};
use crate::text::TextVersion;

/// The bytes of a line that are read: more than the default limit of an observation, 10,000 characters.
pub(super) const LINE_BYTES: usize = 64 << 10;
const TRACEBACK: &str = "Traceback (most recent call last)";
/// A message in JSON may hold another one as text.
const MOST_NESTED: usize = 3;

/// The line that says what went wrong. Text in JSON is read for its message and code; lines that only announce are
/// passed, and a traceback is read at its end.
pub(super) fn saying_line(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..MOST_NESTED {
        let start = deciding_line(&text);
        let line = start_of(&text[start..]);
        let Some((at, said)) = json::said_in(&text[start..], line.len()) else { break };
        let said = TextVersion::V2.normalised(&said); // escapes may spell it otherwise
        let before = line[..at].trim_end();
        text = Cow::Owned(if before.is_empty() { said.into_owned() } else { format!("{before} {said}") });
    }
    let start = deciding_line(&text);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(start_of(&text[start..])),
        Cow::Owned(text) => Cow::Owned(start_of(&text[start..]).to_owned()),
    }
}

/// The text up to the end of its line, at most 64 KiB of it.
fn start_of(text: &str) -> &str {
    let line = text.lines().next().unwrap_or("");
    line[..line.floor_char_boundary(LINE_BYTES)].trim_end()
}

/// The offset of the line that says what went wrong: the last of a traceback; else the first that does not only
/// announce, if the first of all announces the first with a label that names an error; else the first with text.
fn deciding_line(text: &str) -> usize {
    let is_json = lines_of(text).next().is_some_and(|(_, line)| json::may_start(line));
    if let Some(header) = text.rfind(TRACEBACK).filter(|_| !is_json) {
        return end_of_traceback(text, header);
    }
    let (mut first, mut plain, mut announced) = (None, None, false);
    for (start, line) in lines_of(text) {
        first.get_or_insert(start);
        if line.starts_with("$ ") || line.starts_with("> ") || line.starts_with("```") {
            announced |= first == Some(start);
            continue;
        }
        let words =
            (!json::may_start(line) && !line.ends_with(['{', '['])).then(|| stable_words(line, false));
        if words.as_ref().is_some_and(|words| line.ends_with(':') || words.iter().all(Word::announces)) {
            announced |= first == Some(start);
            continue;
        }
        if !announced {
            return start;
        }
        plain.get_or_insert(start);
        if words.is_none_or(|words| has_error_label(&words)) {
            return start;
        }
    }
    plain.or(first).unwrap_or(0)
}

/// Returns true if text follows a label that names an error.
fn has_error_label(words: &[Word]) -> bool {
    let end = words.iter().take(6).position(|word| word.has_colon);
    end.is_some_and(|end| end + 1 < words.len() && words[..end + 1].iter().any(Word::names_error))
}

/// The offset and the start of each line with text, without the spaces around it.
fn lines_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = next + line.len() - line.trim_start().len();
        next += line.len();
        let line = start_of(line.trim_start());
        (!line.is_empty()).then_some((start, line))
    })
}

/// The offset of a traceback's message: the first line behind `header` that is not indented and starts with a name of
/// an error, else the last line; in a traceback of one line the last word with "Error:".
fn end_of_traceback(text: &str, header: usize) -> usize {
    let line = text[..header].rfind('\n').map_or(0, |end| end + 1);
    let indent = indent_of(&text[line..]);
    let behind = header + TRACEBACK.len();
    let Some(next) = text[behind..].find('\n').map(|end| behind + end + 1) else {
        return error_in_line(&text[behind..]).map_or(header, |at| behind + at);
    };
    let mut last = header;
    for (start, line) in lines_of(&text[next..]) {
        let start = next + start;
        let line_start = text[..start].rfind('\n').map_or(0, |end| end + 1);
        if start - line_start <= indent && names_exception(line) {
            return start;
        }
        last = start;
    }
    last
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Returns true for "ValueError: bad shape" and "package.Interrupted".
fn names_exception(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or(line);
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
}

fn error_in_line(line: &str) -> Option<usize> {
    let line = &line[..line.floor_char_boundary(LINE_BYTES)];
    let end = line.rfind("Error:").max(line.rfind("Exception:"))?;
    Some(line[..end].trim_end_matches(|c: char| c.is_alphanumeric() || c == '.' || c == '_').len())
}
