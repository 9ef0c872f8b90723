//! Texts as sequences of words by number.

use rustc_hash::FxHashMap;
use tacit_kernels::msgpack::{Reader, Result};
use tacit_kernels::text::{is_function_word, is_unspaced};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A word in lower case, by number. Bit 0 marks a function word, bit 1 the name of a parameter.
pub(super) type Token = u32;
/// The end of a sentence, or of a line.
pub(super) const END: Token = 0;
/// A comma or colon, which counts as a function word.
pub(super) const COMMA: Token = 5;
const FUNCTION: Token = 1;
const NAME: Token = 2;
/// Tokens of the longest text that is read; the middle of a longer one is left out.
const MOST_TOKENS: usize = 400;
/// Characters of the longest text that is read.
const MOST_BYTES: usize = 8_000;
/// Values of one map that are read.
const MOST_VALUES: usize = 200;

pub(super) fn is_content(token: Token) -> bool {
    token != END && token & (FUNCTION | NAME) == 0
}

/// Returns true for the name of a parameter or of a tool with parameters: it is part of an action's form.
pub(super) fn is_name(token: Token) -> bool {
    token & NAME != 0
}

/// A number from numbers; the order matters.
pub(super) fn mix(parts: &[u64]) -> u64 {
    let fold = |state: u64, part: &u64| {
        let product =
            u128::from(state ^ *part) * u128::from(0x9e37_79b9_7f4a_7c15_u64 ^ part.rotate_left(23));
        (product as u64) ^ ((product >> 64) as u64) ^ state.rotate_left(17)
    };
    parts.iter().fold(0x51_7c_c1_b7_27_22_0a_95, fold)
}

/// A number for a sequence of words.
pub(super) fn hash(tokens: &[Token]) -> u64 {
    tokens.iter().fold(7, |state, token| mix(&[state, u64::from(*token)]))
}

/// The name of a parameter or tool as a token.
pub(super) fn name(text: &str) -> Token {
    (xxh3_64_with_seed(text.as_bytes(), 29) as u32) & !FUNCTION | NAME
}

fn word(text: &str) -> Token {
    let token = (xxh3_64_with_seed(text.as_bytes(), 23) as u32 & !(FUNCTION | NAME)).max(8);
    token | u32::from(is_function_word(text))
}

/// Appends the words of a text. A full stop, a line break or the end of the text ends a sentence.
pub(super) fn read_text(text: &str, into: &mut Vec<Token>) {
    let mut lower = String::new();
    cut(text, |cut| match cut {
        Cut::Word(text) => into.push(word(lowered(text, &mut lower))),
        Cut::Comma => into.push(COMMA),
        Cut::End if into.last().is_some_and(|last| *last != END) => into.push(END),
        Cut::End => {}
    });
}

/// Notes how each word of a text is spelled, the first spelling of each.
pub(super) fn note_spelling(text: &str, into: &mut FxHashMap<Token, String>) {
    let mut lower = String::new();
    cut(text, |cut| {
        if let Cut::Word(text) = cut {
            into.entry(word(lowered(text, &mut lower))).or_insert_with(|| text.to_owned());
        }
    });
}

fn lowered<'l>(text: &str, lower: &'l mut String) -> &'l str {
    lower.clear();
    lower.extend(text.chars().flat_map(char::to_lowercase));
    lower
}

enum Cut<'t> {
    Word(&'t str),
    Comma,
    End,
}

/// Visits the words of a text, its commas and the ends of its sentences.
fn cut<'t>(text: &'t str, mut visit: impl FnMut(Cut<'t>)) {
    let text = &text[..text.floor_char_boundary(MOST_BYTES)];
    let mut start = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let after = characters.peek().map_or(' ', |next| next.1);
        let joins = start.is_some() && matches!(c, '-' | '\'' | '.') && after.is_alphanumeric();
        if !is_unspaced(c) && (c.is_alphanumeric() || c == '_' || joins) {
            start.get_or_insert(at);
            continue;
        }
        if let Some(start) = start.take() {
            visit(Cut::Word(&text[start..at]));
        }
        match c {
            _ if is_unspaced(c) => visit(Cut::Word(&text[at..at + c.len_utf8()])),
            ',' | ':' => visit(Cut::Comma),
            '\n' | '.' | '!' | '?' | ';' => visit(Cut::End),
            _ => {}
        }
    }
    if let Some(start) = start {
        visit(Cut::Word(&text[start..]));
    }
    visit(Cut::End);
}

/// The words of a msgpack value; a map or list is read as lines of name and value.
pub(super) fn value_tokens(value: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    if !value.is_empty() {
        let mut values = 0;
        let _ = visit_values(&mut Reader::new(value), "", &mut |path, text| {
            values += 1;
            if values <= MOST_VALUES {
                read_text(path, &mut tokens);
                if tokens.last() == Some(&END) && !path.is_empty() {
                    tokens.pop();
                }
                read_text(text, &mut tokens);
            }
        });
    }
    shorten(&mut tokens);
    tokens
}

/// Leaves the beginning and the end of a long text.
pub(super) fn shorten(tokens: &mut Vec<Token>) {
    if tokens.len() > MOST_TOKENS {
        let tail = MOST_TOKENS / 4;
        tokens.drain(MOST_TOKENS - tail..tokens.len() - tail);
    }
}

/// Visits every scalar inside a msgpack value with the names on the way to it.
pub(super) fn visit_values(
    reader: &mut Reader<'_>,
    path: &str,
    visit: &mut impl FnMut(&str, &str),
) -> Result<()> {
    use rmp::Marker;
    match reader.marker()? {
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
            for _ in 0..reader.map()? {
                let key = reader.str()?;
                let inner = if path.is_empty() { key.to_owned() } else { format!("{path} {key}") };
                visit_values(reader, &inner, visit)?;
            }
        }
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
            for _ in 0..reader.array()? {
                visit_values(reader, path, visit)?;
            }
        }
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => visit(path, reader.str()?),
        Marker::True => skip_as(reader, path, "true", visit)?,
        Marker::False => skip_as(reader, path, "false", visit)?,
        Marker::Null => reader.skip()?,
        Marker::F32 | Marker::F64 => visit(path, &reader.number()?.to_string()),
        Marker::U64 => visit(path, &format!("{}", reader.number()?)),
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => reader.skip()?,
        _ => visit(path, &reader.int()?.to_string()),
    }
    Ok(())
}

fn skip_as(
    reader: &mut Reader<'_>,
    path: &str,
    text: &str,
    visit: &mut impl FnMut(&str, &str),
) -> Result<()> {
    reader.skip()?;
    visit(path, text);
    Ok(())
}

/// The entries of a state: a text has one without a name.
pub(super) fn state_entries(state: &[u8]) -> Vec<(u32, Vec<Token>)> {
    let mut entries: Vec<(u32, Vec<Token>)> = Vec::new();
    if state.is_empty() {
        return entries;
    }
    let mut reader = Reader::new(state);
    let Ok(count) = reader.clone().map() else {
        return Some(value_tokens(state))
            .filter(|tokens| !tokens.is_empty())
            .map(|tokens| (0, tokens))
            .into_iter()
            .collect();
    };
    let _ = reader.map();
    for _ in 0..count {
        let (Ok(key), Ok(raw)) = (reader.str(), reader.raw()) else { break };
        if entries.len() < MOST_ENTRIES {
            entries.push((name(key), value_tokens(raw)));
        }
    }
    entries.sort_unstable_by_key(|entry| entry.0);
    entries
}

/// Entries of a state that are read.
const MOST_ENTRIES: usize = 6;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::situations) fn read(text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        read_text(text, &mut tokens);
        tokens
    }

    #[test]
    fn a_text_is_cut_at_full_stops_and_lines_and_quotes_are_no_letters() {
        let tokens = read("Simon says, 'eat banana'.\nTake 1.5 yellow-onions");
        assert_eq!(tokens.iter().filter(|token| **token == END).count(), 2);
        assert!(tokens.starts_with(&read("simon SAYS, eat banana")));
        assert_eq!(read("1.5 yellow-onions").len(), 3);
        assert!(!is_content(read("the")[0]) && is_content(read("banana")[0]));
    }

    #[test]
    fn scripts_without_spaces_are_cut_into_characters() {
        assert_eq!(read("取消a").len(), 4);
    }

    #[test]
    fn a_state_is_one_text_or_a_text_of_each_name() {
        let mut text = Vec::new();
        rmp::encode::write_str(&mut text, "You see a door").unwrap();
        assert_eq!(state_entries(&text), [(0, read("You see a door"))]);
        let mut map = Vec::new();
        rmp::encode::write_map_len(&mut map, 1).unwrap();
        rmp::encode::write_str(&mut map, "look").unwrap();
        map.extend(&text);
        assert_eq!(state_entries(&map), [(name("look"), read("You see a door"))]);
        assert!(state_entries(&[]).is_empty());
    }
}
