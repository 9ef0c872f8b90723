//! Error classes of version 1: as stores of before NFKC have them.

use super::quotes::{STRAIGHT, without_quotes};
use super::words::CLASS_BYTES;

/// The class of the message's deciding line, read as it is given. It may be empty.
pub(super) fn class(message: &str) -> String {
    let line = deciding_line(message).to_lowercase();
    let unquoted = without_quotes(&line, &STRAIGHT, char::is_alphanumeric, &mut 0);
    let words: Vec<&str> = unquoted.split_whitespace().filter(|word| !varies(word)).collect();
    clipped(without_name(without_label(&words)))
}

/// The line that names the failure: the last one of a traceback, else the first with text.
fn deciding_line(message: &str) -> &str {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("");
    if first.starts_with("Traceback") { lines.next_back().unwrap_or(first) } else { first }
}

/// Returns true if a word names one occurrence: it has a digit, or belongs to a path, an address or an identifier.
fn varies(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
    bare.is_empty()
        || bare.chars().any(|c| c.is_ascii_digit() || matches!(c, '/' | '\\' | '@' | '_' | '=' | '.'))
}

/// The words behind the last leading label that names an error ("error executing query:", "valueerror:").
fn without_label<'a, 'b>(mut words: &'b [&'a str]) -> &'b [&'a str] {
    let names_error = |word: &&str| word.contains("error") || word.contains("exception");
    while let Some(end) = words.iter().take(6).position(|word| word.ends_with(':')) {
        if end + 1 == words.len() || !words[..=end].iter().any(names_error) {
            break;
        }
        words = &words[end + 1..];
    }
    words
}

/// The words without a single last one behind a colon: the name in "no such table: orders".
fn without_name<'a, 'b>(words: &'b [&'a str]) -> &'b [&'a str] {
    match words {
        [kind @ .., before, _] if !kind.is_empty() && before.ends_with(':') => &words[..words.len() - 1],
        _ => words,
    }
}

fn clipped(words: &[&str]) -> String {
    let mut class = String::new();
    for word in words {
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
        if class.len() + bare.len() + 1 > CLASS_BYTES {
            break;
        }
        if !class.is_empty() {
            class.push(' ');
        }
        class.push_str(bare);
        if word.ends_with([';', '.']) && class.split(' ').count() >= 3 {
            break;
        }
    }
    class
}
