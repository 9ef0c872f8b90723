//! The outcomes of all episodes of a namespace by domain, agent and difficulty, over all months.

use rustc_hash::FxHashMap;

use super::cells::Cell;
use super::{SliceFilter, StratumSymbols};

/// Episodes and the sum of their outcome shares. The sums are exact whatever their order: see `exact`.
#[derive(Debug, Clone, Copy, Default)]
struct EpisodeTotals {
    episodes: u64,
    outcomes: f64,
}

/// The totals of the stratum rows of a namespace's episodes, so that a rate reads no month.
#[derive(Debug, Clone, Default)]
pub(super) struct OutcomeTotals {
    /// By domain and agent: each difficulty that has episodes.
    by_agent: FxHashMap<(u32, u32), Vec<(u8, EpisodeTotals)>>,
}

impl OutcomeTotals {
    pub(super) fn from_cells(cells: &[Cell], strata: &[StratumSymbols]) -> Self {
        let mut totals = Self::default();
        cells.iter().for_each(|cell| totals.add(&strata[cell.stratum as usize], cell));
        totals
    }

    pub(super) fn add(&mut self, stratum: &StratumSymbols, cell: &Cell) {
        let of_agent = self.by_agent.entry((stratum.domain, stratum.agent)).or_default();
        let place = of_agent.iter().position(|(complexity, _)| *complexity == stratum.complexity);
        let place = place.unwrap_or_else(|| {
            of_agent.push((stratum.complexity, EpisodeTotals::default()));
            of_agent.len() - 1
        });
        let totals = &mut of_agent[place].1;
        totals.episodes += u64::from(cell.episodes);
        totals.outcomes += cell.outcomes;
    }

    /// Takes back the counts of `add` with the same arguments.
    pub(super) fn subtract(&mut self, stratum: &StratumSymbols, cell: &Cell) {
        let key = (stratum.domain, stratum.agent);
        let Some(of_agent) = self.by_agent.get_mut(&key) else { return };
        for (_, totals) in of_agent.iter_mut().filter(|(complexity, _)| *complexity == stratum.complexity) {
            totals.episodes = totals.episodes.saturating_sub(cell.episodes.into());
            totals.outcomes -= cell.outcomes;
        }
        of_agent.retain(|(_, totals)| totals.episodes > 0);
        if of_agent.is_empty() {
            self.by_agent.remove(&key);
        }
    }

    /// Episodes of an agent in a domain, and the sum of their outcome shares; `None` without episodes.
    pub(super) fn of_agent(&self, domain: u32, agent: u32) -> Option<(f64, f64)> {
        let mut sums = EpisodeTotals::default();
        for (_, totals) in self.by_agent.get(&(domain, agent))? {
            sums.episodes += totals.episodes;
            sums.outcomes += totals.outcomes;
        }
        (sums.episodes > 0).then_some((sums.episodes as f64, sums.outcomes))
    }

    /// Episodes of a slice and the sum of their outcome shares, all months weighing alike.
    pub(super) fn of_slice(&self, filter: &SliceFilter) -> (u64, f64) {
        let (mut episodes, mut outcomes) = (0, 0.0);
        for ((domain, agent), of_agent) in &self.by_agent {
            let of_slice = of_agent.iter().filter(|(each, _)| filter.admits(*domain, *agent, *each));
            for (_, totals) in of_slice {
                episodes += totals.episodes;
                outcomes += totals.outcomes;
            }
        }
        (episodes, outcomes)
    }
}
