//! The secrets of one text, found in one pass.
//!
//! Three prefilters propose candidates: `:` and `=` (assignments, addresses), runs of 20 and more key characters, and
//! `--` (PEM blocks, options). Rules run on candidates only, from left to right, and read a bounded number of bytes
//! each. No rule looks back beyond the end of the secret or marker before it: redacting twice changes nothing.

use std::sync::LazyLock;

use memchr::{memchr, memchr2, memchr3, memmem};

use super::providers::{BEHIND, Tail, key_at, tail_length};
use super::words::{LONGEST_NAME, Sensitivity, is_placeholder, is_random, is_secret_like, sensitivity};

/// One secret of a text, and the rule that found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) rule: &'static str,
}

/// The shortest run of key characters that can be a key by its format alone.
const SHORTEST_RUN: usize = 20;
const LONGEST_VALUE: usize = 1_024;
const LONGEST_AUTHORITY: usize = 512;
const LONGEST_PEM: usize = 65_536;
/// How far before a random value the word that makes it a secret may begin.
const BESIDE: usize = 48;

const MARKER: &[u8] = b"[REDACTED:";
static DASHES: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"--"));

/// Letters, digits and `_-+/`.
const KEY_CHARACTER: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'-' | b'+' | b'/');
        byte += 1;
    }
    table
};

/// Appends the secrets of `text` to `spans`, in order and without overlap. Returns how many bytes the rules read.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) -> usize {
    if text.len() < SHORTEST_RUN && memchr3(b':', b'=', b'-', text.as_bytes()).is_none() {
        return 0;
    }
    let mut scanner = Scanner { text: text.as_bytes(), floor: 0, no_pem_end: false, deferred: None, work: 0 };
    scanner.run(spans);
    scanner.work
}

/// The length of the marker that `text` begins with, `[REDACTED:rule:hash8]`.
pub(super) fn marker_length(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(MARKER)?;
    let rule = rest.iter().take(17).position(|byte| *byte == b':')?;
    let named = rest[..rule].iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
    let hash = rest.get(rule + 1..rule + 9)?;
    let ends = rest.get(rule + 9) == Some(&b']');
    (named && rule > 0 && ends && hash.iter().all(u8::is_ascii_hexdigit)).then_some(MARKER.len() + rule + 10)
}

/// Returns true if a marker stands anywhere in `text`.
fn holds_marker(text: &[u8]) -> bool {
    memmem::find_iter(text, MARKER).any(|at| marker_length(&text[at..]).is_some())
}

struct Scanner<'a> {
    text: &'a [u8],
    /// The end of the last secret or marker. No rule reads before it.
    floor: usize,
    /// No PEM block ends behind the floor.
    no_pem_end: bool,
    /// The password of an address, which waits until the candidates before it are judged.
    deferred: Option<Span>,
    /// Bytes that rules read.
    work: usize,
}

/// The next candidate of each prefilter, `usize::MAX` at the end of the text.
struct Next {
    separator: usize,
    run: (usize, usize),
    dashes: usize,
}

impl Scanner<'_> {
    fn run(&mut self, spans: &mut Vec<Span>) {
        let mut next = Next { separator: self.separator(0), run: self.long_run(0), dashes: self.dashes(0) };
        loop {
            let deferred = self.deferred.map_or(usize::MAX, |span| span.start);
            let first = next.separator.min(next.run.0).min(next.dashes).min(deferred);
            if first == usize::MAX {
                return;
            }
            let found = if first == deferred {
                self.deferred.take()
            } else if first == next.run.0 {
                let (start, end) = next.run;
                let found = self.key_in(start, end);
                next.run = self.long_run(found.map_or(end, |span| span.end.max(start + 1)));
                found
            } else if first == next.separator {
                let found = self.at_separator(first);
                next.separator = self.separator(first + 1);
                found
            } else {
                let found = self.at_dashes(first);
                next.dashes = self.dashes(first + self.dashes_length(first));
                found
            };
            if let Some(span) = found {
                self.floor = span.end;
                spans.push(span);
            }
            self.catch_up(&mut next);
        }
    }

    /// Moves every prefilter beyond the last secret or marker.
    fn catch_up(&mut self, next: &mut Next) {
        if next.separator < self.floor {
            next.separator = self.separator(self.floor);
        }
        if next.run.0 < self.floor {
            next.run = self.long_run(self.floor);
        }
        if next.dashes < self.floor {
            next.dashes = self.dashes(self.floor);
        }
        self.deferred = self.deferred.filter(|span| span.start >= self.floor);
    }

    // The prefilters.

    fn separator(&self, from: usize) -> usize {
        self.text.get(from..).and_then(|rest| memchr2(b':', b'=', rest)).map_or(usize::MAX, |at| from + at)
    }

    fn dashes(&self, from: usize) -> usize {
        self.text.get(from..).and_then(|rest| DASHES.find(rest)).map_or(usize::MAX, |at| from + at)
    }

    fn dashes_length(&self, at: usize) -> usize {
        self.text[at..].iter().take_while(|byte| **byte == b'-').count()
    }

    /// The next run of at least `SHORTEST_RUN` key characters. Looks at each stretch from its end, so that most bytes
    /// of prose are never read.
    fn long_run(&self, from: usize) -> (usize, usize) {
        let is_key = |at: usize| KEY_CHARACTER[usize::from(self.text[at])];
        let mut start = from;
        while start + SHORTEST_RUN <= self.text.len() {
            let Some(gap) = (start..start + SHORTEST_RUN).rev().find(|at| !is_key(*at)) else {
                let end = start + SHORTEST_RUN;
                let more =
                    self.text[end..].iter().take_while(|byte| KEY_CHARACTER[usize::from(**byte)]).count();
                return (start, end + more);
            };
            start = gap + 1;
        }
        (usize::MAX, usize::MAX)
    }

    // The rules on runs of key characters.

    /// A key in the run `start..end`: by its published format, else by a word beside it.
    fn key_in(&mut self, start: usize, end: usize) -> Option<Span> {
        let known = self.known_key(start, end);
        let before = known.map_or(end, |span| span.start.max(start));
        self.key_beside_word(start, before).or(known)
    }

    /// A key of a published format: at the beginning of the run, or behind a character that is no letter or digit.
    fn known_key(&mut self, start: usize, end: usize) -> Option<Span> {
        self.work += end - start;
        if let Some(span) = self.key_from_behind(start, end) {
            return Some(span);
        }
        let first = start + self.escape_length(start);
        if let Some(span) = self.formatted(first).or_else(|| self.formatted(start)) {
            return Some(span);
        }
        (start + 1..end.saturating_sub(SHORTEST_RUN - 1))
            .filter(|at| !self.text[at - 1].is_ascii_alphanumeric())
            .find_map(|at| self.formatted(at))
    }

    fn formatted(&self, start: usize) -> Option<Span> {
        if self.text[start..].starts_with(b"eyJ") {
            return self.web_token(start);
        }
        key_at(self.text, start).map(|(end, rule)| Span { start, end, rule })
    }

    /// 1 where an escaped line end stands before the run (`\nghp_...`), 2 for a percent sign (`%3Dghp_...`).
    fn escape_length(&self, start: usize) -> usize {
        let before = start.checked_sub(1).filter(|at| *at >= self.floor).map(|at| self.text[at]);
        match (before, self.text[start]) {
            (Some(b'\\'), b'n' | b'r' | b't') => 1,
            (Some(b'%'), _) => 2,
            _ => 0,
        }
    }

    /// Keys with a `.`, `:` or `~` inside: the run is their last or longest part.
    fn key_from_behind(&self, start: usize, end: usize) -> Option<Span> {
        let before = &self.text[self.floor..start];
        let span = |length: usize, end: usize, rule| Some(Span { start: start - length, end, rule });
        if !matches!(before.last(), Some(b'.' | b':' | b'~')) {
            return None;
        }
        for provider in BEHIND {
            let Some(head) = before.strip_suffix(provider.prefix.as_bytes()) else { continue };
            if head.last().is_some_and(u8::is_ascii_alphanumeric) {
                continue;
            }
            if let Some(length) = tail_length(&self.text[start..], provider) {
                return span(provider.prefix.len(), start + length, provider.rule);
            }
        }
        if let Some(digits) = telegram_number(before).filter(|_| end - start >= 35) {
            return span(digits + 1, end, "telegram");
        }
        if azure_head(before) {
            let more = self.text[end..].iter().take(40).take_while(|byte| Tail::Dotted.has(**byte)).count();
            return span(6, end + more, "azure");
        }
        None
    }

    /// A JSON web token: three parts in base64, the first two of which begin with `{"`.
    fn web_token(&self, start: usize) -> Option<Span> {
        let part =
            |from: usize| from + self.text[from..].iter().take_while(|byte| Tail::Word.has(**byte)).count();
        let first = part(start);
        if !self.text[first..].starts_with(b".eyJ") {
            return None;
        }
        let second = part(first + 1);
        let end = if self.text.get(second) == Some(&b'.') { part(second + 1) } else { second };
        (end - start >= 36).then_some(Span { start, end, rule: "jwt" })
    }

    /// A random value with a word like key, token or password before it on the same line.
    fn key_beside_word(&mut self, start: usize, end: usize) -> Option<Span> {
        if end - start < SHORTEST_RUN {
            return None;
        }
        self.work += BESIDE;
        let near = &self.text[self.floor.max(start.saturating_sub(BESIDE))..start];
        let line = near.iter().rposition(|byte| *byte == b'\n').map_or(near, |at| &near[at + 1..]);
        if !words(line).any(|word| word.len() >= 3 && sensitivity(word).is_some()) {
            return None;
        }
        self.work += (end - start).min(256);
        is_random(&self.text[start..end]).then_some(Span {
            start,
            end: end + self.padding(end),
            rule: "secret",
        })
    }

    // The rules at `:` and `=`.

    fn at_separator(&mut self, at: usize) -> Option<Span> {
        if let Some(start) = at.checked_sub(MARKER.len() - 1).filter(|start| *start >= self.floor)
            && let Some(length) = marker_length(&self.text[start..])
        {
            self.floor = start + length;
            return None;
        }
        if self.text[at..].starts_with(b"://") {
            self.deferred = self.password_of_address(at).or(self.deferred);
            return None;
        }
        self.assigned(at)
    }

    /// The password of `scheme://user:password@host`.
    fn password_of_address(&mut self, at: usize) -> Option<Span> {
        let start = at + 3;
        let authority = &self.text[start..self.text.len().min(start + LONGEST_AUTHORITY)];
        let length = authority
            .iter()
            .position(|byte| {
                matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`') || *byte <= b' '
            })
            .unwrap_or(authority.len());
        self.work += length;
        let end = authority[..length].iter().rposition(|byte| *byte == b'@')?;
        let colon = authority[..end].iter().position(|byte| *byte == b':')?;
        let password = &authority[colon + 1..end];
        if is_placeholder(password) || holds_marker(password) {
            return None;
        }
        Some(Span { start: start + colon + 1, end: start + end, rule: "url_password" })
    }

    /// The value of `name = value` or `"name": "value"` for a name that announces a secret.
    fn assigned(&mut self, at: usize) -> Option<Span> {
        let name = self.name_before(at)?;
        let sensitivity = sensitivity(name)?;
        let start = self.value_start(at + 1);
        let (start, end) = self.value_at(start)?;
        self.judged(start, end, sensitivity)
    }

    /// The name that ends before the separator, spaces and closing quotes left out.
    fn name_before(&mut self, at: usize) -> Option<&[u8]> {
        let before = &self.text[self.floor.max(at.saturating_sub(LONGEST_NAME + 8))..at];
        let mut end = before.len();
        while end > 0
            && before.len() - end < 6
            && matches!(before[end - 1], b' ' | b'"' | b'\'' | b'\\' | b'`' | b']')
        {
            end -= 1;
        }
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let length = before[..end].iter().rev().take_while(|byte| is_name(byte)).count();
        self.work += before.len() - end + length;
        (length >= 2).then(|| &before[end - length..end])
    }

    /// Skips what may stand between a separator and a value: `=`, `>`, spaces, and the scheme of an authorization.
    fn value_start(&self, from: usize) -> usize {
        let skip = |from: usize, most: usize, bytes: &[u8]| {
            from + self.text[from.min(self.text.len())..]
                .iter()
                .take(most)
                .take_while(|byte| bytes.contains(byte))
                .count()
        };
        let start = skip(skip(from, 2, b"=>"), 8, b" \t\\\"'`");
        let scheme = scheme_length(&self.text[start..]);
        if scheme == 0 { skip(skip(from, 2, b"=>"), 8, b" \t") } else { start + scheme }
    }

    /// The value at `start`, without its quotes.
    fn value_at(&mut self, start: usize) -> Option<(usize, usize)> {
        let escaped = usize::from(self.text.get(start) == Some(&b'\\'));
        let quote = *self.text.get(start + escaped)?;
        let limit = self.text.len().min(start + LONGEST_VALUE);
        if matches!(quote, b'"' | b'\'' | b'`') {
            let inside = start + escaped + 1;
            if self.text.get(inside).is_some_and(|byte| b" )+,;.".contains(byte)) {
                return None; // The quote ends the text that the name stands in.
            }
            if let Some(length) = self.text.get(inside..limit).and_then(|rest| memchr(quote, rest)) {
                self.work += length;
                return Some((
                    inside,
                    inside + length - usize::from(self.text[inside..inside + length].ends_with(b"\\")),
                ));
            }
            return None;
        }
        let ends = |byte: &u8| *byte <= b' ' || b",;:=\"'`<>(){}[]|&\\".contains(byte);
        let length = self.text[start..limit].iter().position(ends).unwrap_or(limit - start);
        self.work += length;
        // A call or an index is code, and a marker is no secret.
        if matches!(self.text.get(start + length), Some(b'(' | b'[' | b'{')) {
            return None;
        }
        Some((start, self.without_stop(start, start + length) + self.padding(start + length)))
    }

    /// The end of a bare value, before the full stop of a sentence.
    fn without_stop(&self, start: usize, end: usize) -> usize {
        end - usize::from(self.text[start..end].ends_with(b"."))
    }

    /// The length of the padding of base64 at `at`; 0 where a further value follows it (`a=b=c`).
    fn padding(&self, at: usize) -> usize {
        let length = self.text[at..].iter().take(3).take_while(|byte| **byte == b'=').count();
        let goes_on = self.text.get(at + length).is_some_and(|byte| KEY_CHARACTER[usize::from(*byte)]);
        if length > 2 || goes_on { 0 } else { length }
    }

    fn judged(&mut self, start: usize, end: usize, sensitivity: Sensitivity) -> Option<Span> {
        let value = &self.text[start..end];
        self.work += value.len();
        let known = self.formatted(start).filter(|span| span.end == end).map(|span| span.rule);
        let is_secret = match sensitivity {
            Sensitivity::Weak => is_random(value),
            Sensitivity::Strong | Sensitivity::Password => is_secret_like(value),
        };
        if (known.is_none() && !is_secret) || is_placeholder(value) || holds_marker(value) {
            return None;
        }
        Some(Span { start, end, rule: known.unwrap_or(rule_of(sensitivity)) })
    }

    // The rules at `--`.

    fn at_dashes(&mut self, at: usize) -> Option<Span> {
        let dashes = self.dashes_length(at);
        self.work += dashes;
        if dashes >= 5 && self.text[at + dashes..].starts_with(b"BEGIN ") {
            return self.pem_block(at + dashes - 5, at + dashes);
        }
        if dashes == 2 { self.option(at + 2) } else { None }
    }

    /// A private key in PEM; a block that was cut off ends with its last character of base64.
    fn pem_block(&mut self, start: usize, label: usize) -> Option<Span> {
        let rest = &self.text[label..];
        let label_end = label + memmem::find(&rest[..rest.len().min(80)], b"-----")?;
        self.work += label_end - label;
        memmem::find(&self.text[label..label_end], b"PRIVATE KEY")?;
        let body = label_end + 5;
        let end = self.pem_end(body).unwrap_or_else(|| {
            let is_body = |byte: &&u8| Tail::Base64.has(**byte) || matches!(byte, b'\n' | b'\r' | b'\\');
            body + self.text[body..].iter().take_while(is_body).count()
        });
        self.work += end - body;
        (end - body >= 16).then_some(Span { start, end, rule: "private_key" })
    }

    fn pem_end(&mut self, body: usize) -> Option<usize> {
        if self.no_pem_end {
            return None;
        }
        let Some(at) = memmem::find(&self.text[body..], b"-----END ") else {
            self.work += self.text.len() - body;
            self.no_pem_end = true;
            return None;
        };
        let label = body + at + 9;
        let rest = &self.text[label..self.text.len().min(label + 80)];
        let end = label + memmem::find(rest, b"-----")? + 5;
        (at <= LONGEST_PEM).then_some(end)
    }

    /// `--password value`: an option whose value is the next word.
    fn option(&mut self, start: usize) -> Option<Span> {
        let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let length = self.text[start..].iter().take(LONGEST_NAME).take_while(is_name).count();
        self.work += length;
        let end = start + length;
        if self.text.get(end) != Some(&b' ') {
            return None;
        }
        let sensitivity = sensitivity(&self.text[start..end])?;
        let (value, value_end) = self.value_at(self.value_start(end + 1))?;
        self.judged(value, value_end, sensitivity)
    }
}

/// The rule of a secret that its name announces.
pub(super) fn rule_of(sensitivity: Sensitivity) -> &'static str {
    match sensitivity {
        Sensitivity::Password => "password",
        Sensitivity::Strong | Sensitivity::Weak => "secret",
    }
}

/// The length of `Bearer ` and its like at the beginning of a value.
pub(super) fn scheme_length(value: &[u8]) -> usize {
    ["bearer ", "basic ", "token ", "apikey ", "digest "]
        .iter()
        .find(|scheme| {
            value.len() > scheme.len() && value[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
        })
        .map_or(0, |scheme| scheme.len())
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')))
        .filter(|word| !word.is_empty())
}

/// The digits before `:`, 8 to 10 of them, that a Telegram bot's token begins with.
fn telegram_number(before: &[u8]) -> Option<usize> {
    let head = before.strip_suffix(b":")?;
    let digits = head.iter().rev().take(11).take_while(|byte| byte.is_ascii_digit()).count();
    (8..=10).contains(&digits).then_some(digits)
}

/// `abc8Q~`: three characters, a digit, `Q~`, as a client secret of Azure begins.
fn azure_head(before: &[u8]) -> bool {
    matches!(before, [.., a, b, c, digit, b'Q', b'~']
        if digit.is_ascii_digit() && [a, b, c].iter().all(|byte| Tail::Dotted.has(**byte) || **byte == b'~'))
}
