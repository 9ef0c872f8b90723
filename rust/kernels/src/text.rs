//! Text to words, word stems and character grams. The same text gives the same terms on every machine.
//!
//! The functions that read an agent's text carry a version, because facts depend on it:
//!
//! | version | words | error classes and stated conditions |
//! |---|---|---|
//! | 1 | cut from the text as it is given | made of the message as it is given |
//! | 2 | cut from the text's NFKC form | made of the NFKC form of the message, with short codes, text in JSON and the ends of tracebacks |
//! | 3 | as 2, with short names ("C", "C++", "F#"), symbols and emoji | as 2 |
//!
//! Version 3 also reads which calls of an episode were made in one batch: see `Trajectory::batches`.
//!
//! NFKC (Unicode Standard Annex 15) gives one spelling to texts that look alike: composed and decomposed Hangul,
//! full-width and ordinary Latin. ASCII text is its own NFKC form, so versions 1 and 2 cut the same words of it. Every function
//! takes time in proportion to the text's length, in every version.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// English words that carry grammar rather than a subject, sorted.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "before", "being", "between", "both", "but", "by", "can", "could", "did", "do", "does", "doing",
    "each", "for", "from", "had", "has", "have", "having", "he", "her", "here", "hers", "him", "his", "how",
    "i", "if", "in", "into", "is", "it", "its", "just", "may", "me", "might", "more", "most", "must", "my",
    "no", "nor", "not", "now", "of", "off", "on", "only", "or", "other", "our", "out", "over", "own", "same",
    "shall", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them", "then", "there",
    "these", "they", "this", "those", "through", "to", "too", "under", "until", "up", "us", "very", "was",
    "we", "were", "what", "when", "where", "which", "while", "who", "whom", "whose", "why", "will", "with",
    "would", "you", "your", "yours",
];

/// A version of the functions that read an agent's text. The module's table says how they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextVersion {
    /// Text as it is given: stores that were written before NFKC.
    V1 = 1,
    /// Text in its NFKC form.
    V2 = 2,
    /// The same with short names, symbols and emoji as words; calls of one batch have no order.
    #[default]
    V3 = 3,
}

/// The version that new episodes are learned in.
pub const TEXT_VERSION: TextVersion = TextVersion::V3;

impl TextVersion {
    /// The version of this number; `None` means that there is no such version.
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::V1, Self::V2, Self::V3].into_iter().find(|version| version.number() == number)
    }

    /// The number that facts are labelled with.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The text in the form that this version reads: as it is, or its NFKC form.
    ///
    /// # Examples
    /// ```
    /// use tacit_kernels::text::TextVersion;
    /// assert_eq!(TextVersion::V2.normalised("ｏｒｄｅｒ １７"), "order 17");
    /// assert_eq!(TextVersion::V1.normalised("ｏｒｄｅｒ １７"), "ｏｒｄｅｒ １７");
    /// ```
    pub fn normalised(self, text: &str) -> Cow<'_, str> {
        if self == Self::V1 || text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(text.nfkc().collect())
        }
    }
}

/// Returns true if the word (lower case) carries grammar rather than a subject.
pub fn is_function_word(word: &str) -> bool {
    word.len() <= 7 && FUNCTION_WORDS.binary_search(&word).is_ok()
}

/// Visits every word of the text in lower case, as the newest version cuts it. A camelCase or snake_case name is
/// visited whole and then part by part; scripts that are written without spaces are visited as pairs of characters;
/// single Latin letters are not words, but for a capital that stands alone ("R") and a letter with a sign ("c++", "F#").
/// Each symbol and emoji is a word.
///
/// # Examples
/// ```
/// let mut words = Vec::new();
/// tacit_kernels::text::words("getOrder 17", |word| words.push(word.to_owned()));
/// assert_eq!(words, ["getorder", "get", "order", "17"]);
/// ```
pub fn words(text: &str, visit: impl FnMut(&str)) {
    words_in(TEXT_VERSION, text, visit);
}

/// Visits every word of the text as this version cuts it. `words` says how a text is cut.
pub fn words_in(version: TextVersion, text: &str, mut visit: impl FnMut(&str)) {
    let mut lower = String::new();
    let text = version.normalised(text);
    let mut rest: &str = &text;
    let mut before = ' ';
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_word_character(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let short = if version >= TextVersion::V3 { short_name(before, name, after) } else { None };
        if let Some(length) = short {
            lower.clear();
            lower.push_str(&rest[..length]);
            lower.make_ascii_lowercase();
            visit(&lower);
        } else if let name = name.trim_matches('_')
            && !name.is_empty()
        {
            visit_name(name, &mut lower, &mut visit);
        }
        rest = &rest[short.unwrap_or(end)..];
        let Some(separator) = rest.chars().next() else { break };
        if version >= TextVersion::V3 && is_symbol(separator) {
            visit(separator.encode_utf8(&mut [0; 4]));
        }
        rest = &rest[separator.len_utf8()..];
        before = separator;
    }
}

/// The length of a short name that begins with `name`, a single letter: with its sign ("C++", "c#"), or a capital that
/// stands alone and is no English word. A letter behind an apostrophe is no name.
fn short_name(before: char, name: &str, after: &str) -> Option<usize> {
    let [letter] = name.as_bytes() else { return None };
    if !letter.is_ascii_alphabetic() || matches!(before, '\'' | '\u{2019}') {
        return None;
    }
    let sign = if after.starts_with("++") { 2 } else { usize::from(after.starts_with('#')) };
    let ends = !after[sign..].starts_with(is_word_character);
    if sign > 0 && ends {
        return Some(1 + sign);
    }
    (letter.is_ascii_uppercase() && !matches!(letter, b'A' | b'I')).then_some(1)
}

/// Returns true for a symbol with a meaning of its own: currencies, arrows, mathematics, pictures and emoji.
fn is_symbol(c: char) -> bool {
    matches!(u32::from(c),
        0x20A0..=0x20CF | 0x2190..=0x23FF | 0x2600..=0x27BF | 0x2900..=0x297F | 0x2B00..=0x2BFF
        | 0x1F1E6..=0x1F1FF | 0x1F300..=0x1F3FA | 0x1F400..=0x1FAFF)
}

fn is_word_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (!c.is_ascii() && c.is_alphanumeric())
}

fn visit_name(name: &str, lower: &mut String, visit: &mut impl FnMut(&str)) {
    let first = next_part(name);
    if first.len() == name.len() {
        return visit_part(name, lower, visit);
    }
    visit_lower(name, lower, visit);
    let mut rest = name;
    while !rest.is_empty() {
        let part = next_part(rest);
        rest = rest[part.len()..].trim_start_matches('_');
        visit_part(part, lower, visit);
    }
}

fn visit_part(part: &str, lower: &mut String, visit: &mut impl FnMut(&str)) {
    if part.chars().next().is_some_and(is_unspaced) {
        visit_pairs(part, visit);
    } else {
        visit_lower(part, lower, visit);
    }
}

fn visit_lower(word: &str, lower: &mut String, visit: &mut impl FnMut(&str)) {
    if word.len() == 1 && word.as_bytes()[0].is_ascii_alphabetic() {
        return;
    }
    lower.clear();
    if word.is_ascii() {
        lower.push_str(word);
        lower.make_ascii_lowercase();
    } else {
        lower.extend(word.chars().flat_map(char::to_lowercase));
    }
    visit(lower);
}

fn visit_pairs(part: &str, visit: &mut impl FnMut(&str)) {
    let starts: Vec<usize> = part.char_indices().map(|(at, _)| at).chain([part.len()]).collect();
    match starts.len() {
        2 => visit(part),
        _ => starts.windows(3).for_each(|edge| visit(&part[edge[0]..edge[2]])),
    }
}

/// The longest prefix of `name` that is one part of it: never empty for a name that starts with no underscore.
fn next_part(name: &str) -> &str {
    let mut before = ' ';
    let mut characters = name.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let after = characters.peek().map_or(' ', |&(_, next)| next);
        if at > 0 && starts_part(before, c, after) {
            return &name[..at];
        }
        before = c;
    }
    name
}

fn starts_part(before: char, c: char, after: char) -> bool {
    c == '_'
        || (c.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && after.is_lowercase())))
        || is_unspaced(before) != is_unspaced(c)
}

/// Returns true for the characters of scripts that put no space between words.
pub fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

/// The part of a lower-case word that its English inflections share: plural, -ed, -ing and a last e or y are cut.
///
/// # Examples
/// ```
/// use tacit_kernels::text::stem;
/// assert_eq!(stem("planned"), stem("plans"));
/// ```
pub fn stem(word: &str) -> &str {
    if !word.is_ascii() || word.len() < 4 {
        return word;
    }
    let singular = cut_plural(word);
    let root = cut_participle(singular);
    match root.as_bytes() {
        [.., b'e' | b'y'] if root.len() > 4 => &root[..root.len() - 1],
        _ => root,
    }
}

fn cut_plural(word: &str) -> &str {
    match word.as_bytes() {
        [.., b's', b's'] | [.., b'u', b's'] | [.., b'i', b's'] => word,
        [.., b'i', b'e', b's'] if word.len() > 4 => &word[..word.len() - 2],
        [.., b's' | b'x' | b'z', b'e', b's'] | [.., b'c' | b's', b'h', b'e', b's'] if word.len() > 4 => {
            &word[..word.len() - 2]
        }
        [.., b's'] => &word[..word.len() - 1],
        _ => word,
    }
}

fn cut_participle(word: &str) -> &str {
    let root = match word.as_bytes() {
        [.., b'i', b'n', b'g'] if word.len() > 5 => &word[..word.len() - 3],
        [.., b'e', b'd'] if word.len() > 4 => &word[..word.len() - 2],
        [.., b'i'] if word.len() > 3 => return &word[..word.len() - 1],
        _ => return word,
    };
    match root.as_bytes() {
        [.., a, b] if a == b && root.len() > 3 && !matches!(b, b'l' | b's' | b'z' | b'e' | b'o') => {
            &root[..root.len() - 1]
        }
        _ => root,
    }
}

/// The hash of a word's stem.
pub fn term(word: &str) -> u64 {
    xxh3_64_with_seed(stem(word).as_bytes(), 0)
}

/// A buffer for one word with its edges marked; it is used again for every word.
#[derive(Default)]
pub struct Marked {
    text: String,
    starts: Vec<u32>,
}

impl Marked {
    /// Puts the word between edge marks that no word contains.
    pub fn set(&mut self, word: &str) {
        self.text.clear();
        self.text.push('<');
        self.text.push_str(word);
        self.text.push('>');
        self.starts.clear();
        self.starts.extend(self.text.char_indices().map(|(at, _)| at as u32));
        self.starts.push(self.text.len() as u32);
    }

    /// Visits the hash of every run of `length` characters.
    pub fn grams(&self, length: usize, mut visit: impl FnMut(u64)) {
        for edge in self.starts.windows(length + 1) {
            let gram = &self.text.as_bytes()[edge[0] as usize..edge[length] as usize];
            visit(xxh3_64_with_seed(gram, 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words_of(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        words(text, |word| found.push(word.to_owned()));
        found
    }

    #[test]
    fn a_name_is_visited_whole_and_in_parts() {
        assert_eq!(words_of("getUserName"), ["getusername", "get", "user", "name"]);
        assert_eq!(words_of("_get_order_17_"), ["get_order_17", "get", "order", "17"]);
        assert_eq!(words_of("XMLParser HAT039"), ["xmlparser", "xml", "parser", "hat039"]);
    }

    #[test]
    fn punctuation_and_single_letters_separate_words() {
        assert_eq!(words_of("Don't panic: plan x, 5 steps"), ["don", "panic", "plan", "5", "steps"]);
        assert_eq!(words_of("A DON'T is what I see"), ["don", "is", "what", "see"]);
    }

    #[test]
    fn short_names_symbols_and_emoji_are_words() {
        assert_eq!(words_of("Port C to C++, c# or R"), ["port", "c", "to", "c++", "c#", "or", "r"]);
        assert_eq!(words_of("x_C issue#4"), ["x_c", "issue", "4"]);
        assert_eq!(words_of("5 €→🚀🇯🇵"), ["5", "€", "→", "🚀", "🇯", "🇵"]);
        assert_eq!(words_of_version(TextVersion::V2, "C++ € 🚀"), Vec::<String>::new());
    }

    #[test]
    fn unspaced_scripts_become_pairs_of_characters() {
        assert_eq!(words_of("取消订单 a"), ["取消", "消订", "订单"]);
        assert_eq!(words_of("単"), ["単"]);
        assert_eq!(words_of("ÉTUDE straße"), ["étude", "straße"]);
    }

    #[test]
    fn inflections_share_a_stem() {
        for family in [
            &["cancel", "cancels", "canceling", "canceled"][..],
            &["query", "queries"],
            &["plan", "plans", "planned", "planning"],
            &["change", "changes", "changed", "changing"],
            &["box", "boxes"],
            &["match", "matches", "matched"],
        ] {
            let stems: Vec<&str> = family.iter().map(|word| stem(word)).collect();
            assert!(stems.iter().all(|other| *other == stems[0]), "{stems:?}");
        }
        assert_eq!(
            [stem("status"), stem("class"), stem("this"), stem("bus")],
            ["status", "class", "this", "bus"]
        );
    }

    #[test]
    fn function_words_are_sorted_so_that_each_is_found() {
        assert!(FUNCTION_WORDS.is_sorted());
        assert!(FUNCTION_WORDS.iter().all(|word| is_function_word(word)));
        assert!(!is_function_word("refund"));
    }

    #[test]
    fn terms_and_grams_are_the_same_on_every_machine() {
        assert_eq!(term("refunds"), 14_947_718_895_837_224_145);
        let mut marked = Marked::default();
        marked.set("né");
        let mut grams = Vec::new();
        marked.grams(3, |gram| grams.push(gram));
        assert_eq!(grams.len(), 2);
    }

    fn words_of_version(version: TextVersion, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        words_in(version, text, |word| found.push(word.to_owned()));
        found
    }

    #[test]
    fn version_1_cuts_text_as_it_is_given() {
        let decomposed: String = "환불".nfd().collect();
        assert_ne!(words_of_version(TextVersion::V1, &decomposed), words_of_version(TextVersion::V1, "환불"));
        assert_eq!(words_of_version(TextVersion::V1, "ｏｒｄｅｒ"), ["ｏｒｄｅｒ"]);
    }

    #[test]
    fn version_2_gives_full_width_latin_the_words_of_ordinary_latin() {
        assert_eq!(words_of("ＧｅｔＯｒｄｅｒ １７"), words_of("GetOrder 17"));
        assert_eq!(words_of("ﾃﾚﾋﾞ"), words_of("テレビ"));
    }

    #[test]
    fn each_version_is_found_by_its_number() {
        assert_eq!(TextVersion::from_number(1), Some(TextVersion::V1));
        assert_eq!(TextVersion::from_number(2), Some(TextVersion::V2));
        assert_eq!(TextVersion::from_number(3), Some(TEXT_VERSION));
        assert_eq!(TextVersion::from_number(4), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_and_words_are_lower_case(text in ".{0,200}") {
            for word in words_of(&text) {
                prop_assert!(!word.is_empty());
                prop_assert_eq!(&word.chars().flat_map(char::to_lowercase).collect::<String>(), &word);
                prop_assert!(word.starts_with(stem(&word)));
            }
        }

        #[test]
        fn the_spelling_of_a_text_in_unicode_changes_no_word(text in ".{0,120}") {
            let expected = words_of(&text);
            for spelling in [text.nfc().collect::<String>(), text.nfd().collect(), text.nfkd().collect()] {
                prop_assert_eq!(&words_of(&spelling), &expected);
            }
        }

        #[test]
        fn versions_1_and_2_agree_on_ascii(text in "[ -~]{0,120}") {
            prop_assert_eq!(words_of_version(TextVersion::V1, &text), words_of_version(TextVersion::V2, &text));
        }
    }
}
