//! The outcomes of all episodes of a namespace by domain, agent and difficulty, over all months.

use rustc_hash::FxHashMap;

use super::cells::Cell;

/// The domain, the agent and the difficulty of episodes.
pub(super) type CellCircumstances = (u32, u32, u8);

/// The number of episodes and the sum of their outcome shares. The sums are exact whatever their order: see `exact`.
type EpisodesAndOutcomes = (u64, f64);

/// The totals of the stratum rows of a namespace's episodes, so that a rate reads no month.
#[derive(Debug, Clone, Default)]
pub(super) struct EpisodeTotals {
    /// By domain and agent: each difficulty that has episodes.
    by_agent: FxHashMap<(u32, u32), Vec<(u8, EpisodesAndOutcomes)>>,
}

impl EpisodeTotals {
    pub(super) fn add(&mut self, (domain, agent, complexity): CellCircumstances, cell: &Cell) {
        let of_agent = self.by_agent.entry((domain, agent)).or_default();
        let place = of_agent.iter().position(|(each, _)| *each == complexity).unwrap_or_else(|| {
            of_agent.push((complexity, Default::default()));
            of_agent.len() - 1
        });
        let (episodes, outcomes) = &mut of_agent[place].1;
        *episodes += u64::from(cell.episodes);
        *outcomes += cell.outcomes;
    }

    /// Takes back the counts of `add` with the same arguments.
    pub(super) fn subtract(&mut self, (domain, agent, complexity): CellCircumstances, cell: &Cell) {
        let Some(of_agent) = self.by_agent.get_mut(&(domain, agent)) else { return };
        for (_, (episodes, outcomes)) in of_agent.iter_mut().filter(|(each, _)| *each == complexity) {
            *episodes = episodes.saturating_sub(cell.episodes.into());
            *outcomes -= cell.outcomes;
        }
        of_agent.retain(|(_, (episodes, _))| *episodes > 0);
        if of_agent.is_empty() {
            self.by_agent.remove(&(domain, agent));
        }
    }

    /// Episodes of an agent in a domain, and the sum of their outcome shares; `None` without episodes.
    pub(super) fn of_agent(&self, domain: u32, agent: u32) -> Option<EpisodesAndOutcomes> {
        let of_agent = self.by_agent.get(&(domain, agent))?;
        Some(of_agent.iter().fold((0, 0.0), |sums, (_, totals)| (sums.0 + totals.0, sums.1 + totals.1)))
    }

    /// Episodes of the circumstances that `admits` says, and the sum of their outcome shares, all months weighing alike.
    pub(super) fn sum(&self, admits: impl Fn(CellCircumstances) -> bool) -> EpisodesAndOutcomes {
        let (mut episodes, mut outcomes) = (0, 0.0);
        for ((domain, agent), of_agent) in &self.by_agent {
            for (_, totals) in of_agent.iter().filter(|(each, _)| admits((*domain, *agent, *each))) {
                episodes += totals.0;
                outcomes += totals.1;
            }
        }
        (episodes, outcomes)
    }
}
