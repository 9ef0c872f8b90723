//! The message and the code in an error text that is JSON, or a dictionary of Python as it is printed.

/// The keys of a message, the most telling first.
const MESSAGE_KEYS: [&str; 11] = [
    "message",
    "detail",
    "error_description",
    "errormessage",
    "error_message",
    "msg",
    "error",
    "errors",
    "title",
    "reason",
    "text",
];
/// The keys of a code, the most telling first.
const CODE_KEYS: [&str; 8] =
    ["code", "error_code", "errno", "status_code", "statuscode", "status", "exit_code", "returncode"];
/// The keys of further objects and lists that are read for a message.
const CONTAINERS: [&str; 10] =
    ["error", "errors", "detail", "details", "data", "response", "body", "result", "content", "fault"];
const MOST_DEEP: usize = 8;
const CODE_BYTES: usize = 40;

/// Returns true if the line may start with JSON that holds a message.
pub(super) fn may_start(line: &str) -> bool {
    let inner = line.strip_prefix(['{', '[']).map(str::trim_start);
    inner.is_some_and(|inner| match line.as_bytes()[0] {
        b'{' => inner.is_empty() || inner.starts_with(['"', '\'']),
        _ => inner.is_empty() || inner.starts_with(['"', '\'', '{']),
    }) || (line.len() > 1 && line.starts_with('"') && line.ends_with('"') && line.matches('"').count() == 2)
}

/// The offset of JSON that starts within the first `line` bytes of the text, and what it says: "code C: message".
pub(super) fn said_in(text: &str, line: usize) -> Option<(usize, String)> {
    let first = &text[..line];
    if first.len() > 1 && first.starts_with('"') && first.ends_with('"') && first.matches('"').count() == 2 {
        return Some((0, first[1..line - 1].to_owned()));
    }
    let starts = |at: &usize| {
        (first[..*at].is_empty() || first[..*at].ends_with([' ', ':', '(', '\t'])) && {
            let inner = text[at + 1..].trim_start_matches([' ', '\n', '\r', '\t']);
            inner.starts_with(['"', '\'']) || (text.as_bytes()[*at] == b'[' && inner.starts_with('{'))
        }
    };
    let at = first.match_indices(['{', '[']).map(|(at, _)| at).find(starts)?;
    Some((at, Said::read(&text[at..])?))
}

/// Returns true if a message may be in the list or object that this key holds.
fn is_read_further(key: &str) -> bool {
    CONTAINERS.contains(&key) || MESSAGE_KEYS.contains(&key)
}

/// The message and the code found so far: the rank of its key, and its text.
#[derive(Default)]
struct Said {
    message: Option<(usize, String)>,
    code: Option<(usize, String)>,
}

/// An object or a list that is open: the key that holds its values, and if a message may be in it.
struct Open {
    is_object: bool,
    is_read: bool,
    key: String,
}

impl Said {
    fn read(text: &str) -> Option<String> {
        let mut said = Self::default();
        let mut open: Vec<Open> = Vec::new();
        let mut deeper = 0_usize;
        let mut awaits_key = false;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            match c {
                '{' | '[' if deeper > 0 || open.len() == MOST_DEEP => deeper += 1,
                '}' | ']' if deeper > 0 => deeper -= 1,
                '{' | '[' => {
                    let key = open.last().map_or(String::new(), |outer| outer.key.clone());
                    let is_read = open
                        .last()
                        .is_none_or(|outer| outer.is_read && (key.is_empty() || is_read_further(&key)));
                    awaits_key = c == '{';
                    open.push(Open { is_object: c == '{', is_read, key });
                }
                '}' | ']' => {
                    open.pop();
                    if open.is_empty() {
                        break;
                    }
                }
                ',' => awaits_key = open.last().is_some_and(|inner| inner.is_object),
                '"' | '\'' => {
                    let (value, behind) = unquoted(&rest[1..], c);
                    rest = behind;
                    if let Some(inner) = open.last_mut().filter(|_| deeper == 0) {
                        if awaits_key {
                            inner.key = value.to_lowercase();
                            awaits_key = false;
                        } else if inner.is_read {
                            said.take(&inner.key, value);
                        }
                    }
                    continue;
                }
                '-' | '0'..='9' => {
                    let end = rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
                    if let Some(inner) = open.last().filter(|inner| deeper == 0 && inner.is_read) {
                        said.take_code(&inner.key, &rest[..end]);
                    }
                    rest = &rest[end..];
                    continue;
                }
                _ => {}
            }
            rest = &rest[c.len_utf8()..];
        }
        said.text()
    }

    fn take(&mut self, key: &str, value: String) {
        if value.trim().is_empty() {
            return;
        }
        self.take_code(key, &value);
        let rank = MESSAGE_KEYS
            .iter()
            .position(|each| *each == key)
            .or(key.is_empty().then_some(MESSAGE_KEYS.len()));
        if let Some(rank) = rank.filter(|rank| self.message.as_ref().is_none_or(|(known, _)| rank < known)) {
            self.message = Some((rank, value));
        }
    }

    fn take_code(&mut self, key: &str, value: &str) {
        let is_code = value.len() <= CODE_BYTES
            && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let rank = CODE_KEYS.iter().position(|each| *each == key).filter(|_| is_code);
        let says_more = !["error", "fail", "failed"].contains(&value);
        if let Some(rank) =
            rank.filter(|rank| says_more && self.code.as_ref().is_none_or(|(known, _)| rank < known))
        {
            self.code = Some((rank, value.to_owned()));
        }
    }

    fn text(self) -> Option<String> {
        match (self.code, self.message) {
            (None, None) => None,
            (None, Some((_, message))) => Some(message),
            (Some((_, code)), None) => Some(format!("code {code}")),
            (Some((_, code)), Some((_, message))) => Some(format!("code {code}: {}", message.trim_start())),
        }
    }
}

/// The content of a quoted string, without its escapes, and the text behind it. One without an end is the whole rest.
fn unquoted(text: &str, quote: char) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('r' | 't') => value.push(' '),
                Some('u') => {
                    let digits = characters.as_str().get(..4).filter(|digits| digits.is_ascii());
                    if let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
                        value.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                        characters.nth(3);
                    }
                }
                Some(escaped) => value.push(escaped),
                None => {}
            },
            c if c == quote => return (value, &text[at + 1..]),
            c => value.push(c),
        }
    }
    (value, "")
}
