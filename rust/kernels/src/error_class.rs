//! What kind of error a message tells of: the message without what varies from one occurrence to the next.

const CLASS_BYTES: usize = 96;

/// The class of an error message: lower case; quoted text, numbers, paths and ids removed; without the leading
/// "...error:" that most engines put before what they have to say; at most 96 bytes. Two occurrences of the same
/// trouble with other names have the same class. A message that leaves nothing is of the class "error".
pub fn error_class(message: &str) -> String {
    let line = telling_line(message);
    let unquoted = without_quotes(&line.to_lowercase());
    let words: Vec<&str> = unquoted.split_whitespace().filter(|word| !varies(word)).collect();
    let class = clipped(without_name(without_label(&words)));
    if class.is_empty() { "error".into() } else { class }
}

/// The line that says what went wrong: the last one of a traceback, else the first with text.
fn telling_line(message: &str) -> &str {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("");
    if first.starts_with("Traceback") { lines.next_back().unwrap_or(first) } else { first }
}

/// The text with each quoted part taken out. A quote inside a word is an apostrophe.
fn without_quotes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '"', '`']) {
        let quote = rest[at..].chars().next().unwrap_or('"');
        let after = &rest[at + 1..];
        let opens = !rest[..at].ends_with(char::is_alphanumeric);
        match (opens, closing(after, quote)) {
            (true, Some(end)) => {
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

/// Where the quoted text ends: at a quote that no letter follows.
fn closing(text: &str, quote: char) -> Option<usize> {
    text.match_indices(quote).map(|(at, _)| at).find(|at| !text[at + 1..].starts_with(char::is_alphanumeric))
}

/// Whether a word names one occurrence rather than a kind: it has a digit, a path, an address or an underscore.
fn varies(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
    bare.is_empty()
        || bare.chars().any(|c| c.is_ascii_digit() || matches!(c, '/' | '\\' | '@' | '_' | '=' | '.'))
}

/// The words behind the last leading label that speaks of an error ("error executing query:", "valueerror:").
fn without_label<'a, 'b>(words: &'b [&'a str]) -> &'b [&'a str] {
    let speaks_of_error =
        |words: &[&str]| words.iter().any(|w| w.contains("error") || w.contains("exception"));
    let label_end = words.iter().take(6).position(|word| word.ends_with(':'));
    match label_end {
        Some(end) if end + 1 < words.len() && speaks_of_error(&words[..=end]) => {
            without_label(&words[end + 1..])
        }
        _ => words,
    }
}

/// The words without a single last one behind a colon: what "no such table: orders" names.
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
    fn the_same_trouble_with_other_names_has_one_class() {
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

    proptest! {
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
