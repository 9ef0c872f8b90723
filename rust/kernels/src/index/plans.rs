//! Plans of successes, step by step, and the groups of similar ones.

use super::namespace_index::NamespaceIndex;
use crate::cluster::{dbscan_plans, kmeans};
use crate::facts::Id;
use crate::names::Names;
use crate::sequence::Sequences;
use crate::similarity::Rows;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;

/// The most moves of the centres of families.
const MOST_MOVES: usize = 100;

/// The newest successes with steps of a namespace or one of its domains: the plan of each, and each plan once.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    /// By id.
    successes: Vec<Success>,
    /// The tools of each plan by number, in the order of the first success with that plan.
    plans: Vec<Vec<u64>>,
    names: FxHashMap<u64, String>,
    left_out: usize,
}

#[derive(Clone, Copy, Debug)]
struct Success {
    id: Id,
    domain: u64,
    plan: usize,
}

/// Successes with similar plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanCluster {
    /// By id.
    pub members: Vec<Id>,
    /// The first member with the plan that is most similar to those of all others.
    pub medoid: Id,
    /// The tools of that plan.
    pub plan: Vec<String>,
    /// By name.
    pub domains: Vec<String>,
}

impl Plans {
    pub(super) fn new(space: &NamespaceIndex, names: &Names, domain: Option<u32>, newest: usize) -> Self {
        let (chosen, left_out) = newest_successes(space, domain, newest);
        let mut plans = Self { left_out, ..Self::default() };
        let mut known: FxHashMap<Vec<u64>, usize> = FxHashMap::default();
        for document in chosen {
            let tools: Vec<u64> = space.runs.iter(document).map(u64::from).collect();
            let next = known.len();
            let plan = *known.entry(tools).or_insert(next);
            let document = &space.documents[document as usize];
            plans.successes.push(Success { id: document.id, domain: u64::from(document.domain), plan });
        }
        plans.plans = vec![Vec::new(); known.len()];
        known.into_iter().for_each(|(tools, plan)| plans.plans[plan] = tools);
        plans.names = plans.names_in(names);
        plans
    }

    fn names_in(&self, names: &Names) -> FxHashMap<u64, String> {
        let domains = self.successes.iter().map(|success| success.domain);
        let numbers: FxHashSet<u64> = self.plans.iter().flatten().copied().chain(domains).collect();
        let named =
            numbers.into_iter().filter_map(|number| Some((number, names.name(number as u32)?.into())));
        named.collect()
    }

    /// The number of successes.
    pub fn len(&self) -> usize {
        self.successes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.successes.is_empty()
    }

    /// The number of older successes that are left out.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Groups of successes whose plans are within `eps` of each other, in the order of their first members. A
    /// success whose plan lies apart is in none of them.
    pub fn clusters(&self, eps: f64, min_points: usize) -> Vec<PlanCluster> {
        let (symbols, offsets) = Sequences::columns(&self.plans);
        let Some(sequences) = Sequences::new(&symbols, &offsets) else { return Vec::new() };
        let clustering = dbscan_plans(sequences, &self.times(), eps, min_points);
        let mut clusters: Vec<PlanCluster> =
            clustering.medoids.iter().map(|medoid| self.around(*medoid as usize)).collect();
        for success in &self.successes {
            if let Ok(label) = usize::try_from(clustering.labels[success.plan]) {
                clusters[label].members.push(success.id);
                clusters[label].domains.extend(self.names.get(&success.domain).cloned());
            }
        }
        for cluster in &mut clusters {
            cluster.domains.sort_unstable();
            cluster.domains.dedup();
        }
        clusters
    }

    /// At most `groups` groups of successes that used tools in like proportions, in the order of their first members;
    /// every success is in one.
    pub fn families(&self, groups: usize) -> Vec<PlanCluster> {
        let (elements, width) = self.proportions();
        if self.successes.is_empty() || groups == 0 {
            return Vec::new();
        }
        let clustering = kmeans(Rows::new(&elements, width), groups.min(self.len()), 0, MOST_MOVES);
        let medoid = |row: &u32| {
            let success = self.successes[*row as usize];
            PlanCluster { medoid: success.id, ..self.around(success.plan) }
        };
        let mut clusters: Vec<PlanCluster> = clustering.medoids.iter().map(medoid).collect();
        for (success, label) in self.successes.iter().zip(&clustering.labels) {
            let cluster = &mut clusters[*label as usize];
            cluster.members.push(success.id);
            cluster.domains.extend(self.names.get(&success.domain).cloned());
        }
        for cluster in &mut clusters {
            cluster.domains.sort_unstable();
            cluster.domains.dedup();
        }
        clusters
    }

    /// For each success the uses of each tool, as a row of length 1, and the number of tools. The tools are in the
    /// order of their names.
    fn proportions(&self) -> (Vec<f32>, usize) {
        let mut tools: Vec<(&str, u64)> = self
            .plans
            .iter()
            .flatten()
            .collect::<FxHashSet<_>>()
            .into_iter()
            .filter_map(|tool| Some((self.names.get(tool)?.as_str(), *tool)))
            .collect();
        tools.sort_unstable();
        let columns: FxHashMap<u64, usize> =
            tools.iter().enumerate().map(|(column, (_, tool))| (*tool, column)).collect();
        let mut elements = vec![0.0_f32; self.len() * tools.len()];
        for (success, row) in self.successes.iter().zip(elements.chunks_mut(tools.len().max(1))) {
            self.plans[success.plan].iter().for_each(|tool| row[columns[tool]] += 1.0);
            let length = row.iter().map(|count| count * count).sum::<f32>().sqrt();
            row.iter_mut().for_each(|count| *count /= length);
        }
        (elements, tools.len())
    }

    fn times(&self) -> Vec<usize> {
        let mut times = vec![0; self.plans.len()];
        self.successes.iter().for_each(|success| times[success.plan] += 1);
        times
    }

    fn around(&self, plan: usize) -> PlanCluster {
        let first = self.successes.iter().find(|success| success.plan == plan);
        let tools = self.plans[plan].iter().filter_map(|tool| self.names.get(tool).cloned());
        PlanCluster {
            medoid: first.map_or([0; 16], |success| success.id),
            plan: tools.collect(),
            ..PlanCluster::default()
        }
    }
}

/// The newest successes in the order of their ids, and the number of older ones.
fn newest_successes(space: &NamespaceIndex, domain: Option<u32>, newest: usize) -> (Vec<u32>, usize) {
    let of = |number: &u32| &space.documents[*number as usize];
    let is_one = |number: &u32| {
        let document = of(number);
        space.alive[*number as usize]
            && document.measures.is_success
            && document.measures.steps > 0
            && domain.is_none_or(|domain| document.domain == domain)
    };
    let mut chosen: Vec<u32> = (0..space.documents.len() as u32).filter(is_one).collect();
    chosen.sort_unstable_by_key(|number| Reverse((of(number).ended_at, of(number).id)));
    let left_out = chosen.len().saturating_sub(newest);
    chosen.truncate(newest);
    chosen.sort_unstable_by_key(|number| of(number).id);
    (chosen, left_out)
}
