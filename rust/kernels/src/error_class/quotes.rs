//! Quoted parts of a message: names, which vary from one occurrence to the next.

/// A pair of quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quote {
    opening: char,
    closing: char,
    /// True if the closing mark is also an apostrophe: it does not close before a letter.
    is_apostrophe: bool,
}

const fn straight(mark: char) -> Quote {
    Quote { opening: mark, closing: mark, is_apostrophe: true }
}

const fn pair(opening: char, closing: char) -> Quote {
    Quote { opening, closing, is_apostrophe: closing == '’' }
}

/// The quotes of ASCII.
pub(super) const STRAIGHT: [Quote; 3] = [straight('\''), straight('"'), straight('`')];

/// The quotes of ASCII and those that open and close with different marks.
pub(super) const ALL: [Quote; 8] = [
    straight('\''),
    straight('"'),
    straight('`'),
    pair('‘', '’'),
    pair('“', '”'),
    pair('「', '」'),
    pair('『', '』'),
    pair('«', '»'),
];

/// The text with each quoted part replaced by a space. A quote behind a character that `joins` is an apostrophe.
/// `searched` grows by the number of quotes looked at: at most twice those of the text.
pub(super) fn without_quotes(
    text: &str,
    quotes: &[Quote],
    joins: fn(char) -> bool,
    searched: &mut usize,
) -> String {
    let mut closing = ClosingQuotes { text, joins, known: vec![Some(0); quotes.len()] };
    let (mut kept, mut done) = (String::with_capacity(text.len()), 0);
    let opens = |c: char| quotes.iter().any(|quote| quote.opening == c);
    for (at, mark) in text.match_indices(opens) {
        *searched += 1;
        let Some(kind) = quotes.iter().position(|quote| mark.starts_with(quote.opening)) else { continue };
        let opens = at >= done && !text[..at].ends_with(joins);
        if opens && let Some(end) = closing.from(at + mark.len(), kind, quotes[kind], searched) {
            kept.push_str(&text[done..at]);
            kept.push(' ');
            done = end + quotes[kind].closing.len_utf8();
        }
    }
    kept.push_str(&text[done..]);
    kept
}

/// The quotes of a text that may end a quoted part.
///
/// The places asked for ascend, so the last answer for each kind of quote is kept: the text is read once for each.
struct ClosingQuotes<'a> {
    text: &'a str,
    joins: fn(char) -> bool,
    /// By kind of quote, the first closing one at or after the last place asked for; `None` means that none follows.
    /// A quoted part starts at 1 or later, so that 0 stands for "not searched yet".
    known: Vec<Option<usize>>,
}

impl ClosingQuotes<'_> {
    /// The first closing quote of this kind at or after `place`.
    fn from(&mut self, place: usize, kind: usize, quote: Quote, searched: &mut usize) -> Option<usize> {
        if self.known[kind].is_some_and(|known| known < place) {
            let behind = quote.closing.len_utf8();
            let closes =
                |end: &usize| !quote.is_apostrophe || !self.text[end + behind..].starts_with(self.joins);
            let marks = self.text[place..].match_indices(quote.closing).map(|(after, _)| place + after);
            self.known[kind] = marks.inspect(|_| *searched += 1).find(closes);
        }
        self.known[kind]
    }
}
