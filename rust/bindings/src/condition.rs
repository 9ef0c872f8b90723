//! The actions under one condition, as Python sees them.

use std::sync::Arc;

use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use tacit_kernels::evidence::{
    ActionEvidence, ActionOccurrences, ConditionEvidence, EpisodeColumns, FeatureSplit, OddsRatio,
};

use crate::convert;
use crate::error::invalid;

/// The outcome of each episode and its features, one row of numbers an episode.
#[pyclass(frozen, name = "EpisodeColumns", module = "tacit._native")]
pub(crate) struct PyEpisodeColumns(Arc<EpisodeColumns>);

#[pymethods]
impl PyEpisodeColumns {
    #[new]
    fn new(outcomes: PyReadonlyArray1<'_, f64>, features: PyReadonlyArray2<'_, i64>) -> PyResult<Self> {
        let outcomes = convert::row("outcomes", &outcomes)?.to_vec();
        let (features, width) = convert::rows("features", &features)?;
        let rule = format!("must have {} rows", outcomes.len());
        EpisodeColumns::new(outcomes, features.to_vec(), width)
            .map(|columns| Self(Arc::new(columns)))
            .ok_or_else(|| invalid("features", &rule, features.len().checked_div(width).unwrap_or(0)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// The occurrences of one condition, by episode: its actions are compared within strata of episodes.
#[pyclass(frozen, name = "ConditionEvidence", module = "tacit._native")]
pub(crate) struct PyConditionEvidence(ConditionEvidence);

type PyOdds = (f64, f64, f64, f64);

#[pymethods]
impl PyConditionEvidence {
    /// `strata` has a number for each episode; the other columns have one element an occurrence, and `episode`
    /// ascends.
    #[new]
    fn new(
        columns: &PyEpisodeColumns,
        strata: PyReadonlyArray1<'_, i64>,
        episode: PyReadonlyArray1<'_, i64>,
        action: PyReadonlyArray1<'_, i64>,
        success: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Self> {
        let strata = convert::row("strata", &strata)?;
        let occurrences = ActionOccurrences {
            episode: convert::row("episode", &episode)?,
            action: convert::row("action", &action)?,
            success: convert::row("success", &success)?,
        };
        let rule = "must ascend among the episodes, in columns of one length";
        ConditionEvidence::new(columns.0.clone(), strata, occurrences)
            .map(Self)
            .ok_or_else(|| invalid("episode", rule, format!("{} occurrences", occurrences.episode.len())))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// The evidence of each action with at least `min_trials` occurrences, the most frequent first, then by number.
    fn actions(&self, py: Python<'_>, min_trials: usize) -> Vec<PyActionEvidence> {
        py.detach(|| self.0.actions(min_trials).into_iter().map(PyActionEvidence).collect())
    }

    /// The evidence of the occurrences for which `own` is true, counted as one action with these successes.
    fn of_some(
        &self,
        own: PyReadonlyArray1<'_, bool>,
        success: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<PyActionEvidence> {
        let own = self.column("own", convert::row("own", &own)?)?;
        let success = self.column("success", convert::row("success", &success)?)?;
        Ok(PyActionEvidence(self.0.of_some(own, success)))
    }

    /// The values of a feature of which `least` episodes did this first and `least` something else, with as many of
    /// both among the other values: each with the odds ratio among the episodes with it, and among those without it.
    fn splits(
        &self,
        own: PyReadonlyArray1<'_, bool>,
        feature: usize,
        least: usize,
    ) -> PyResult<Vec<(i64, PyOdds, PyOdds)>> {
        let own = self.column("own", convert::row("own", &own)?)?;
        let splits = self.0.splits(own, self.feature(feature)?, least);
        let row = |FeatureSplit { value, inside, outside }| (value, odds(&inside), odds(&outside));
        Ok(splits.into_iter().map(row).collect())
    }

    /// The values of a feature among the occurrences of an action, ascending, without negative ones; of more than
    /// `most` the most frequent.
    fn values_among(&self, evidence: &PyActionEvidence, feature: usize, most: usize) -> PyResult<Vec<i64>> {
        Ok(self.0.values_among(&evidence.0, self.feature(feature)?, most))
    }
}

impl PyConditionEvidence {
    fn column<'a, T>(&self, field: &str, column: &'a [T]) -> PyResult<&'a [T]> {
        let rule = format!("must have {} elements", self.0.len());
        if column.len() == self.0.len() { Ok(column) } else { Err(invalid(field, &rule, column.len())) }
    }

    fn feature(&self, feature: usize) -> PyResult<usize> {
        let rule = format!("must be below {}", self.0.features());
        if feature < self.0.features() { Ok(feature) } else { Err(invalid("feature", &rule, feature)) }
    }
}

/// The evidence of one action under a condition.
#[pyclass(frozen, name = "ActionEvidence", module = "tacit._native")]
pub(crate) struct PyActionEvidence(ActionEvidence);

#[pymethods]
impl PyActionEvidence {
    #[getter]
    fn action(&self) -> i64 {
        self.0.action
    }

    #[getter]
    fn trials(&self) -> usize {
        self.0.occurrences.len()
    }

    #[getter]
    fn successes(&self) -> f64 {
        self.0.successes
    }

    /// The successes at one trial an episode: the mean of its occurrences.
    #[getter]
    fn by_episode(&self) -> f64 {
        self.0.by_episode
    }

    /// The number of episodes in which it occurred.
    #[getter]
    fn episodes(&self) -> usize {
        self.0.episodes
    }

    /// The number of episodes in which it occurred first.
    #[getter]
    fn first(&self) -> usize {
        self.0.first
    }

    /// The sum of the outcomes of the episodes in which it occurred.
    #[getter]
    fn outcomes(&self) -> f64 {
        self.0.outcomes
    }

    /// The odds ratio with its interval and p-value, (ratio, low, high, p_value); the ratio is NaN if there was
    /// nothing to compare.
    #[getter]
    fn odds(&self) -> PyOdds {
        odds(&self.0.odds_ratio)
    }
}

fn odds(odds: &OddsRatio) -> PyOdds {
    (odds.ratio, odds.low, odds.high, odds.p_value)
}
