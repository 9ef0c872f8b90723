//! Reading values from text that was written by a program: JSON, Python's literals, either of them cut short.

use super::values::{ValueKind, ValueLabel, ValueTree};

const MOST_DEPTH: usize = 24;
/// Longest word that stands for a value without quotes.
const MOST_WORD: usize = 64;

/// Returns true if the text starts like a list or a map.
pub(super) fn may_be(text: &str) -> bool {
    matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[' | b'('))
}

/// Reads the text's value into an open node; false means that the text is no literal. A text that ends early gives
/// the values up to its end.
pub(super) fn read(tree: &mut ValueTree<'_>, node: u32, text: &str, most: usize) -> bool {
    let mut reader = LiteralReader { text, at: 0, most, unescaped: String::new(), is_cut: false };
    reader.value(tree, node, MOST_DEPTH).is_some() && {
        reader.space();
        reader.at == text.len()
    }
}

struct LiteralReader<'t> {
    text: &'t str,
    at: usize,
    most: usize,
    unescaped: String,
    /// Set if the text ended before a list or a map did.
    is_cut: bool,
}

impl LiteralReader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn is_over(&self) -> bool {
        self.at >= self.text.len()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// `None` means that the text is no literal; otherwise the node is closed.
    fn value(&mut self, tree: &mut ValueTree<'_>, node: u32, depth: usize) -> Option<()> {
        self.space();
        if tree.nodes.len() >= self.most {
            self.at = self.text.len();
        }
        let Some(byte) = self.peek() else {
            tree.leave_out(node);
            return Some(());
        };
        match byte {
            b'{' => self.map(tree, node, depth.checked_sub(1)?),
            b'[' | b'(' => self.list(tree, node, depth.checked_sub(1)?),
            b'"' | b'\'' => {
                match self.string()? {
                    true => tree.become_scalar(node, ValueKind::Text, &self.unescaped),
                    false => tree.leave_out(node),
                }
                Some(())
            }
            _ => self.word(tree, node, depth),
        }
    }

    fn list(&mut self, tree: &mut ValueTree<'_>, node: u32, depth: usize) -> Option<()> {
        tree.set_kind(node, ValueKind::List);
        self.at += 1;
        let mut index = 0;
        while self.has_more(b"])}")? {
            let child = tree.open(node, ValueLabel::Index(index));
            self.value(tree, child, depth)?;
            index += 1;
            self.separator()?;
        }
        self.settle(tree, node);
        Some(())
    }

    fn map(&mut self, tree: &mut ValueTree<'_>, node: u32, depth: usize) -> Option<()> {
        self.at += 1;
        while self.has_more(b"}")? {
            if !matches!(self.peek()?, b'"' | b'\'') {
                return None;
            }
            self.string()?;
            let name = std::mem::take(&mut self.unescaped);
            self.space();
            if self.is_over() {
                self.is_cut = true;
                break;
            }
            if self.peek() != Some(b':') {
                return None;
            }
            self.at += 1;
            let child = tree.entry(node, &name);
            self.unescaped = name;
            self.value(tree, child, depth)?;
            self.separator()?;
        }
        self.settle(tree, node);
        Some(())
    }

    /// Ends a list or a map; it is cut if the text ended first.
    fn settle(&self, tree: &mut ValueTree<'_>, node: u32) {
        if self.is_cut {
            tree.cut(node);
        }
        tree.settle(node);
    }

    /// Returns true if another element follows; passes over the closing bracket.
    fn has_more(&mut self, closing: &[u8]) -> Option<bool> {
        self.space();
        match self.peek() {
            None => {
                self.is_cut = true;
                Some(false)
            }
            Some(byte) if closing.contains(&byte) => {
                self.at += 1;
                Some(false)
            }
            Some(_) => Some(true),
        }
    }

    fn separator(&mut self) -> Option<()> {
        self.space();
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(b']' | b')' | b'}') | None => {}
            Some(_) => return None,
        }
        Some(())
    }

    /// Reads a quoted text; false means that it is cut short.
    fn string(&mut self) -> Option<bool> {
        let quote = self.peek()?;
        self.at += 1;
        self.unescaped.clear();
        loop {
            let rest = &self.text[self.at..];
            let Some(stop) = rest.bytes().position(|byte| byte == quote || byte == b'\\') else {
                self.unescaped.push_str(rest);
                self.at = self.text.len();
                return Some(false);
            };
            self.unescaped.push_str(&rest[..stop]);
            self.at += stop + 1;
            if rest.as_bytes()[stop] == quote {
                return Some(true);
            }
            self.escape();
        }
    }

    fn escape(&mut self) {
        let Some(escaped) = self.text[self.at..].chars().next() else { return };
        self.at += escaped.len_utf8();
        let meant = match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'u' => self.code().unwrap_or('\u{fffd}'),
            other => other,
        };
        self.unescaped.push(meant);
    }

    /// The character of four hexadecimal digits, or of two such surrogates.
    fn code(&mut self) -> Option<char> {
        let high = self.four()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high);
        }
        self.text.get(self.at..self.at + 2).filter(|mark| *mark == "\\u")?;
        self.at += 2;
        let low = self.four()?.checked_sub(0xdc00)?;
        char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low)
    }

    fn four(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let code = u32::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        Some(code)
    }

    /// A number, a constant, or a call such as `date(2024, 5, 1)`, read as the list of its arguments.
    fn word(&mut self, tree: &mut ValueTree<'_>, node: u32, depth: usize) -> Option<()> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| ",]}):( \n\r\t\"'".contains(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        if word.is_empty() || word.len() > MOST_WORD {
            return None;
        }
        self.at += end;
        if self.peek() == Some(b'(') {
            return self.list(tree, node, depth.checked_sub(1)?);
        }
        match word {
            _ if self.is_over() => tree.leave_out(node),
            "null" | "None" => tree.become_scalar(node, ValueKind::Null, "null"),
            "true" | "True" => tree.become_scalar(node, ValueKind::Flag, "true"),
            "false" | "False" => tree.become_scalar(node, ValueKind::Flag, "false"),
            _ => number(tree, node, word)?,
        }
        Some(())
    }
}

fn number(tree: &mut ValueTree<'_>, node: u32, word: &str) -> Option<()> {
    if let Ok(whole) = word.parse::<i64>() {
        tree.become_scalar(node, ValueKind::Whole, &whole.to_string());
    } else {
        let real = word.parse::<f64>().ok().filter(|real| real.is_finite())?;
        tree.become_number(node, real);
    }
    Some(())
}
