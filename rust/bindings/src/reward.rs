//! Scoring an episode, and many at once.

use numpy::{IntoPyArray, PyArray2, PyReadonlyArray1};
use pyo3::prelude::*;
use tacit_kernels::reward::{Reward, RewardWeights, Scorable, Usual, score, score_many};
use tacit_kernels::trajectory::Complexity;

use crate::convert::row;
use crate::error::invalid;
use crate::trajectory::PyTrajectory;

/// `tacit.RewardWeights` as the kernel knows it: reads the attributes of the frozen dataclass.
#[derive(FromPyObject)]
pub struct PyRewardWeights {
    duration_share: f64,
    complexity_bonus: (f64, f64, f64, f64),
    tests_artifact: f64,
    many_artifacts: f64,
    high_coverage: f64,
    fair_coverage: f64,
    no_lint_warnings: f64,
    many_errors: f64,
    some_errors: f64,
    no_errors: f64,
    novelty: f64,
    many_tools: f64,
    several_tools: f64,
    recovery: f64,
    steady: f64,
    flawless: f64,
    swift: f64,
    learning_cap: f64,
}

impl From<PyRewardWeights> for RewardWeights {
    fn from(weights: PyRewardWeights) -> Self {
        Self {
            duration_share: weights.duration_share,
            complexity_bonus: weights.complexity_bonus.into(),
            tests_artifact: weights.tests_artifact,
            many_artifacts: weights.many_artifacts,
            high_coverage: weights.high_coverage,
            fair_coverage: weights.fair_coverage,
            no_lint_warnings: weights.no_lint_warnings,
            many_errors: weights.many_errors,
            some_errors: weights.some_errors,
            no_errors: weights.no_errors,
            novelty: weights.novelty,
            many_tools: weights.many_tools,
            several_tools: weights.several_tools,
            recovery: weights.recovery,
            steady: weights.steady,
            flawless: weights.flawless,
            swift: weights.swift,
            learning_cap: weights.learning_cap,
        }
    }
}

/// Scores episodes with fixed weights.
#[pyclass(frozen, name = "Scorer", module = "tacit._native")]
pub struct PyScorer {
    weights: RewardWeights,
}

type RewardRow = (f64, f64, f64, f64, f64, f64);

fn as_row(reward: Reward) -> RewardRow {
    let Reward { total, base, efficiency, complexity_bonus, quality_multiplier, learning_bonus } = reward;
    (total, base, efficiency, complexity_bonus, quality_multiplier, learning_bonus)
}

#[pymethods]
impl PyScorer {
    #[new]
    fn new(weights: PyRewardWeights) -> Self {
        Self { weights: weights.into() }
    }

    /// `(total, base, efficiency, complexity_bonus, quality_multiplier, learning_bonus)` of one episode, relative
    /// to its domain's medians.
    #[pyo3(signature = (trajectory, *, novelty, usual_seconds, usual_steps))]
    fn score(
        &self,
        trajectory: &PyTrajectory,
        novelty: f64,
        usual_seconds: f64,
        usual_steps: f64,
    ) -> RewardRow {
        let usual = Usual { seconds: usual_seconds, steps: usual_steps };
        as_row(score(&Scorable::from_trajectory(&trajectory.trajectory, novelty), usual, &self.weights))
    }

    /// The same six numbers for each row of the columns: float64[n, 6]. A negative `seconds` and a NaN in
    /// `test_coverage` or `lint_warnings` mean unknown; `complexity` is 0 simple, 1 moderate, 2 complex, 3 unknown.
    #[pyo3(signature = (*, base, seconds, steps, failed, succeeded, distinct_tools, recovered, complexity, artifacts, names_tests, test_coverage, lint_warnings, novelty, usual_seconds, usual_steps))]
    #[allow(clippy::too_many_arguments, reason = "columns are passed by name, one an argument")]
    fn score_columns<'py>(
        &self,
        py: Python<'py>,
        base: PyReadonlyArray1<'py, f64>,
        seconds: PyReadonlyArray1<'py, f64>,
        steps: PyReadonlyArray1<'py, u32>,
        failed: PyReadonlyArray1<'py, u32>,
        succeeded: PyReadonlyArray1<'py, u32>,
        distinct_tools: PyReadonlyArray1<'py, u32>,
        recovered: PyReadonlyArray1<'py, bool>,
        complexity: PyReadonlyArray1<'py, u8>,
        artifacts: PyReadonlyArray1<'py, u32>,
        names_tests: PyReadonlyArray1<'py, bool>,
        test_coverage: PyReadonlyArray1<'py, f64>,
        lint_warnings: PyReadonlyArray1<'py, f64>,
        novelty: PyReadonlyArray1<'py, f64>,
        usual_seconds: PyReadonlyArray1<'py, f64>,
        usual_steps: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let episodes = base.as_slice().map_or(0, <[f64]>::len);
        macro_rules! column {
            ($name:ident) => {{
                let column = row(stringify!($name), &$name)?;
                if column.len() != episodes {
                    return Err(invalid(
                        stringify!($name),
                        &format!("as long as base: {episodes}"),
                        column.len(),
                    ));
                }
                column
            }};
        }
        let (base, seconds, steps) = (column!(base), column!(seconds), column!(steps));
        let (failed, succeeded, distinct_tools) =
            (column!(failed), column!(succeeded), column!(distinct_tools));
        let (recovered, complexity, artifacts) =
            (column!(recovered), column!(complexity), column!(artifacts));
        let (names_tests, test_coverage) = (column!(names_tests), column!(test_coverage));
        let (lint_warnings, novelty) = (column!(lint_warnings), column!(novelty));
        let (usual_seconds, usual_steps) = (column!(usual_seconds), column!(usual_steps));
        if let Some(strange) = complexity.iter().find(|each| **each > 3) {
            return Err(invalid("complexity", "0 to 3", strange));
        }
        let rewards = py.detach(|| {
            let rows: Vec<Scorable> = (0..episodes)
                .map(|n| Scorable {
                    base: base[n],
                    seconds: seconds[n],
                    steps: steps[n],
                    failed: failed[n],
                    succeeded: succeeded[n],
                    distinct_tools: distinct_tools[n],
                    recovered: recovered[n],
                    complexity: [
                        Complexity::Simple,
                        Complexity::Moderate,
                        Complexity::Complex,
                        Complexity::Unknown,
                    ][complexity[n] as usize],
                    artifacts: artifacts[n],
                    names_tests: names_tests[n],
                    test_coverage: test_coverage[n],
                    lint_warnings: lint_warnings[n],
                    novelty: novelty[n],
                })
                .collect();
            let usual: Vec<Usual> = usual_seconds
                .iter()
                .zip(usual_steps)
                .map(|(seconds, steps)| Usual { seconds: *seconds, steps: *steps })
                .collect();
            score_many(&rows, &usual, &self.weights)
        });
        let flat: Vec<f64> =
            rewards.into_iter().flat_map(|reward| <[f64; 6]>::from(as_row(reward))).collect();
        use numpy::PyArrayMethods;
        flat.into_pyarray(py).reshape([episodes, 6])
    }
}
