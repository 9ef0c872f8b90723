//! The words of a message's line that stay the same from one occurrence of a failure to the next.

use crate::text::is_unspaced;

/// The most bytes of a class.
pub(super) const CLASS_BYTES: usize = 96;

/// A word of the class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Lower case, without punctuation at its ends.
    pub text: String,
    pub has_colon: bool,
    pub ends_clause: bool,
    /// True for a short code: "404" in "HTTP 404", "e0308".
    pub is_code: bool,
    /// True if its first letter is a small one, as in a program's name or an argument.
    pub is_small: bool,
}

/// Words that announce a failure without saying which.
const ANNOUNCING: &[&str] = &[
    "a",
    "an",
    "and",
    "build",
    "by",
    "call",
    "calling",
    "code",
    "command",
    "error",
    "errors",
    "exception",
    "execution",
    "executing",
    "exit",
    "exitcode",
    "exited",
    "fail",
    "failed",
    "failure",
    "fatal",
    "finished",
    "http",
    "in",
    "non-zero",
    "nonzero",
    "occurred",
    "output",
    "process",
    "program",
    "request",
    "response",
    "result",
    "return",
    "returncode",
    "returned",
    "running",
    "shell",
    "signal",
    "status",
    "stderr",
    "stdout",
    "terminated",
    "the",
    "tool",
    "was",
    "with",
];

/// Words that a short code follows.
const BEFORE_CODE: &[&str] = &[
    "code",
    "errno",
    "error",
    "errorcode",
    "exit",
    "exitcode",
    "exited",
    "http",
    "returncode",
    "signal",
    "sqlstate",
    "status",
    "statuscode",
    "winerror",
];

/// Words that a short code follows in languages that put no space between words end with one of these.
const BEFORE_CODE_UNSPACED: &[&str] = &[
    "错误",
    "错误码",
    "错误代码",
    "状态码",
    "返回码",
    "退出码",
    "エラー",
    "エラーコード",
    "終了コード",
    "ステータスコード",
];

/// Words before "code" or "status" that make it the code of a failure ("exit code", against "postal code").
const BEFORE_CODE_WORD: &[&str] =
    &["error", "exit", "http", "response", "result", "return", "returned", "status", "with"];

/// Words that a status of HTTP follows in a sentence: "the server returned 503".
const BEFORE_STATUS: &[&str] = &["got", "received", "response", "returned", "was"];

impl Word {
    /// Returns true if the word says that something failed, and no more.
    pub(super) fn names_error(&self) -> bool {
        self.text.contains("error") || self.text.contains("exception") || self.text == "fatal"
    }

    /// Returns true if the word may stand in a line that announces only.
    pub(super) fn announces(&self) -> bool {
        self.is_code || ANNOUNCING.binary_search(&self.text.as_str()).is_ok()
    }
}

/// The words of a line that do not vary. With `names`, identifiers without a digit stay too ("rate_limit_exceeded").
pub(super) fn stable_words(line: &str, names: bool) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut before = [String::new(), String::new()];
    for piece in pieces(line) {
        let bare = piece.trim_matches(is_punctuation);
        let starts_segment = words.last().is_none_or(|word| word.has_colon);
        let code = code_of(piece, bare, &before, starts_segment);
        let is_label = starts_segment || piece.ends_with(':');
        let text = code.clone().or_else(|| stable(bare, names || before[1] == "code", is_label));
        if before[1] == "line" && !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            words.pop_if(|word| word.text == "line");
        }
        if let Some(text) = text {
            words.push(Word {
                text,
                has_colon: piece.ends_with(':'),
                ends_clause: piece.ends_with([';', '.', '。']),
                is_code: code.is_some(),
                is_small: bare.starts_with(char::is_lowercase),
            });
        }
        if !bare.is_empty() {
            before.swap(0, 1);
            before[1] = context_of(piece, bare);
        }
    }
    words
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || c == '。'
}

/// The word as the next one sees it before itself: "http" for "HTTP/1.1"; "error:" announces no code.
fn context_of(piece: &str, bare: &str) -> String {
    let word = bare.split('/').next().unwrap_or(bare).to_lowercase().replace(['_', '-'], "");
    if word == "error" && piece.ends_with(':') { "error:".into() } else { word }
}

/// The text of a short code, if the word is one where it stands.
fn code_of(piece: &str, bare: &str, before: &[String; 2], starts_segment: bool) -> Option<String> {
    if !bare.bytes().any(|byte| byte.is_ascii_digit()) || bare.len() > 10 {
        return None;
    }
    let announced = BEFORE_CODE.contains(&before[1].as_str())
        || BEFORE_CODE_UNSPACED.iter().any(|end| before[1].ends_with(end));
    if bare.bytes().all(|byte| byte.is_ascii_digit()) {
        let is_status = bare.len() == 3 && matches!(bare.as_bytes()[0], b'4' | b'5');
        let of_failure = !matches!(before[1].as_str(), "code" | "status")
            || before[0].is_empty()
            || BEFORE_CODE_WORD.contains(&before[0].as_str());
        let longest = if of_failure { 5 } else { 3 };
        let sign = if piece.trim_start_matches(['(', '[', '"']).starts_with('-') { "-" } else { "" };
        let is_code = (announced && bare.len() <= longest)
            || (is_status && (starts_segment || BEFORE_STATUS.contains(&before[1].as_str())));
        return is_code.then(|| format!("{sign}{bare}"));
    }
    let letters = bare.bytes().take_while(u8::is_ascii_alphabetic).count();
    let has_code_form = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && (1..=5).contains(&letters) | bare.starts_with("0x") | (before[1] == "sqlstate");
    let (start, number) = bare.split_once('-').unwrap_or((bare, ""));
    let is_vendors = start.len() == letters
        && (2..=5).contains(&letters)
        && (3..=5).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && starts_segment
        && piece.ends_with(':');
    (has_code_form && (announced || is_vendors)).then(|| bare.to_lowercase())
}

/// The word in lower case, if it does not name one occurrence: it has no digit and belongs to no path, address or
/// identifier. A dotted name of an error is its last part; a label may be a constant in capitals.
fn stable(bare: &str, names: bool, is_label: bool) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.' | '-');
    if bare.is_empty() || bare.contains(|c: char| c.is_ascii_digit() || matches!(c, '/' | '\\' | '@' | '=')) {
        return None;
    }
    // The marker of a redacted text ends with a hash, which has no digit once in some 2,600 times.
    if bare.contains("REDACTED:") {
        return None;
    }
    let lower = bare.to_lowercase();
    if !bare.contains(['_', '.']) || (names && bare.chars().all(is_name)) {
        return Some(lower);
    }
    let is_constant = bare.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let last = lower.rsplit('.').next().unwrap_or_default();
    let is_error = bare.contains('.') && (last.ends_with("error") || last.ends_with("exception"));
    if is_constant && is_label {
        Some(lower)
    } else if is_error && bare.chars().all(is_name) {
        Some(last.to_owned())
    } else {
        None
    }
}

/// The pieces of a line that are judged one by one: its words, cut further at brackets and markup, behind "status=", and
/// between an unspaced script and the names and numbers in it.
fn pieces(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for word in line.split(|c: char| c.is_whitespace() || c == '、') {
        let mut start = 0;
        let mut before = ' ';
        for (at, c) in word.char_indices() {
            if at > start && (cuts(before, c) || announces_code(&word[start..at], before)) {
                found.push(&word[start..at]);
                start = at;
            }
            before = c;
        }
        if start < word.len() {
            found.push(&word[start..]);
        }
    }
    found
}

fn cuts(before: char, c: char) -> bool {
    let is_ascii_word = |c: char| c.is_ascii_alphanumeric();
    matches!(c, '[' | '(' | '<') && before.is_alphanumeric()
        || before == '>' && c.is_alphanumeric()
        || before == '。'
        || is_unspaced(before) && is_ascii_word(c)
        || is_unspaced(c) && (before.is_ascii() && before != ' ')
}

/// Returns true for "status=" and "code:": a word that a code follows, with the sign that binds them.
fn announces_code(start: &str, last: char) -> bool {
    matches!(last, '=' | ':') && start.len() <= 16 && {
        let word = start.trim_matches(is_punctuation).to_lowercase().replace(['_', '-'], "");
        word != "error" && BEFORE_CODE.contains(&word.as_str())
    }
}
