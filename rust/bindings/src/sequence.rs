//! Patterns of sequences, as Python sees them.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use tacit_kernels::sequence::{self as kernels, Patterns, SequenceLimits, Sequences};

use crate::convert;
use crate::error::{invalid, too_large};

/// Longer patterns are runs that nobody reads.
const LONGEST: usize = 16;

/// More would make a pattern of symbols that have little to do with each other.
const WIDEST_GAP: usize = 4;

type Symbols<'py> = PyReadonlyArray1<'py, u64>;
type Column<'py, T> = Bound<'py, PyArray1<T>>;
type Columns<'py> = (Column<'py, u64>, Column<'py, u64>, Column<'py, u32>);
type Counted<'py> = (Column<'py, u64>, Column<'py, u64>, Column<'py, u32>, Column<'py, u32>);
type Contrasted<'py> =
    (Column<'py, u64>, Column<'py, u64>, Column<'py, u32>, Column<'py, u32>, Column<'py, f64>);

/// Every run of `shortest` to `longest` symbols found in `min_support` sequences: the runs in two columns, the
/// sequences that hold each, and its occurrences in all. In lexical order, by the order in which symbols were first
/// used.
#[pyfunction]
#[pyo3(signature = (symbols, offsets, *, shortest = 2, longest = 5, min_support = 1))]
pub(crate) fn ngrams<'py>(
    py: Python<'py>,
    symbols: Symbols<'py>,
    offsets: Symbols<'py>,
    shortest: usize,
    longest: usize,
    min_support: u32,
) -> PyResult<Counted<'py>> {
    let sequences = counted(convert::sequences(&symbols, &offsets)?)?;
    let limits = checked(SequenceLimits { shortest, longest, gap: 0, min_support })?;
    let found = py.detach(|| kernels::ngrams(sequences, limits));
    let (symbols, offsets, support) = columns(py, found.patterns);
    Ok((symbols, offsets, support, found.occurrences.into_pyarray(py)))
}

/// The closed patterns of `shortest` to `longest` symbols, of which at most `gap` in all may be passed over between,
/// found in `min_support` sequences: in two columns, with the number of sequences each is found in. A pattern is closed
/// if no pattern with one more symbol is found in the same sequences. The more frequent first, then the shorter.
#[pyfunction]
#[pyo3(signature = (symbols, offsets, *, min_support, shortest = 2, longest = 5, gap = 1))]
pub(crate) fn frequent_sequences<'py>(
    py: Python<'py>,
    symbols: Symbols<'py>,
    offsets: Symbols<'py>,
    min_support: u32,
    shortest: usize,
    longest: usize,
    gap: usize,
) -> PyResult<Columns<'py>> {
    let sequences = counted(convert::sequences(&symbols, &offsets)?)?;
    let limits = checked(SequenceLimits { shortest, longest, gap, min_support })?;
    let found = py.detach(|| kernels::frequent(sequences, limits));
    Ok(columns(py, found))
}

/// The closed patterns of `frequent_sequences` with the successes among the sequences of each and a score: the
/// logarithm of the odds ratio divided by its standard error, above 0 if the pattern goes with success. The
/// clearest first.
#[pyfunction]
#[pyo3(signature = (symbols, offsets, successes, *, min_support, shortest = 2, longest = 5, gap = 1))]
#[allow(clippy::too_many_arguments, reason = "three columns and the four limits, each by its name")]
pub(crate) fn discriminative_sequences<'py>(
    py: Python<'py>,
    symbols: Symbols<'py>,
    offsets: Symbols<'py>,
    successes: PyReadonlyArray1<'py, bool>,
    min_support: u32,
    shortest: usize,
    longest: usize,
    gap: usize,
) -> PyResult<Contrasted<'py>> {
    let sequences = counted(convert::sequences(&symbols, &offsets)?)?;
    let successes = one_each(sequences, convert::row("successes", &successes)?)?;
    let limits = checked(SequenceLimits { shortest, longest, gap, min_support })?;
    let found = py.detach(|| kernels::discriminative(sequences, successes, limits));
    let (symbols, offsets, support) = columns(py, found.patterns);
    Ok((symbols, offsets, support, found.successes.into_pyarray(py), found.scores.into_pyarray(py)))
}

fn checked(limits: SequenceLimits) -> PyResult<SequenceLimits> {
    let SequenceLimits { shortest, longest, gap, min_support } = limits;
    convert::positive("shortest", shortest)?;
    convert::positive("min_support", min_support as usize)?;
    if !(shortest..=LONGEST).contains(&longest) {
        return Err(invalid("longest", &format!("must be within shortest and {LONGEST}"), longest));
    }
    if gap > WIDEST_GAP {
        return Err(invalid("gap", &format!("must be at most {WIDEST_GAP}"), gap));
    }
    Ok(limits)
}

/// Places are numbers of 32 bits.
fn counted<'a>(sequences: Sequences<'a>) -> PyResult<Sequences<'a>> {
    let places = sequences.symbols().len() + sequences.len();
    let fits = places < u32::MAX as usize;
    fits.then_some(sequences).ok_or_else(|| too_large("symbols", "must be fewer than 4,294,967,295", places))
}

fn one_each<'a>(sequences: Sequences, successes: &'a [bool]) -> PyResult<&'a [bool]> {
    let limit = format!("must have an entry for each of the {} sequences", sequences.len());
    let fits = successes.len() == sequences.len();
    fits.then_some(successes).ok_or_else(|| invalid("successes", &limit, successes.len()))
}

fn columns(py: Python<'_>, patterns: Patterns) -> Columns<'_> {
    (patterns.symbols.into_pyarray(py), patterns.offsets.into_pyarray(py), patterns.support.into_pyarray(py))
}
