//! The class of an error message: the message without the parts that vary from one occurrence to the next.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::text::{TEXT_VERSION, TextVersion};

const CLASS_BYTES: usize = 96;
/// The bytes of a line that version 2 reads: more than the default limit of an observation, 10,000 characters.
const LINE_BYTES: usize = 64 << 10;

/// The class of an error message in the newest version: lower case; without quoted text, numbers, paths and ids;
/// without the leading "...error:" that most engines put before the message; at most 96 bytes. Two occurrences of the
/// same failure with other names have the same class. A message that leaves no word has the class "error".
///
/// # Examples
/// ```
/// use tacit_kernels::error_class::error_class;
/// assert_eq!(error_class("SQL error: no such table: orders"), "no such table");
/// ```
pub fn error_class(message: &str) -> String {
    error_class_in(TEXT_VERSION, message)
}

/// The class of an error message as this version makes it. Version 2 reads the NFKC form of the line, at most 64 KiB
/// of it; version 1 reads the line as it is.
pub fn error_class_in(version: TextVersion, message: &str) -> String {
    let line = deciding_line(message);
    let line = match version {
        TextVersion::V1 => Cow::Borrowed(line),
        TextVersion::V2 => normalised_start(line),
    };
    let unquoted = without_quotes(&line.to_lowercase(), &mut 0);
    let words: Vec<&str> = unquoted.split_whitespace().filter(|word| !varies(word)).collect();
    let class = clipped(without_name(without_label(&words)));
    if class.is_empty() { "error".into() } else { class }
}

/// The line that names the failure: the last one of a traceback, else the first with text.
fn deciding_line(message: &str) -> &str {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("");
    if first.starts_with("Traceback") { lines.next_back().unwrap_or(first) } else { first }
}

/// The first 64 KiB of the line's NFKC form. The limit falls in the same place however the line is spelt.
fn normalised_start(line: &str) -> Cow<'_, str> {
    if line.is_ascii() {
        return Cow::Borrowed(&line[..line.len().min(LINE_BYTES)]);
    }
    let mut start = String::with_capacity(line.len().min(LINE_BYTES));
    let mut normalised = line.nfkc();
    while let Some(c) = normalised.next().filter(|_| start.len() < LINE_BYTES) {
        start.push(c);
    }
    Cow::Owned(start)
}

/// The text with each quoted part replaced by a space. A quote inside a word is an apostrophe. `searched` grows by the
/// number of quotes looked at: at most twice those of the text.
fn without_quotes(text: &str, searched: &mut usize) -> String {
    let mut closing = ClosingQuotes { text, known: [Some(0); 3] };
    let (mut kept, mut done) = (String::with_capacity(text.len()), 0);
    for (at, quote) in text.match_indices(QUOTES) {
        *searched += 1;
        let opens = at >= done && !text[..at].ends_with(char::is_alphanumeric);
        if opens && let Some(end) = closing.from(at + 1, quote, searched) {
            kept.push_str(&text[done..at]);
            kept.push(' ');
            done = end + 1;
        }
    }
    kept.push_str(&text[done..]);
    kept
}

const QUOTES: [char; 3] = ['\'', '"', '`'];

/// The quotes of a text that may end a quoted part: those that no letter follows.
///
/// The places asked for ascend, so the last answer for each kind of quote is kept: the text is read once for each.
struct ClosingQuotes<'a> {
    text: &'a str,
    /// By kind of quote, the first closing one at or after the last place asked for; `None` means that none follows.
    /// A quoted part starts at 1 or later, so that 0 stands for "not searched yet".
    known: [Option<usize>; 3],
}

impl ClosingQuotes<'_> {
    /// The first closing quote of this kind at or after `place`.
    fn from(&mut self, place: usize, quote: &str, searched: &mut usize) -> Option<usize> {
        let kind = QUOTES.iter().position(|each| quote.starts_with(*each))?;
        if self.known[kind].is_some_and(|known| known < place) {
            let closes = |end: &usize| !self.text[end + 1..].starts_with(char::is_alphanumeric);
            let quotes = self.text[place..].match_indices(quote).map(|(after, _)| place + after);
            self.known[kind] = quotes.inspect(|_| *searched += 1).find(closes);
        }
        self.known[kind]
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert_eq!(error_class("timeout: connection refused"), "timeout connection refused");
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
        assert_eq!(error_class("404"), "error");
    }

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
                without_quotes(&text, &mut searched);
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
        let text = format!("{} disk full", "1 ".repeat(LINE_BYTES));
        assert_eq!(error_class_in(TextVersion::V1, &text), "disk full");
        assert_eq!(error_class(&text), "error");
    }

    proptest! {
        #[test]
        fn quotes_are_removed_as_by_the_simple_search(text in "['\"`ab é]{0,60}") {
            prop_assert_eq!(without_quotes(&text, &mut 0), without_quotes_by_search(&text));
        }

        #[test]
        fn both_versions_agree_on_ascii(message in "[ -~\n]{0,120}") {
            prop_assert_eq!(error_class(&message), error_class_in(TextVersion::V1, &message));
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
        fn the_name_in_quotes_does_not_matter(name in "[a-z]{1,12}", other in "[a-z]{1,12}") {
            prop_assert_eq!(
                error_class(&format!("Table '{name}' doesn't exist")),
                error_class(&format!("Table '{other}' doesn't exist"))
            );
        }
    }
}
