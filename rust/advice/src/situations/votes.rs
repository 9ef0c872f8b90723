//! Votes for the actions that are possible now, by the actions of the nearest recorded situations.

use super::actions::Parsed;
use super::kept::KeptRuns;
use super::nearest::NearSituation;
use super::tokens::{Token, hash};
use super::values::{says, value_contexts};

/// How fast a vote falls with the distance from the nearest situation: exp(-12 d).
const SHARPNESS: f32 = 12.0;
/// The agreement of an equal value beside other words.
const SAME_VALUE: f32 = 0.5;
/// The part of a vote that a run counts for which achieved nothing.
const LEAST_WORTH: f32 = 0.1;
/// The agreement from which a neighbour is named for an action.
const LEAST_AGREEMENT: f32 = 0.1;

/// The action of one neighbour, with the words beside its values there.
struct Vote<'a> {
    weight: f32,
    action: u64,
    tokens: &'a [Token],
    parsed: Parsed,
    contexts: Vec<Vec<u64>>,
    /// Set if the last result said the action word for word.
    said: bool,
    /// The part of a vote that it counts for: less for a run that achieved less.
    worth: f32,
    /// Set for the last action of a run that achieved nothing: it speaks against the action.
    is_fatal: bool,
    neighbour: NearSituation,
}

/// An action that is possible now.
pub(super) struct GivenAction<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) parsed: &'a Parsed,
    /// The words beside each of its values, by number.
    pub(super) contexts: Vec<&'a [u64]>,
    /// Set if the last result says it word for word.
    pub(super) said: bool,
}

/// The votes of the neighbours of one situation; their weights sum to 1.
pub(super) struct Votes<'a>(Vec<Vote<'a>>);

/// The share of the votes for one action.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct VoteShares {
    /// Votes for this very action.
    pub(super) same: f32,
    /// Votes for an action of the same form whose values stand beside the same words.
    pub(super) aligned: f32,
    /// Votes of runs that achieved nothing and ended by this action.
    pub(super) against: f32,
}

impl<'a> Votes<'a> {
    pub(super) fn new(kept: &'a KeptRuns, neighbours: &[NearSituation]) -> Self {
        let top = neighbours.first().map_or(0.0, |first| first.likeness);
        let weights: Vec<f32> =
            neighbours.iter().map(|each| ((each.likeness - top) * SHARPNESS).exp()).collect();
        let sum: f32 = weights.iter().sum();
        let vote = |(neighbour, weight): (&NearSituation, &f32)| {
            let run = &kept.runs[neighbour.run as usize];
            let at = neighbour.step as usize;
            let tokens = kept.actions.tokens(run.steps[at].action);
            let parsed = kept.actions.parse(tokens);
            let state = kept.state(&run.steps[at]);
            let situation = kept.situation(run, at, &[], &state);
            let contexts = parsed.values(tokens).map(|value| value_contexts(&situation, value)).collect();
            Vote {
                weight: weight / sum,
                action: hash(tokens),
                tokens,
                parsed,
                contexts,
                said: says(situation.last, tokens),
                worth: worth(run.share),
                is_fatal: run.share.is_some_and(|share| share <= 0.0) && at + 1 == run.steps.len(),
                neighbour: *neighbour,
            }
        };
        Self(neighbours.iter().zip(&weights).map(vote).collect())
    }

    /// The shares of an action.
    pub(super) fn shares(&self, given: &GivenAction<'_>) -> VoteShares {
        let action = hash(given.tokens);
        let mut shares = VoteShares::default();
        for vote in &self.0 {
            let (same, agreement) = (f32::from(u8::from(vote.action == action)), vote.agreement(given));
            if vote.is_fatal {
                shares.against += vote.weight * same.max(agreement);
            } else {
                shares.same += vote.weight * vote.worth * same;
                shares.aligned += vote.weight * vote.worth * agreement;
            }
        }
        shares
    }

    /// The neighbours that voted for an action, the most alike first.
    pub(super) fn voters(&self, given: &GivenAction<'_>) -> Vec<NearSituation> {
        let action = hash(given.tokens);
        let speaks = |vote: &&Vote<'_>| {
            !vote.is_fatal && (vote.action == action || vote.agreement(given) > LEAST_AGREEMENT)
        };
        self.0.iter().filter(speaks).map(|vote| vote.neighbour).collect()
    }
}

impl Vote<'_> {
    /// How far the action is this one with other values, within 0..1.
    fn agreement(&self, given: &GivenAction<'_>) -> f32 {
        if self.said && given.said {
            return 1.0;
        }
        if self.parsed.form != given.parsed.form || given.parsed.slots.len() != self.parsed.slots.len() {
            return 0.0;
        }
        let values = given.parsed.values(given.tokens).zip(self.parsed.values(self.tokens));
        let of_slot = |(at, (value, other)): (usize, (&[Token], &[Token]))| {
            let alike = jaccard(given.contexts[at], &self.contexts[at]);
            if value == other { alike.max(SAME_VALUE) } else { alike }
        };
        values.enumerate().map(of_slot).product()
    }
}

/// The share of success of a run, at least a tenth; a half if it is unknown.
fn worth(share: Option<f32>) -> f32 {
    share.unwrap_or(0.5).max(LEAST_WORTH)
}

/// The shared part of two sorted lists.
fn jaccard(a: &[u64], b: &[u64]) -> f32 {
    let shared = a.iter().filter(|each| b.binary_search(each).is_ok()).count();
    if shared == 0 { 0.0 } else { shared as f32 / (a.len() + b.len() - shared) as f32 }
}
