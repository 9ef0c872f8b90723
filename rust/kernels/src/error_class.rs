//! The class of an error message: the message without the parts that vary from one occurrence to the next.

mod json;
mod message;
mod quotes;
mod version1;
mod words;

use crate::text::{TEXT_VERSION, TextVersion, is_unspaced};
use words::{CLASS_BYTES, Word, stable_words};

/// The most words of a label that is passed: "error executing query:".
const LABEL_WORDS: usize = 6;

/// The class of an error message in the newest version: lower case; without quoted text, numbers, paths and ids;
/// without the leading "...error:" that most engines put before the message; at most 96 bytes. Two occurrences of the
/// same failure with other names have the same class. Short codes stay: HTTP 404 and HTTP 401 are two classes. A
/// message that leaves no word has the class "error".
///
/// A message in JSON is read for its message and code, a traceback at its end, and lines that only announce a failure
/// ("Exit code 1") are passed.
///
/// # Examples
/// ```
/// use tacit_kernels::error_class::error_class;
/// assert_eq!(error_class("SQL error: no such table: orders"), "no such table");
/// assert_eq!(error_class(r#"{"detail": "Not Found"}"#), "not found");
/// assert_eq!(error_class("Exit code 128\nfatal: not a git repository"), "not a git repository");
/// ```
pub fn error_class(message: &str) -> String {
    error_class_in(TEXT_VERSION, message)
}

/// The class of an error message as this version makes it. Versions 2 and 3 read the NFKC form of the message, at most
/// 64 KiB of a line; version 1 reads the first line, or the last of a traceback, as it is.
pub fn error_class_in(version: TextVersion, message: &str) -> String {
    let class = match version {
        TextVersion::V1 => version1::class(message),
        TextVersion::V2 | TextVersion::V3 => class(&version.normalised(message)),
    };
    if class.is_empty() { "error".into() } else { class }
}

/// The class of a normalised message from version 2 on. It may be empty.
fn class(message: &str) -> String {
    let line = message::saying_line(message);
    let unquoted = quotes::without_quotes(&line, &quotes::ALL, joins, &mut 0);
    let mut words = stable_words(&unquoted, false);
    if words.iter().all(|word| !word.is_code && word.announces()) {
        words = stable_words(&unquoted, true);
    }
    clipped(without_name(&without_small_segments(without_label(words))))
}

/// Returns true for a character that makes a quote behind it an apostrophe.
fn joins(c: char) -> bool {
    c.is_alphanumeric() && !is_unspaced(c)
}

/// The words behind the last label that names an error, with the codes before it. Before a label may stand one word,
/// as in "docker: error response from daemon:", or words that only announce.
fn without_label(words: Vec<Word>) -> Vec<Word> {
    let (mut start, mut segment) = (0, 0);
    for at in 0..words.len().saturating_sub(1) {
        if at - segment == LABEL_WORDS {
            break;
        }
        if !words[at].has_colon {
            continue;
        }
        let label = &words[segment..=at];
        if label.iter().any(Word::names_error) {
            start = at + 1;
        } else if label.len() > 1 && !label.iter().all(Word::announces) {
            break;
        }
        segment = at + 1;
    }
    words
        .into_iter()
        .enumerate()
        .filter(|(at, word)| *at >= start || word.is_code)
        .map(|(_, word)| word)
        .collect()
}

/// The words without names between colons: "foo:" in "bash: foo: command not found". A first word with a capital is a
/// label that stays ("ENOENT: no such file"); at least two words stay behind a word that goes.
fn without_small_segments(words: Vec<Word>) -> Vec<Word> {
    let last = words.len().saturating_sub(2);
    let mut starts = true;
    let mut kept = Vec::with_capacity(words.len());
    for (at, word) in words.into_iter().enumerate() {
        let is_name =
            starts && word.has_colon && !word.is_code && at < last && (word.is_small || !kept.is_empty());
        starts = word.has_colon;
        if !is_name {
            kept.push(word);
        }
    }
    kept
}

/// The words without a single last one behind a colon: the name in "no such table: orders".
fn without_name(words: &[Word]) -> &[Word] {
    match words {
        [kind @ .., before, name]
            if !kind.is_empty()
                && before.has_colon
                && !name.is_code
                && !name.text.starts_with(is_unspaced) =>
        {
            &words[..words.len() - 1]
        }
        _ => words,
    }
}

/// The first clause of at least three words, at most 96 bytes; a word that is longer alone is cut.
fn clipped(words: &[Word]) -> String {
    let mut class = String::new();
    for (count, word) in words.iter().enumerate() {
        let space = usize::from(count > 0);
        let room = CLASS_BYTES.saturating_sub(class.len() + space);
        if word.text.len() > room {
            if count == 0 || word.text.starts_with(is_unspaced) {
                let start = &word.text[..word.text.floor_char_boundary(room)];
                class.push_str(if space == 1 && !start.is_empty() { " " } else { "" });
                class.push_str(start);
            }
            break;
        }
        if count > 0 {
            class.push(' ');
        }
        class.push_str(&word.text);
        if word.ends_clause && count >= 2 {
            break;
        }
    }
    class
}

#[cfg(test)]
mod tests {
    use super::quotes::{ALL, STRAIGHT, without_quotes};
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    #[test]
    fn the_same_failure_with_other_names_has_one_class() {
        let expected = "table doesn't exist";
        assert_eq!(
            error_class("Error executing query: Table 'poker_player.results' doesn't exist"),
            expected
        );
        assert_eq!(error_class("Table `x` doesn't exist"), expected);
    }

    #[test]
    fn quoted_names_numbers_paths_and_ids_are_removed() {
        assert_eq!(
            error_class("Error executing query: Unknown column 'name' in 'field list'"),
            "unknown column in"
        );
        assert_eq!(
            error_class("Error: Payment method credit_card_7815826 not found"),
            "payment method not found"
        );
        assert_eq!(error_class("FileNotFoundError: /tmp/a/b.txt is missing"), "is missing");
        assert_eq!(
            error_class("Error: Payment amount does not add up, total price is 3834, but paid 569"),
            "payment amount does not add up total price is but paid"
        );
    }

    #[test]
    fn a_name_behind_the_last_colon_is_removed() {
        assert_eq!(error_class("no such table: orders"), "no such table");
        assert_eq!(error_class("no such column: t.amount"), "no such column");
        assert_eq!(error_class("timeout: connection refused"), "connection refused");
    }

    #[test]
    fn a_traceback_is_classed_by_its_last_line() {
        let message = "Traceback (most recent call last):\n  File \"x.py\", line 3\nValueError: invalid literal for int: 'x'";
        assert_eq!(error_class(message), "invalid literal for int");
    }

    #[test]
    fn a_long_message_is_classed_by_its_first_clause() {
        let message =
            "You have an error in your SQL syntax; check the manual that corresponds to your server";
        assert_eq!(error_class(message), "you have an error in your sql syntax");
    }

    #[test]
    fn a_message_without_words_is_of_the_class_error() {
        for message in ["", "   ", "'x'", "404", "…"] {
            assert!(!error_class(message).is_empty(), "{message:?}");
        }
        assert_eq!(error_class("17"), "error");
        assert_eq!(error_class_in(TextVersion::V1, "404"), "error");
    }

    const QUOTES: [char; 3] = ['\'', '"', '`'];

    /// The search for closing quotes as it was written first: simple, and quadratic in the quotes.
    fn without_quotes_by_search(text: &str) -> String {
        let mut kept = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(QUOTES) {
            let (quote, after) = (&rest[at..=at], &rest[at + 1..]);
            let opens = !rest[..at].ends_with(char::is_alphanumeric);
            let closes = |end: &usize| !after[end + 1..].starts_with(char::is_alphanumeric);
            match after.match_indices(quote).map(|(end, _)| end).find(closes) {
                Some(end) if opens => {
                    kept.push_str(&rest[..at]);
                    kept.push(' ');
                    rest = &after[end + 1..];
                }
                _ => {
                    kept.push_str(&rest[..=at]);
                    rest = after;
                }
            }
        }
        kept.push_str(rest);
        kept
    }

    #[test]
    fn the_quotes_looked_at_grow_with_the_text_and_not_with_its_square() {
        for shape in ["'a", "\"'`a", "'", "' 'a", "x'", "\"a'b`", " 'a \"b"] {
            for repeats in [100, 800] {
                let text = shape.repeat(repeats);
                let mut searched = 0;
                without_quotes(&text, &ALL, joins, &mut searched);
                let quotes = text.matches(QUOTES).count();
                assert!(searched <= 2 * quotes, "{shape:?} x {repeats}: {searched} of {quotes} quotes");
            }
        }
    }

    #[test]
    fn labels_without_end_do_not_exhaust_the_stack() {
        assert_eq!(error_class(&"error: ".repeat(9_000)), "error");
        assert_eq!(error_class_in(TextVersion::V1, &"error: ".repeat(1_000_000)), "error");
    }

    #[test]
    fn version_2_reads_at_most_64_kib_of_a_line() {
        let text = format!("{} disk full", "1 ".repeat(message::LINE_BYTES));
        assert_eq!(error_class_in(TextVersion::V1, &text), "disk full");
        assert_eq!(error_class(&text), "error");
    }

    proptest! {
        #[test]
        fn quotes_are_removed_as_by_the_simple_search(text in "['\"`ab é]{0,60}") {
            prop_assert_eq!(without_quotes(&text, &STRAIGHT, char::is_alphanumeric, &mut 0), without_quotes_by_search(&text));
        }

        #[test]
        fn the_spelling_of_a_message_in_unicode_does_not_matter(message in "\\PC{0,80}") {
            let decomposed: String = message.nfd().collect();
            prop_assert_eq!(error_class(&decomposed), error_class(&message));
        }

        #[test]
        fn any_text_has_a_short_class(message in "\\PC*") {
            let class = error_class(&message);
            prop_assert!(!class.is_empty() && class.len() <= CLASS_BYTES.max(5));
        }

        #[test]
        fn the_hash_of_a_redacted_text_does_not_matter(rule in "[a-z_]{2,12}", hash in "[0-9a-f]{8}|[a-f]{8}") {
            for before in ["remote rejected ", "remote rejected key=", "remote rejected key "] {
                let class = error_class(&format!("{before}[REDACTED:{rule}:{hash}] today"));
                prop_assert_eq!(class, error_class(&format!("{before}[REDACTED:{rule}:12345678] today")));
            }
        }

        #[test]
        fn the_name_in_quotes_does_not_matter(name in "[a-z]{1,12}", other in "[a-z]{1,12}") {
            prop_assert_eq!(
                error_class(&format!("Table '{name}' doesn't exist")),
                error_class(&format!("Table '{other}' doesn't exist"))
            );
        }
    }
}
