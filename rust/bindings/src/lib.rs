//! The names exported to Python. A list: logic lives in tacit-kernels, tacit-advice and tacit-storage.

mod advice;
mod backoff;
mod breaker;
mod clock;
mod cluster;
mod condition;
mod convert;
mod embed;
mod episode;
mod error;
mod evidence;
mod extract;
mod index;
mod json;
mod lru;
mod rank;
mod redact;
mod reward;
mod rows;
mod sandbox;
mod sequence;
mod similarity;
mod store;
mod trajectory;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::advice::{
        PyAdvisor, PyFit, PyFixRow, PyPlanRow, PyPredictionRow, PyRankedActionRow, PySuggestedRow,
    };
    #[pymodule_export]
    use crate::backoff::{PyBackoff, PyRetryBudget};
    #[pymodule_export]
    use crate::breaker::PyCircuitBreaker;
    #[pymodule_export]
    use crate::cluster::{dbscan, dbscan_distances, dbscan_sequences, kmeans};
    #[pymodule_export]
    use crate::condition::{PyActionEvidence, PyConditionEvidence, PyEpisodeColumns};
    #[pymodule_export]
    use crate::embed::{PyHashedEmbedder, words};
    #[pymodule_export]
    use crate::episode::{PyRecordBuilder, encode_json, extend_record, new_id};
    #[pymodule_export]
    use crate::evidence::{benjamini_hochberg, beta_interval, decay, lift, odds_ratio, p_value};
    #[pymodule_export]
    use crate::extract::{
        PyFinding, PyFindings, context_patterns, decision_points, error_recoveries, tool_sequences,
        unpack_contents, unpack_facts,
    };
    #[pymodule_export]
    use crate::index::{PyChoices, PyCluster, PyCompared, PyHit, PyIndex, PyNextStep, PySummary};
    #[pymodule_export]
    use crate::lru::PyLru;
    #[pymodule_export]
    use crate::rank::{diversify, reciprocal_ranks, weighted_sums};
    #[pymodule_export]
    use crate::redact::PyRedactor;
    #[pymodule_export]
    use crate::reward::PyScorer;
    #[pymodule_export]
    use crate::rows::{
        PyEpisodeRow, PySideRecordRow, batch_rows, facts_sql, kind_number, newest_schema, pattern_key,
        read_changes, state_number, stored_value, stored_with_state,
    };
    #[pymodule_export]
    use crate::sandbox::sandbox_worker;
    #[pymodule_export]
    use crate::sequence::{discriminative_sequences, frequent_sequences, ngrams};
    #[pymodule_export]
    use crate::similarity::{
        PyQuantised, PySignBits, context_similarity, jaccard, lcs_coverage, lcs_coverage_many, lcs_length,
        lcs_length_many, lcs_ratio, lcs_ratio_many, levenshtein, levenshtein_many, levenshtein_ratio,
        levenshtein_ratio_many, top_k,
    };
    #[pymodule_export]
    use crate::store::{
        PyChanges, PyStore, begin_fork, check_batch, end_fork, pattern_without_detail, restore,
    };
    #[pymodule_export]
    use crate::trajectory::{PyTrajectory, error_class};

    #[pymodule_export]
    const TEXT_VERSION: u32 = tacit_kernels::text::TEXT_VERSION as u32;
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
