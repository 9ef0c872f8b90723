//! Names that announce a secret, and values that look random.

/// How strongly a name says that its value is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sensitivity {
    /// The name often holds harmless values too (`key`, `token`): only a random value is a secret.
    Weak,
    /// The name holds secrets (`api_key`, `client_secret`): any value that is not a placeholder is one.
    Strong,
    /// The name holds passwords: numbers are secrets too.
    Password,
}

/// Longer names are cut: the last part decides.
pub(super) const LONGEST_NAME: usize = 64;

const PASSWORDS: [&str; 8] =
    ["password", "passwd", "passphrase", "passcode", "pwd", "passwordhash", "userpass", "dbpass"];
const STRONG: [&str; 29] = [
    "secret",
    "secretkey",
    "secretaccesskey",
    "clientsecret",
    "apikey",
    "apisecret",
    "apitoken",
    "accesskey",
    "accesstoken",
    "accountkey",
    "authkey",
    "authtoken",
    "bearertoken",
    "refreshtoken",
    "sessiontoken",
    "idtoken",
    "bottoken",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "servicekey",
    "sharedkey",
    "sharedaccesskey",
    "authorization",
    "proxyauthorization",
    "bearer",
    "credential",
    "connectionstring",
];
/// The last part of a name that may announce a secret.
const WEAK: [&str; 11] =
    ["key", "token", "auth", "pass", "pw", "cookie", "session", "sid", "sig", "signature", "otp"];
/// Words before a weak part that make it harmless: a primary key, a page token.
const HARMLESS: [&str; 21] = [
    "primary",
    "foreign",
    "public",
    "sort",
    "partition",
    "cache",
    "task",
    "page",
    "next",
    "continuation",
    "object",
    "dictionary",
    "map",
    "row",
    "index",
    "hash",
    "unique",
    "composite",
    "candidate",
    "surrogate",
    "registry",
];

/// Pairs of letters (`id` as well) that end a word of the lists above: a name that ends otherwise is ordinary.
const ENDINGS: [u32; 26] = {
    let mut pairs = [0; 26];
    let lists: [&[&str]; 3] = [&PASSWORDS, &STRONG, &WEAK];
    let mut list = 0;
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            let word = lists[list][at].as_bytes();
            let (before, last) = (word[word.len() - 2] - b'a', word[word.len() - 1] - b'a');
            pairs[before as usize] |= 1 << last;
            at += 1;
        }
        list += 1;
    }
    pairs[(b'i' - b'a') as usize] |= 1 << (b'd' - b'a');
    pairs
};

/// Returns how strongly `name` announces a secret; `None` for an ordinary name.
///
/// Upper and lower case, `_`, `-`, `.`, spaces and a plural `s` do not matter.
pub(super) fn sensitivity(name: &[u8]) -> Option<Sensitivity> {
    let name = &name[name.len().saturating_sub(LONGEST_NAME)..];
    let name =
        if has_known_ending(name) { name } else { singular(name).filter(|name| has_known_ending(name))? };
    if before_any(name, &PASSWORDS).is_some() {
        return Some(Sensitivity::Password);
    }
    if before_any(name, &STRONG).is_some() {
        return Some(Sensitivity::Strong);
    }
    if ends_with(name, "sessionid") {
        return Some(Sensitivity::Weak);
    }
    let before = before_any(name, &WEAK)?;
    let part = begins_part(name, before) || ends_with(name, "token");
    (part && before_any(&name[..before], &HARMLESS).is_none()).then_some(Sensitivity::Weak)
}

fn has_known_ending(name: &[u8]) -> bool {
    let letter = |byte: u8| usize::from((byte | 0x20).wrapping_sub(b'a'));
    match name {
        [.., before, last] => {
            letter(*last) < 26
                && ENDINGS.get(letter(*before)).is_some_and(|set| set >> letter(*last) & 1 == 1)
        }
        _ => false,
    }
}

fn singular(name: &[u8]) -> Option<&[u8]> {
    match name {
        [rest @ .., b's' | b'S'] => Some(rest),
        _ => None,
    }
}

/// The offset in `name` at which one of `words` begins that `name` ends with; separators and case do not matter.
fn before_any(name: &[u8], words: &[&str]) -> Option<usize> {
    let last = name.last()?.to_ascii_lowercase();
    let may_end = |word: &&&str| word.as_bytes().last() == Some(&last) || !last.is_ascii_lowercase();
    words.iter().filter(may_end).filter_map(|word| offset_of_ending(name, word)).min()
}

fn ends_with(name: &[u8], word: &str) -> bool {
    offset_of_ending(name, word).is_some()
}

fn offset_of_ending(name: &[u8], word: &str) -> Option<usize> {
    let mut at = name.len();
    for letter in word.bytes().rev() {
        while at > 0 && matches!(name[at - 1], b'_' | b'-' | b'.' | b' ') {
            at -= 1;
        }
        at = at.checked_sub(1).filter(|at| name[*at].eq_ignore_ascii_case(&letter))?;
    }
    Some(at)
}

/// Returns true if a part of the name begins at `at`: `aKey`, `a_key`, `key`.
fn begins_part(name: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|at| name[at]) else { return true };
    !before.is_ascii_alphanumeric() || (name[at].is_ascii_uppercase() && !before.is_ascii_uppercase())
}

/// Returns true for values that stand in place of a secret: `$NAME`, `<token>`, `***`, `None`, `your-api-key`.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    const WORDS: [&str; 16] = [
        "",
        "none",
        "null",
        "nil",
        "true",
        "false",
        "yes",
        "no",
        "required",
        "optional",
        "redacted",
        "string",
        "str",
        "undefined",
        "unknown",
        "n/a",
    ];
    match value {
        [b'<' | b'{' | b'%', ..] | [b'#' | b'$', b'{' | b'(', ..] => return true,
        [b'$', name @ ..] if is_variable(name) => return true,
        [first, rest @ ..] if rest.iter().all(|byte| byte == first) => return true,
        _ => {}
    }
    if value.len() > 32 {
        return false;
    }
    let begins =
        |word: &&str| value.len() >= word.len() && value[..word.len()].eq_ignore_ascii_case(word.as_bytes());
    WORDS.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
        || ["your", "my-", "example", "changeme", "xxx", "os.environ", "process.env", "env."]
            .iter()
            .any(begins)
}

/// The name of a variable is in one case.
fn is_variable(name: &[u8]) -> bool {
    let all = |class: fn(&u8) -> bool| {
        name.iter().all(|byte| class(byte) || *byte == b'_' || byte.is_ascii_digit())
    };
    all(u8::is_ascii_uppercase) || all(u8::is_ascii_lowercase)
}

/// The counts that tell a random value from words.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    lower: usize,
    upper: usize,
    digits: usize,
    symbols: usize,
    non_hex: usize,
    /// Neighbours of different classes.
    changes: usize,
    /// The sum of squared counts of each byte value, for the collision entropy.
    squares: usize,
    length: usize,
}

const LONGEST_SHAPE: usize = 256;

impl Shape {
    fn new(value: &[u8]) -> Self {
        let value = &value[..value.len().min(LONGEST_SHAPE)];
        let mut shape = Self { length: value.len(), ..Self::default() };
        let mut counts = [0u16; 256];
        let mut before = u8::MAX;
        for byte in value {
            let class = match byte {
                b'a'..=b'z' => 0,
                b'A'..=b'Z' => 1,
                b'0'..=b'9' => 2,
                _ => 3,
            };
            match class {
                0 => shape.lower += 1,
                1 => shape.upper += 1,
                2 => shape.digits += 1,
                _ => shape.symbols += 1,
            }
            shape.non_hex += usize::from(!byte.is_ascii_hexdigit());
            shape.changes += usize::from(before != u8::MAX && before != class);
            before = class;
            // (n + 1)^2 - n^2 = 2n + 1
            shape.squares += 2 * usize::from(counts[usize::from(*byte)]) + 1;
            counts[usize::from(*byte)] += 1;
        }
        shape
    }

    /// The number of equally likely symbols that would repeat as often: the inverse Simpson index.
    fn effective_symbols(&self) -> f64 {
        (self.length * self.length) as f64 / self.squares.max(1) as f64
    }

    fn change_rate(&self) -> f64 {
        self.changes as f64 / self.length.saturating_sub(1).max(1) as f64
    }

    fn letters(&self) -> usize {
        self.lower + self.upper
    }
}

/// Returns true for a value that no word, name, path or number looks like: a run of random letters and digits.
pub(super) fn is_random(value: &[u8]) -> bool {
    if value.len() < 16 {
        return false;
    }
    let shape = Shape::new(value);
    if shape.digits == 0 || shape.letters() == 0 {
        return false;
    }
    if shape.non_hex == 0 {
        return shape.length >= 24 && shape.effective_symbols() >= 6.0;
    }
    let joined = shape.symbols >= 3 && longest_word(value) >= 6;
    let camel = shape.upper > 0 && longest_word(value) > 8;
    let wordy = shape.symbols * 6 > shape.length || joined || camel;
    shape.effective_symbols() >= 8.0 && shape.change_rate() >= 0.25 && !wordy
}

/// Returns true for a value beside a name that holds secrets, unless it reads like a word, a path or a number.
pub(super) fn is_secret_like(value: &[u8]) -> bool {
    if value.len() < 6 {
        return false;
    }
    let shape = Shape::new(value);
    let classes = [shape.lower, shape.upper, shape.digits, shape.symbols].iter().filter(|n| **n > 0).count();
    classes >= 2 && shape.effective_symbols() >= 3.5 && !reads_like_code(value, &shape)
}

/// Paths, addresses, dotted or underscored names and numbers with units.
fn reads_like_code(value: &[u8], shape: &Shape) -> bool {
    let separators = value.iter().filter(|byte| matches!(byte, b'_' | b'.' | b'-' | b'/')).count();
    let path = matches!(value, [b'/' | b'~' | b'.', ..]) && separators >= 2 && shape.length < 40;
    let words_only =
        shape.digits == 0 && shape.symbols == separators && (separators > 0 || shape.changes <= 3);
    let number = shape.letters() == 0 && separators + shape.digits == shape.length;
    path || words_only || number
}

fn longest_word(value: &[u8]) -> usize {
    let (mut longest, mut length) = (0, 0);
    for byte in value {
        length = if byte.is_ascii_lowercase() { length + 1 } else { 0 };
        longest = longest.max(length);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_recognised_in_every_spelling() {
        for name in ["password", "DB_PASSWORD", "user.password", "Passwords", "MYSQL_PWD"] {
            assert_eq!(sensitivity(name.as_bytes()), Some(Sensitivity::Password), "{name}");
        }
        for name in [
            "api_key",
            "apiKey",
            "X-API-Key",
            "clientSecret",
            "AWS_SECRET_ACCESS_KEY",
            "Authorization",
            "credentials",
        ] {
            assert_eq!(sensitivity(name.as_bytes()), Some(Sensitivity::Strong), "{name}");
        }
        for name in ["key", "token", "Cookie", "csrfToken", "session_id"] {
            assert_eq!(sensitivity(name.as_bytes()), Some(Sensitivity::Weak), "{name}");
        }
    }

    #[test]
    fn ordinary_names_announce_nothing() {
        for name in [
            "monkey",
            "primary_key",
            "next_page_token",
            "max_tokens_used",
            "author",
            "keyboard",
            "passenger",
            "secretary_name",
            "public_key",
            "",
        ] {
            assert_eq!(sensitivity(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn random_values_differ_from_words_paths_and_names() {
        for value in
            ["wJalrXUtnFEMIK7MDENGbPxRfiCY8", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "q8Zr2LmX0vT5yB7nKc3W"]
        {
            assert!(is_random(value.as_bytes()), "{value}");
        }
        for value in [
            "get_user_profile_by_id_2",
            "usr/local/lib/python3/site-packages",
            "12345678901234567890",
            "InternationalizationService1",
        ] {
            assert!(!is_random(value.as_bytes()), "{value}");
        }
    }
}
