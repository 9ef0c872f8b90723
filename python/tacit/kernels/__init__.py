"""The native kernels by themselves: similarity, sequence mining, clustering, ranking and evidence.

They work without a memory: on sequences of any hashable items, on arrays, and on counts.

    from tacit import kernels

    kernels.lcs_ratio(["find", "open", "edit"], ["find", "edit"])

Importing this module imports NumPy.
"""

from __future__ import annotations

from .clusters import Clusters, dbscan, dbscan_distances, dbscan_sequences, kmeans
from .evidence import Interval, benjamini_hochberg, beta_interval, decay, lift, odds_ratio, p_value
from .ranking import Lru, diversify, reciprocal_ranks, weighted_sums
from .sequences import (
    DiscriminativeSequence,
    FrequentSequence,
    Ngram,
    discriminative_sequences,
    frequent_sequences,
    ngrams,
)
from .similarity import (
    Quantised,
    SignBits,
    context_similarity,
    jaccard,
    lcs_coverage,
    lcs_coverage_many,
    lcs_length,
    lcs_length_many,
    lcs_ratio,
    lcs_ratio_many,
    levenshtein,
    levenshtein_many,
    levenshtein_ratio,
    levenshtein_ratio_many,
    top_k,
)
from .texts import error_class, words

__all__ = [
    "Clusters",
    "DiscriminativeSequence",
    "FrequentSequence",
    "Interval",
    "Lru",
    "Ngram",
    "Quantised",
    "SignBits",
    "benjamini_hochberg",
    "beta_interval",
    "context_similarity",
    "dbscan",
    "dbscan_distances",
    "dbscan_sequences",
    "decay",
    "discriminative_sequences",
    "diversify",
    "error_class",
    "frequent_sequences",
    "jaccard",
    "kmeans",
    "lcs_coverage",
    "lcs_coverage_many",
    "lcs_length",
    "lcs_length_many",
    "lcs_ratio",
    "lcs_ratio_many",
    "levenshtein",
    "levenshtein_many",
    "levenshtein_ratio",
    "levenshtein_ratio_many",
    "lift",
    "ngrams",
    "odds_ratio",
    "p_value",
    "reciprocal_ranks",
    "top_k",
    "weighted_sums",
    "words",
]
