//! Similarity of two task contexts: domain, language and tags.

use super::jaccard::jaccard;
use crate::trajectory::symbol;

const DOMAIN: f32 = 0.4;
const LANGUAGE: f32 = 0.3;
const TAGS: f32 = 0.3;

/// The terms of a task context, as symbols. `None` means that the context lacks the term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context<'a> {
    pub domain: Option<u64>,
    pub language: Option<u64>,
    /// In ascending order, each once.
    pub tags: &'a [u64],
}

/// The symbols of a context's words. An empty word is a term that the context lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextSymbols {
    domain: Option<u64>,
    language: Option<u64>,
    tags: Vec<u64>,
}

impl ContextSymbols {
    pub fn new<'a>(domain: &str, language: Option<&str>, tags: impl IntoIterator<Item = &'a str>) -> Self {
        let present = |word: &&str| !word.is_empty();
        let mut tags: Vec<u64> = tags.into_iter().map(symbol).collect();
        tags.sort_unstable();
        tags.dedup();
        Self {
            domain: Some(domain).filter(present).map(symbol),
            language: language.filter(present).map(symbol),
            tags,
        }
    }

    pub fn context(&self) -> Context<'_> {
        Context { domain: self.domain, language: self.language, tags: &self.tags }
    }
}

/// 0.4 for the same domain, 0.3 for the same language and 0.3 of the tags' Jaccard share, in 0 to 1.
/// A term that both lack is dropped and the others fill its place: equal contexts score 1.
///
/// # Examples
/// ```
/// use tacit_kernels::similarity::context::{Context, context};
/// let one = Context { domain: Some(1), language: Some(2), tags: &[] };
/// let other = Context { domain: Some(1), language: Some(3), tags: &[] };
/// // Neither has tags: 0.4 / (0.4 + 0.3).
/// assert!((context(one, other) - 4.0 / 7.0).abs() < 1e-6);
/// ```
pub fn context(a: Context, b: Context) -> f32 {
    let terms = [
        same(a.domain, b.domain).map(|score| (DOMAIN, score)),
        same(a.language, b.language).map(|score| (LANGUAGE, score)),
        tags(a.tags, b.tags).map(|score| (TAGS, score)),
    ];
    let (weight, score) = terms
        .into_iter()
        .flatten()
        .fold((0.0, 0.0), |(total, sum), (weight, score)| (total + weight, sum + weight * score));
    if weight > 0.0 { score / weight } else { 1.0 }
}

fn same(a: Option<u64>, b: Option<u64>) -> Option<f32> {
    (a.is_some() || b.is_some()).then(|| f32::from(u8::from(a == b)))
}

fn tags(a: &[u64], b: &[u64]) -> Option<f32> {
    (!a.is_empty() || !b.is_empty()).then(|| jaccard(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn contexts_without_any_term_are_equal() {
        assert_eq!(context(Context::default(), Context::default()), 1.0);
    }

    #[test]
    fn a_term_that_only_one_lacks_counts_against_them() {
        let a = Context { domain: Some(1), language: Some(2), tags: &[] };
        let b = Context { domain: Some(1), language: None, tags: &[] };
        assert!((context(a, b) - 0.4 / 0.7).abs() < 1e-6);
    }

    #[test]
    fn tags_are_a_set_and_an_empty_word_is_no_term() {
        let a = ContextSymbols::new("web", Some(""), ["api", "rest", "api"]);
        let b = ContextSymbols::new("web", None, ["rest", "auth"]);
        assert!((context(a.context(), b.context()) - (0.4 + 0.3 / 3.0) / 0.7).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn it_is_symmetric_and_a_context_equals_itself(
            a: (Option<u64>, Option<u64>, BTreeSet<u64>),
            b: (Option<u64>, Option<u64>, BTreeSet<u64>),
        ) {
            let (tags_a, tags_b): (Vec<u64>, Vec<u64>) =
                (a.2.into_iter().collect(), b.2.into_iter().collect());
            let a = Context { domain: a.0, language: a.1, tags: &tags_a };
            let b = Context { domain: b.0, language: b.1, tags: &tags_b };
            prop_assert_eq!(context(a, a), 1.0);
            prop_assert_eq!(context(a, b), context(b, a));
            prop_assert!((0.0..=1.0).contains(&context(a, b)));
        }
    }
}
