//! The image of a namespace.

use super::super::attempted::Attempted;
use super::super::merges::Merges;
use super::super::searchable::Searchable;
use super::super::statistics::{Measures, Statistics};
use super::super::symbols::Runs;
use super::super::taught::Taught;
use super::super::usage::Usages;
use super::{Document, Domain, IN_BATCH, NamespaceIndex, OK};
use crate::facts::Id;
use crate::image::{Image, ImageReader, check, read_map, read_text, write_map, write_text};
use crate::msgpack::{Malformed, Result};
use crate::trajectory::Complexity;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// One document in an image: times and measures (NaN for none), numbers of names, steps and failed steps, and flags.
type DocumentRow = (Id, ((i64, [f64; 3]), ([u32; 7], [u8; 2])));

const HAS_VECTOR: u8 = 1;
const IS_JUDGED: u8 = 2;
const IS_SUCCESS: u8 = 4;

fn row_of(document: &Document) -> DocumentRow {
    let Document { id, ended_at, base, measures, has_vector, .. } = *document;
    let flag = |bit: u8, is_set: bool| if is_set { bit } else { 0 };
    let flags = flag(HAS_VECTOR, has_vector)
        | flag(IS_JUDGED, measures.is_judged)
        | flag(IS_SUCCESS, measures.is_success);
    let shares = [base, measures.total, measures.seconds].map(|share| share.unwrap_or(f64::NAN));
    let numbers = [
        document.domain,
        document.language,
        document.framework,
        document.task_type,
        document.agent,
        measures.steps,
        measures.failed_steps,
    ];
    (id, ((ended_at, shares), (numbers, [document.complexity as u8, flags])))
}

/// `names` is the number of names: every number of a name lies within it.
fn document_of(row: DocumentRow, names: usize) -> Result<Document> {
    let (id, ((ended_at, shares), (numbers, [complexity, flags]))) = row;
    let [base, total, seconds] = shares.map(|share| (!share.is_nan()).then_some(share));
    let [domain, language, framework, task_type, agent, steps, failed_steps] = numbers;
    check(numbers[..5].iter().all(|number| *number as usize <= names), "a document without its names")?;
    let complexity = Complexity::from_number(complexity).ok_or(Malformed("an unknown complexity"))?;
    let is = |bit: u8| flags & bit != 0;
    let measures = Measures {
        total,
        is_judged: is(IS_JUDGED),
        is_success: is(IS_SUCCESS),
        seconds,
        steps,
        failed_steps,
    };
    Ok(Document {
        id,
        ended_at,
        base,
        measures,
        domain,
        language,
        framework,
        task_type,
        agent,
        complexity,
        has_vector: is(HAS_VECTOR),
    })
}

impl NamespaceIndex {
    /// Returns true if the columns hold episodes that were removed.
    pub(in crate::index) fn has_gaps(&self) -> bool {
        self.live < self.documents.len()
    }

    /// Closes the gaps that removed episodes left. Returns true if numbers changed.
    pub(in crate::index) fn close_gaps(&mut self) -> bool {
        let has_gaps = self.has_gaps();
        if has_gaps {
            self.renumber();
        }
        has_gaps
    }

    /// Marks the names that episodes of this namespace have, by number.
    pub(in crate::index) fn mark_names(&self, is_used: &mut [bool]) {
        let mut mark = |number: u32| is_used[number as usize] = true;
        for (number, document) in (0u32..).zip(&self.documents) {
            let Document { domain, language, framework, task_type, agent, .. } = *document;
            [domain, language, framework, task_type, agent].into_iter().for_each(&mut mark);
            self.runs.iter(number).for_each(&mut mark);
            let failed = self.results.iter(number).map(|result| result & !IN_BATCH).filter(|each| *each > OK);
            failed.for_each(|result| mark(result - 1));
        }
    }

    /// Drops the fixes of errors whose next tool no episode has any more; `is_used` is true for the others.
    pub(in crate::index) fn drop_fixes(&mut self, is_used: impl Fn(u32) -> bool) {
        for known in self.recoveries.values_mut() {
            known.retain(|(next, pattern)| {
                let is_kept = is_used(*next);
                if !is_kept {
                    self.errors.remove(pattern);
                }
                is_kept
            });
        }
        self.recoveries.retain(|_, known| !known.is_empty());
    }

    /// Writes a namespace without gaps.
    pub(in crate::index) fn write(&self, out: &mut Vec<u8>) {
        write_text(&self.namespace, out);
        self.documents.iter().map(row_of).collect::<Vec<DocumentRow>>().write(out);
        self.digest.write(out);
        self.groups.write(out);
        self.copies.write(out);
        self.search.write(out);
        self.runs.write(out);
        self.results.write(out);
        self.taught.write(out);
        write_domains(&self.domains, out);
        write_recoveries(&self.recoveries, out);
        self.merges.write(out);
        write_map(&self.survivors, out);
        self.usages.write(out);
    }

    /// Reads a namespace. Every number of a name lies within `names`.
    pub(in crate::index) fn read(
        input: &mut ImageReader<'_>,
        dimension: usize,
        names: usize,
    ) -> Result<Self> {
        let mut space = Self::new(&read_text(input)?, dimension);
        let rows: Vec<DocumentRow> = Vec::read(input)?;
        space.documents = rows.into_iter().map(|row| document_of(row, names)).collect::<Result<_>>()?;
        let count = space.documents.len();
        space.digest = u64::read(input)?;
        (space.groups, space.copies) = (Vec::read(input)?, Vec::read(input)?);
        space.search = Arc::new(Searchable::read(input)?);
        (space.runs, space.results) = (Runs::read(input)?, Runs::read(input)?);
        space.taught = Taught::read(input)?;
        space.domains = read_domains(input, count)?;
        (space.recoveries, space.errors) = read_recoveries(input, names)?;
        space.merges = Merges::read(input)?;
        space.survivors = read_map(input)?;
        space.usages = Usages::read(input)?;
        space.check_columns(dimension, names)?;
        space.derive();
        Ok(space)
    }

    /// Fails unless every symbol of a pattern lies below `symbols`.
    pub(in crate::index) fn check_symbols(&self, symbols: usize) -> Result<()> {
        check(self.taught.largest_symbol().is_none_or(|each| (each as usize) < symbols), "an unknown pattern")
    }

    fn check_columns(&self, dimension: usize, names: usize) -> Result<()> {
        let count = self.documents.len();
        let lengths = [
            self.groups.len(),
            self.copies.len(),
            self.search.len(),
            self.runs.len(),
            self.results.len(),
            self.taught.len(),
        ];
        check(lengths.iter().all(|length| *length == count), "columns of unequal length")?;
        check(self.search.codes.width() == dimension, "vectors of another dimension")?;
        let is_numbered = |number: &u32| (*number as usize) < self.taught.patterns();
        check(self.survivors.iter().all(|(a, b)| is_numbered(a) && is_numbered(b)), "an unknown survivor")?;
        let is_named = |number: u32| number as usize <= names;
        let named = (0..count as u32).all(|number| {
            self.runs.iter(number).all(is_named)
                && self.results.iter(number).all(|result| is_named((result & !IN_BATCH).saturating_sub(1)))
        });
        check(named, "a step without its names")
    }

    /// Works out what follows from the columns.
    fn derive(&mut self) {
        self.live = self.documents.len();
        self.alive = vec![true; self.live];
        self.members = self.groups.iter().copied().collect();
        self.domain_of = self.documents.iter().map(|document| document.domain).collect();
        self.attempted = Attempted::default();
        for (number, document) in self.documents.iter().enumerate() {
            if let Some(base) = document.base {
                self.attempted.add(document.circumstances(), self.groups[number], number as u32);
                let counts = self.copy_counts.entry(self.copies[number]).or_default();
                counts[0] += 1;
                counts[1] += u32::from(base >= 1.0);
            }
        }
    }
}

fn write_domains(domains: &FxHashMap<u32, Domain>, out: &mut Vec<u8>) {
    let mut sorted: Vec<(&u32, &Domain)> = domains.iter().collect();
    sorted.sort_unstable_by_key(|(number, _)| **number);
    (sorted.len() as u64).write(out);
    for (number, domain) in sorted {
        number.write(out);
        domain.statistics.write(out);
        domain.recent.write(out);
    }
}

fn read_domains(input: &mut ImageReader<'_>, documents: usize) -> Result<FxHashMap<u32, Domain>> {
    let mut domains = FxHashMap::default();
    for _ in 0..input.count(4)? {
        let number = u32::read(input)?;
        let domain = Domain { statistics: Statistics::read(input)?, recent: Vec::read(input)? };
        check(domain.recent.iter().all(|each| (*each as usize) < documents), "a domain of no episode")?;
        domains.insert(number, domain);
    }
    Ok(domains)
}

type Recoveries = FxHashMap<u64, Vec<(u32, Id)>>;

fn write_recoveries(recoveries: &Recoveries, out: &mut Vec<u8>) {
    let mut rows: Vec<(u64, (u32, Id))> =
        recoveries.iter().flat_map(|(error, known)| known.iter().map(|way| (*error, *way))).collect();
    // Stable: the ways out of one error stay in the order in which they were met.
    rows.sort_by_key(|(error, _)| *error);
    rows.write(out);
}

fn read_recoveries(input: &mut ImageReader<'_>, names: usize) -> Result<(Recoveries, FxHashMap<Id, u64>)> {
    let (mut recoveries, mut errors) = (Recoveries::default(), FxHashMap::default());
    for (error, (next, pattern)) in Vec::<(u64, (u32, Id))>::read(input)? {
        check(next as usize <= names, "a fix without its name")?;
        recoveries.entry(error).or_default().push((next, pattern));
        errors.insert(pattern, error);
    }
    Ok((recoveries, errors))
}
