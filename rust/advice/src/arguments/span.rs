//! The pieces of a text that may be someone's argument: words that look like data, quoted phrases, runs of words.

use super::hash::{self, mix};

/// Words of a task that are looked at.
const MOST_WORDS: usize = 256;
/// Words in the longest run that counts as one piece of a task.
const LONGEST_RUN: usize = 4;
/// Pieces that are taken from one result.
const MOST_PIECES: usize = 64;
/// Bytes of the longest quoted phrase.
const LONGEST_QUOTE: usize = 96;

struct TextWord<'t> {
    text: &'t str,
    start: usize,
    end: usize,
    shape: u64,
    /// Set if punctuation follows: no run of words crosses it.
    is_last: bool,
}

/// Visits every run of up to four words, and every quoted phrase, of a task: the piece, its shape and the word before.
pub(super) fn of_task(text: &str, mut visit: impl FnMut(&str, u64, u64)) {
    let words: Vec<TextWord<'_>> = words(text).take(MOST_WORDS).collect();
    for start in 0..words.len() {
        let before = start.checked_sub(1).map_or(0, |place| word_before(words[place].text));
        let mut shape = 0;
        for word in &words[start..(start + LONGEST_RUN).min(words.len())] {
            shape = mix(shape, word.shape);
            visit(&text[words[start].start..word.end], shape, before);
            if word.is_last {
                break;
            }
        }
    }
    quotes(text, &mut visit);
}

/// Visits the pieces of any other text that look like data, and its quoted phrases.
pub(super) fn of_text(text: &str, mut visit: impl FnMut(&str, u64, u64)) {
    let mut before = 0;
    let salient = words(text).filter_map(|word| {
        let behind = std::mem::replace(&mut before, word_before(word.text));
        looks_like_data(word.text).then_some((word, behind))
    });
    for (word, before) in salient.take(MOST_PIECES) {
        visit(word.text, mix(0, word.shape), before);
    }
    quotes(text, &mut visit);
}

fn words(text: &str) -> impl Iterator<Item = TextWord<'_>> {
    text.split_whitespace().filter_map(move |piece| {
        let word = trim(piece);
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        let is_last = !piece.ends_with(word);
        (!word.is_empty()).then(|| TextWord {
            text: word,
            start,
            end: start + word.len(),
            shape: shape(word),
            is_last,
        })
    })
}

/// The word without the punctuation around it; signs that belong to names and amounts stay in front.
fn trim(piece: &str) -> &str {
    let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
    word.trim_start_matches(|c: char| {
        !c.is_alphanumeric() && !matches!(c, '#' | '/' | '.' | '_' | '-' | '@' | '~')
    })
}

fn word_before(word: &str) -> u64 {
    let lower = word.trim_end_matches(':').to_lowercase();
    hash::text(&lower)
}

fn looks_like_data(word: &str) -> bool {
    let inner = word.get(1..).unwrap_or_default();
    word.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'/' | b'@' | b'#'))
        || inner.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'.')
}

fn quotes(text: &str, visit: &mut impl FnMut(&str, u64, u64)) {
    for mark in ['"', '\'', '`'] {
        let inner = text.split(mark).skip(1).step_by(2).filter(|quote| is_phrase(quote));
        for quote in inner.take(MOST_PIECES / 2) {
            visit(quote, QUOTED, QUOTED);
        }
    }
}

const QUOTED: u64 = 7;

fn is_phrase(quote: &str) -> bool {
    !quote.is_empty() && quote.len() <= LONGEST_QUOTE && quote.trim() == quote && !quote.contains('\n')
}

/// The shape of a word: runs of capitals, small letters and digits, and the signs between them.
pub(super) fn shape(word: &str) -> u64 {
    let (mut shape, mut last) = (0, '\0');
    for c in word.chars() {
        let class = class_of(c);
        if class != last {
            shape = mix(shape, u64::from(class));
            last = class;
        }
    }
    shape
}

/// The makeup of a value, coarser than its shape: kinds of characters and length.
pub(super) fn build(value: &str) -> u64 {
    let kinds = value.chars().fold(0_u64, |kinds, c| {
        kinds
            | match class_of(c) {
                '0' => 1,
                'A' => 2,
                'a' => 4,
                ' ' => 8,
                _ => 16,
            }
    });
    kinds << 8 | value.len().min(24) as u64
}

fn class_of(c: char) -> char {
    match c {
        c if c.is_numeric() => '0',
        c if c.is_uppercase() => 'A',
        c if c.is_alphabetic() => 'a',
        c => c,
    }
}
