//! The sums of facts, kept up to a watermark: a commit of one episode does not touch them, one in many folds.
//!
//! What the sums are is defined by the facts alone: the rows of `sum`, the facts of episodes put after the watermark,
//! less the facts of episodes that the rows hold and that were removed after it.

use rustc_hash::FxHashMap;
use tacit_kernels::evidence::{Ledger, PackedSums, StratumKey, Sum, decode_sums, month_of};
use tacit_kernels::facts::{Fact, decode_facts};

use crate::batch::{EpisodeRecord, State, Sums};
use crate::durable::landing::newest;
use crate::durable::queries::{Connection, Row, blob, text};
use crate::error::{Result, StorageError};

/// So many changes may wait until a commit folds them.
pub(crate) const DUE: i64 = 256;

const FOLDED: &str = "SELECT folded FROM meta";
const SET_FOLDED: &str = "UPDATE meta SET folded = ?";
const PUT_SINCE: &str = "SELECT id, record FROM episode WHERE sequence > ?";
const REMOVED_SINCE: &str = "SELECT id, record FROM tombstone WHERE sequence > ? AND put <= ?";
const STRATUM: &str = "INSERT INTO stratum (namespace, domain, agent, complexity, month) \
    VALUES ((SELECT number FROM namespace WHERE name = ?), ?, ?, ?, ?) ON CONFLICT DO NOTHING";
const NUMBER_OF_STRATUM: &str = "SELECT number FROM stratum \
    WHERE namespace = (SELECT number FROM namespace WHERE name = ?) \
    AND domain = ? AND agent = ? AND complexity = ? AND month = ?";
const ADD: &str = "INSERT INTO sum (stratum, pattern, kind, trials, successes, episodes, outcomes, last_seen) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stratum, pattern, kind) DO UPDATE SET \
    trials = trials + excluded.trials, successes = successes + excluded.successes, \
    episodes = episodes + excluded.episodes, outcomes = outcomes + excluded.outcomes, \
    last_seen = max(last_seen, excluded.last_seen)";
const TAKE: &str = "UPDATE sum SET trials = trials - ?, successes = successes - ?, \
    episodes = episodes - ?, outcomes = outcomes - ? WHERE stratum = ? AND pattern = ? AND kind = ?";
const DROP: &str = "DELETE FROM sum WHERE stratum = ? AND pattern = ? AND kind = ? AND episodes <= 0";
const STRATA: &str = "SELECT stratum.number, CAST(namespace.name AS BLOB), CAST(domain AS BLOB), \
    CAST(agent AS BLOB), complexity, month FROM stratum JOIN namespace ON namespace.number = namespace";
const ROWS: &str = "SELECT stratum, pattern, kind, trials, successes, episodes, outcomes, last_seen FROM sum";

/// The change up to which the sums hold everything.
pub(crate) fn watermark(connection: &mut Connection) -> Result<i64> {
    connection.number(FOLDED, vec![])
}

/// Folds every change up to `newest` into the sums. Runs inside a transaction.
pub(crate) fn fold(connection: &mut Connection, newest: i64) -> Result<()> {
    let folded = watermark(connection)?;
    let added = ledger_of(connection, PUT_SINCE, vec![folded.into()])?;
    let taken = ledger_of(connection, REMOVED_SINCE, vec![folded.into(), folded.into()])?;
    let mut strata = Strata::default();
    for (stratum, sum) in numbered(connection, &mut strata, &added)? {
        connection.execute(ADD, row_of(stratum, &sum))?;
    }
    for (stratum, sum) in numbered(connection, &mut strata, &taken)? {
        take(connection, stratum, &sum)?;
    }
    connection.execute(SET_FOLDED, vec![newest.into()])?;
    Ok(())
}

/// The facts of the records that `sql` selects. They are summed in a ledger, so that the store and the resident
/// evidence cannot disagree about what a fact counts.
fn ledger_of(connection: &mut Connection, sql: &str, values: Vec<libsql::Value>) -> Result<Ledger> {
    let mut ledger = Ledger::new();
    each_taught(connection, sql, values, |episode, key, facts| {
        ledger.add(key, episode.base, facts, episode.ended_at);
    })?;
    Ok(ledger)
}

/// Tells `visit` the stratum and the facts of each record that `sql` selects and that was learned from.
fn each_taught(
    connection: &mut Connection,
    sql: &str,
    values: Vec<libsql::Value>,
    mut visit: impl FnMut(&EpisodeRecord<'_>, StratumKey<'_>, &[Fact]),
) -> Result<()> {
    connection.rows(sql, values, |row| {
        let (id, record) = (row.id(0)?, row.blob(1)?);
        let episode = EpisodeRecord::decode(&id, &record)?;
        if episode.state == State::Learned {
            let facts =
                decode_facts(episode.facts).map_err(|fault| StorageError::corrupt(fault.to_string()))?;
            visit(&episode, stratum_of(&episode), &facts);
        }
        Ok(())
    })?;
    Ok(())
}

fn stratum_of<'a>(episode: &EpisodeRecord<'a>) -> StratumKey<'a> {
    StratumKey {
        namespace: episode.namespace,
        domain: episode.domain,
        agent: episode.agent,
        complexity: episode.complexity as u8,
        month: month_of(episode.ended_at),
    }
}

type Strata = FxHashMap<(String, String, String, u8, u32), i64>;

/// The sums of `ledger` with the numbers of their strata, in the order in which they are stored.
fn numbered<'a>(
    connection: &mut Connection,
    strata: &mut Strata,
    ledger: &'a Ledger,
) -> Result<Vec<(i64, Sum<'a>)>> {
    let mut sums = Vec::new();
    for sum in ledger.sums() {
        sums.push((number_of(connection, strata, &sum.stratum)?, sum));
    }
    sums.sort_unstable_by_key(|(stratum, sum)| (*stratum, sum.pattern));
    Ok(sums)
}

fn number_of(connection: &mut Connection, strata: &mut Strata, key: &StratumKey<'_>) -> Result<i64> {
    let agent = key.agent.unwrap_or_default();
    let known =
        (key.namespace.to_owned(), key.domain.to_owned(), agent.to_owned(), key.complexity, key.month);
    if let Some(number) = strata.get(&known) {
        return Ok(*number);
    }
    let values = || {
        let numbers = [i64::from(key.complexity), i64::from(key.month)];
        let [complexity, month] = numbers.map(libsql::Value::Integer);
        vec![text(key.namespace), text(key.domain), text(agent), complexity, month]
    };
    connection.execute(STRATUM, values())?;
    let number = connection.number(NUMBER_OF_STRATUM, values())?;
    strata.insert(known, number);
    Ok(number)
}

fn row_of(stratum: i64, sum: &Sum<'_>) -> Vec<libsql::Value> {
    vec![
        stratum.into(),
        blob(&sum.pattern),
        i64::from(sum.kind).into(),
        (sum.trials as i64).into(),
        sum.successes.into(),
        (sum.episodes as i64).into(),
        sum.outcomes.into(),
        sum.last_seen.into(),
    ]
}

fn take(connection: &mut Connection, stratum: i64, sum: &Sum<'_>) -> Result<()> {
    let key = || vec![stratum.into(), blob(&sum.pattern), i64::from(sum.kind).into()];
    let mut values = vec![
        (sum.trials as i64).into(),
        sum.successes.into(),
        (sum.episodes as i64).into(),
        sum.outcomes.into(),
    ];
    values.extend(key());
    connection.execute(TAKE, values)?;
    connection.execute(DROP, key())?;
    Ok(())
}

/// The sums of every change there is. Runs inside a snapshot.
pub(crate) fn sums(connection: &mut Connection) -> Result<Sums> {
    let (folded, newest) = (watermark(connection)?, newest(connection)?);
    let packed = stored(connection)?;
    if folded == newest {
        return Ok(Sums { watermark: newest, packed });
    }
    let mut ledger = Ledger::new();
    ledger.load(decode_sums(&packed).map_err(|fault| StorageError::corrupt(fault.to_string()))?);
    each_taught(connection, PUT_SINCE, vec![folded.into()], |episode, key, facts| {
        ledger.add(key, episode.base, facts, episode.ended_at);
    })?;
    each_taught(connection, REMOVED_SINCE, vec![folded.into(), folded.into()], |episode, key, facts| {
        ledger.remove(key, episode.base, facts);
    })?;
    Ok(Sums { watermark: newest, packed: PackedSums::of(ledger.sums()) })
}

/// The sums up to the watermark, packed.
fn stored(connection: &mut Connection) -> Result<Vec<u8>> {
    let mut packed = PackedSums::default();
    let mut positions = FxHashMap::default();
    connection.rows(STRATA, vec![], |row| {
        let (namespace, domain, agent) = (row.text(1)?, row.text(2)?, row.text(3)?);
        let key = StratumKey {
            namespace: &namespace,
            domain: &domain,
            agent: (!agent.is_empty()).then_some(&agent),
            complexity: whole(row.integer(4)?)?,
            month: whole(row.integer(5)?)?,
        };
        positions.insert(row.integer(0)?, packed.stratum(&key));
        Ok(())
    })?;
    connection.rows(ROWS, vec![], |row| {
        let unknown = || StorageError::corrupt("a sum without its stratum");
        let position = *positions.get(&row.integer(0)?).ok_or_else(unknown)?;
        packed.sum(position, &sum_of(row)?);
        Ok(())
    })?;
    Ok(packed.finish())
}

fn sum_of(row: &Row) -> Result<Sum<'static>> {
    let elsewhere = StratumKey { namespace: "", domain: "", agent: None, complexity: 0, month: 0 };
    Ok(Sum {
        stratum: elsewhere,
        pattern: row.id(1)?,
        kind: whole(row.integer(2)?)?,
        trials: whole(row.integer(3)?)?,
        successes: row.real(4)?,
        episodes: whole(row.integer(5)?)?,
        outcomes: row.real(6)?,
        last_seen: row.integer(7)?,
    })
}

fn whole<T: TryFrom<i64>>(number: i64) -> Result<T> {
    T::try_from(number).map_err(|_| StorageError::corrupt(format!("{number} is out of range")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::example::{close, commit, episode, id, open, removal, taught};
    use crate::{Batch, EpisodeRecord, Figure, Op, Store};
    use proptest::prelude::*;

    type Totals = BTreeMap<(String, Vec<u8>, u32), (u64, u64, u64, u64)>;

    fn totals<'a>(sums: impl IntoIterator<Item = Sum<'a>>) -> Totals {
        let mut totals = Totals::new();
        for sum in sums {
            let key = (sum.stratum.namespace.to_owned(), sum.pattern.to_vec(), sum.stratum.month);
            let value = (sum.trials, sum.successes.to_bits(), sum.episodes, sum.outcomes.to_bits());
            assert!(totals.insert(key, value).is_none());
        }
        totals
    }

    /// The sums as the facts of what is there define them.
    fn rebuilt(store: &Store) -> Totals {
        let changes = store.changes(0, usize::MAX).unwrap();
        let mut ledger = Ledger::new();
        for change in changes.rows.iter().filter(|change| change.op == Op::Put) {
            let put = change.episode().unwrap();
            ledger.add(stratum_of(&put), put.base, &decode_facts(put.facts).unwrap(), put.ended_at);
        }
        totals(ledger.sums())
    }

    fn batch(number: u64, pattern: u64, share: f64) -> Batch {
        let (facts, contents) = taught(pattern, share);
        let namespace = if number.is_multiple_of(2) { "even" } else { "odd" };
        let mut batch = Batch::default();
        let put = EpisodeRecord { namespace, base: Some(share), ..episode(number, &[], &facts) };
        batch.put(&put, &contents).unwrap();
        batch
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn sums_after_any_puts_removals_and_folds_equal_those_rebuilt_from_the_facts(
            moves in prop::collection::vec((0..60u64, 0..4u64, 0.0..=1.0f64, 0..12u8), 1..80),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut store = open(folder.path());
            for (number, pattern, share, verb) in moves {
                match verb {
                    0..4 => { commit(&store, removal(number)).unwrap(); }
                    4 => {
                        close(&store);
                        store = open(folder.path());
                    }
                    // The same id with another share is a conflict or nothing new: both leave the sums alone.
                    _ => { let _ = commit(&store, batch(number, pattern, share)); }
                }
            }
            for _ in 0..2 {
                let sums = store.sums().unwrap();
                prop_assert_eq!(sums.watermark, store.sequence().unwrap());
                prop_assert_eq!(totals(decode_sums(&sums.packed).unwrap()), rebuilt(&store));
                close(&store);
                store = open(folder.path());
            }
        }
    }

    #[test]
    fn a_commit_folds_once_enough_changes_wait() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        for number in 0..300 {
            commit(&store, batch(number, number % 5, 1.0 / 3.0)).unwrap();
        }
        let folded = store.stats().unwrap().into_iter().find(|(name, _)| *name == "folded");
        assert_eq!(folded, Some(("folded", Figure::Count(DUE))));
        assert_eq!(totals(decode_sums(&store.sums().unwrap().packed).unwrap()), rebuilt(&store));
    }

    #[test]
    fn only_what_was_learned_from_counts() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let (facts, _) = taught(1, 1.0);
        let mut batch = Batch::default();
        batch.put(&EpisodeRecord { state: State::Pending, ..episode(1, &[], &facts) }, &[]).unwrap();
        batch.put(&EpisodeRecord { base: None, ..episode(2, &[], &facts) }, &[]).unwrap();
        commit(&store, batch).unwrap();
        assert_eq!(store.pending(10).unwrap(), [id(1)]);
        close(&store);
        assert_eq!(decode_sums(&open(folder.path()).sums().unwrap().packed), Ok(vec![]));
    }
}
