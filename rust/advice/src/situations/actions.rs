//! Actions as forms with values: the forms are learned from the texts of recorded actions.

use super::tokens::{COMMA, END, Token, hash, is_name, mix, name, read_text, visit_values};
use rustc_hash::FxHashMap;
use tacit_kernels::msgpack::Reader;

/// A recorded action, by number.
pub(super) type ActionId = u32;
/// Words of the longest action that is read.
const MOST_WORDS: usize = 64;

/// An action's words; a call with parameters is its tool and, for each value inside, its name and words.
pub(super) fn action_tokens(tool: &str, parameters: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut values = 0;
    let _ = visit_values(&mut Reader::new(parameters), "", &mut |path, text| {
        values += 1;
        if tokens.len() < MOST_WORDS {
            tokens.push(name(path));
            read_text(text, &mut tokens);
        }
    });
    if values == 0 {
        read_text(tool, &mut tokens);
    } else {
        tokens.insert(0, name(tool));
    }
    tokens.retain(|token| *token != END && *token != COMMA);
    tokens.truncate(MOST_WORDS);
    tokens
}

/// The form of an action and the values in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parsed {
    /// The same for all actions of one form.
    pub(super) form: u64,
    /// The place of each value among the words.
    pub(super) slots: Vec<(u32, u32)>,
}

impl Parsed {
    pub(super) fn values<'t>(&self, tokens: &'t [Token]) -> impl Iterator<Item = &'t [Token]> {
        self.slots.iter().map(|(start, end)| &tokens[*start as usize..*end as usize])
    }

    /// The form's slot of this number, as a number.
    pub(super) fn slot(&self, slot: usize) -> u64 {
        mix(&[self.form, slot as u64])
    }
}

/// The distinct actions of all recorded steps, and how their words vary.
#[derive(Clone, Debug, Default)]
pub(super) struct ActionBook {
    actions: Vec<HeldAction>,
    ids: FxHashMap<u64, ActionId>,
    free: Vec<ActionId>,
    verbs: FxHashMap<Token, VerbWords>,
    /// How many are texts of several words.
    phrases: usize,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct HeldAction {
    tokens: Box<[Token]>,
    /// The text of an action without parameters.
    text: Option<Box<str>>,
    uses: u32,
}

/// The distinct actions that begin with one word: how many there are, and how many hold each other word.
#[derive(Clone, Debug, Default)]
struct VerbWords {
    actions: u32,
    words: FxHashMap<Token, u32>,
}

impl ActionBook {
    pub(super) fn add(&mut self, tool: &str, parameters: &[u8]) -> ActionId {
        let tokens = action_tokens(tool, parameters);
        let key = hash(&tokens);
        if let Some(id) = self.ids.get(&key) {
            self.actions[*id as usize].uses += 1;
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.actions.push(HeldAction::default());
            self.actions.len() as ActionId - 1
        });
        self.count(&tokens, 1);
        let is_text = !tokens.first().is_some_and(|first| is_name(*first));
        let held = HeldAction { tokens: tokens.into(), text: is_text.then(|| tool.into()), uses: 1 };
        self.bytes += held.bytes();
        self.phrases += usize::from(held.is_phrase());
        self.actions[id as usize] = held;
        self.ids.insert(key, id);
        id
    }

    pub(super) fn release(&mut self, id: ActionId) {
        let held = &mut self.actions[id as usize];
        held.uses -= 1;
        if held.uses > 0 {
            return;
        }
        let held = std::mem::take(held);
        self.count(&held.tokens, -1);
        self.ids.remove(&hash(&held.tokens));
        self.bytes -= held.bytes();
        self.phrases -= usize::from(held.is_phrase());
        self.free.push(id);
    }

    fn count(&mut self, tokens: &[Token], change: i32) {
        let Some((verb, rest)) = tokens.split_first() else { return };
        let words = self.verbs.entry(*verb).or_default();
        words.actions = words.actions.wrapping_add_signed(change);
        let mut rest = rest.to_vec();
        rest.sort_unstable();
        rest.dedup();
        for word in rest {
            let count = words.words.entry(word).or_default();
            *count = count.wrapping_add_signed(change);
            if *count == 0 {
                words.words.remove(&word);
            }
        }
        if words.actions == 0 {
            self.verbs.remove(verb);
        }
    }

    pub(super) fn tokens(&self, id: ActionId) -> &[Token] {
        &self.actions[id as usize].tokens
    }

    /// Returns true if most actions are texts of several words.
    pub(super) fn are_phrases(&self) -> bool {
        self.phrases * 2 > self.ids.len()
    }

    /// The text of an action without parameters.
    pub(super) fn text(&self, id: ActionId) -> Option<&str> {
        self.actions[id as usize].text.as_deref()
    }

    pub(super) fn id_of(&self, tokens: &[Token]) -> Option<ActionId> {
        self.ids.get(&hash(tokens)).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.actions.len()
    }

    /// Parses an action: the first word, names, and words of at least half of the distinct actions with the same first
    /// word are its form; every run of other words between them is a value.
    pub(super) fn parse(&self, tokens: &[Token]) -> Parsed {
        let Some((verb, rest)) = tokens.split_first() else { return Parsed::default() };
        let words = self.verbs.get(verb);
        let is_form = |word: Token| {
            let counts =
                words.and_then(|words| words.words.get(&word).map(|count| (count * 2, words.actions)));
            is_name(word) || counts.is_some_and(|(twice, actions)| twice >= actions)
        };
        let mut parsed = Parsed { form: u64::from(*verb), slots: Vec::new() };
        let mut is_open = false;
        for (at, word) in (1..).zip(rest) {
            if is_form(*word) {
                parsed.form = mix(&[parsed.form, u64::from(*word)]);
                is_open = false;
            } else if is_open {
                parsed.slots.last_mut().expect("a value is open").1 = at + 1;
            } else {
                parsed.form = mix(&[parsed.form, 1]);
                parsed.slots.push((at, at + 1));
                is_open = true;
            }
        }
        parsed
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.actions.len() * 24
    }
}

impl HeldAction {
    fn is_phrase(&self) -> bool {
        self.text.is_some() && self.tokens.len() > 1
    }

    fn bytes(&self) -> usize {
        80 + self.tokens.len() * 8 + self.text.as_ref().map_or(0, |text| text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(book: &ActionBook, text: &str) -> (u64, usize) {
        let parsed = book.parse(&action_tokens(text, &[]));
        (parsed.form, parsed.slots.len())
    }

    #[test]
    fn the_form_is_what_actions_with_the_same_first_word_share() {
        let mut book = ActionBook::default();
        for text in ["put apple in box", "put red pear in fridge", "put map in the hall", "look around"] {
            book.add(text, &[]);
        }
        assert_eq!(parsed(&book, "put green bell pepper in oven").1, 2);
        assert_eq!(parsed(&book, "put plum in jar"), parsed(&book, "put apple in box"));
        assert_eq!(parsed(&book, "look around").1, 0);
        assert_eq!(parsed(&book, "eat plum").1, 1);
    }

    #[test]
    fn the_names_of_parameters_are_form_and_their_values_are_not() {
        let mut parameters = Vec::new();
        rmp::encode::write_map_len(&mut parameters, 2).unwrap();
        for (key, value) in [("city", "New York"), ("day", "friday")] {
            rmp::encode::write_str(&mut parameters, key).unwrap();
            rmp::encode::write_str(&mut parameters, value).unwrap();
        }
        let tokens = action_tokens("book_flight", &parameters);
        let parsed = ActionBook::default().parse(&tokens);
        assert_eq!(parsed.values(&tokens).map(<[Token]>::len).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn an_action_that_is_released_leaves_no_trace() {
        let mut book = ActionBook::default();
        book.add("put apple in box", &[]);
        let before = parsed(&book, "put plum in jar");
        let id = book.add("put plum on table", &[]);
        book.release(id);
        assert_eq!(parsed(&book, "put plum in jar"), before);
        assert_eq!((book.verbs.len(), book.ids.len()), (1, 1));
    }
}
