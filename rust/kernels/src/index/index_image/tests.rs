//! A process that begins with an image answers as any other, whatever happens later.

use super::*;
use crate::evidence::{Order, Page, Slice};
use crate::extract::{recoveries, recovery_id};
use crate::facts::{Fact, Id, PatternKind};
use crate::index::usage::{Content, SideRecordEntry};
use crate::index::{DEFAULT_WEIGHTS, Entry, PreparedChange, Query, RecallLimits};
use crate::trajectory::{Complexity, Trajectory, symbol};
use proptest::prelude::*;
use std::fmt::Write;

const SPACES: [&str; 2] = ["default", "tenant"];
const DOMAINS: [&str; 2] = ["retail", "airline"];
const TOOLS: [&str; 4] = ["search", "open", "pay", "cancel"];
const TASKS: [&str; 4] = ["cancel order 7", "refund the seat", "cancel order 9 and refund", "book a flight"];

/// One change of a history.
#[derive(Clone, Debug)]
enum Happening {
    /// An episode with this number ends, or is judged or replaced.
    Put(u8, [u8; 4], Vec<(u8, i8)>, Option<f64>),
    Forget(u8),
    Receipt(u8, Vec<u8>),
    Credit(u8, Vec<(u8, f64)>),
    Merge(u8, Vec<(u8, u8)>),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let run = prop::collection::vec((0u8..4, -1i8..2), 0..6);
    let base = prop::sample::select(vec![None, Some(0.0), Some(1.0), Some(0.5)]);
    let put = (0u8..12, any::<[u8; 4]>(), run, base)
        .prop_map(|(number, features, run, base)| Happening::Put(number, features, run, base));
    let uses = prop::collection::vec((0u8..12, 0.0..=1.0f64), 0..3);
    let happening = prop_oneof![
        8 => put,
        2 => (0u8..12).prop_map(Happening::Forget),
        1 => (0u8..4, prop::collection::vec(0u8..12, 0..4)).prop_map(|(id, items)| Happening::Receipt(id, items)),
        1 => (0u8..4, uses).prop_map(|(id, uses)| Happening::Credit(id, uses)),
        1 => (0u8..2, prop::collection::vec((0u8..6, 0u8..6), 0..3)).prop_map(|(at, pairs)| Happening::Merge(at, pairs)),
    ];
    prop::collection::vec(happening, 0..40)
}

fn id(number: u8) -> Id {
    [number + 1; 16]
}

fn entry(number: u8, features: [u8; 4], run: &[(u8, i8)], base: Option<f64>) -> Box<Entry> {
    let pick = |at: usize, from: &[&str]| from[features[at] as usize % from.len()].to_owned();
    let class = |(tool, ok): &(u8, i8)| (*ok == 0).then(|| format!("class {}", tool % 2));
    let trajectory = Trajectory {
        namespace: pick(0, &SPACES),
        domain: pick(1, &DOMAINS),
        task: pick(2, &TASKS),
        task_key: (features[3].is_multiple_of(3)).then(|| pick(2, &TASKS)),
        agent: (features[3].is_multiple_of(2)).then(|| "agent".to_owned()),
        complexity: Complexity::from_number(features[3] % 4).unwrap_or_default(),
        tags: vec![pick(3, &["fast", "cheap"])],
        started_at: i64::from(features[3]) * 86_400_000_000,
        ended_at: Some(i64::from(features[3]) * 86_400_000_000 * 3),
        timed: features[2].is_multiple_of(2),
        base,
        reward_total: base.map(|base| base + f64::from(features[0])),
        tool_names: TOOLS.iter().map(|tool| (*tool).to_owned()).collect(),
        tool_indices: run.iter().map(|(tool, _)| u32::from(*tool)).collect(),
        tools: run.iter().map(|(tool, _)| symbol(TOOLS[*tool as usize])).collect(),
        ok: run.iter().map(|(_, ok)| *ok).collect(),
        error_classes: run.iter().map(class).collect(),
        salient: pick(0, &["card declined", "seat taken"]),
        ..Trajectory::default()
    };
    let share = base.unwrap_or(0.0);
    let mut facts: Vec<Fact> = (0..features[1] % 4)
        .map(|at| Fact { pattern: id(at), kind: at % 2, occurrences: 1 + u16::from(at), successes: share })
        .collect();
    for (tool, class, next) in recoveries(&trajectory) {
        let pattern = recovery_id(tool, class, next);
        if !facts.iter().any(|fact| fact.pattern == pattern) {
            let kind = PatternKind::ErrorRecovery as u8;
            facts.push(Fact { pattern, kind, occurrences: 1, successes: share });
        }
    }
    let vector = (!features[2].is_multiple_of(3))
        .then(|| features.iter().map(|each| f32::from(*each) - 99.0).collect());
    Box::new(Entry::from_trajectory(trajectory, id(number), facts, vector))
}

fn follow(index: &mut Index, sequence: i64, happening: &Happening) {
    match happening {
        Happening::Put(number, features, run, base) => {
            index.apply([PreparedChange::Put(entry(*number, *features, run, *base))], sequence);
        }
        Happening::Forget(number) => index.apply([PreparedChange::Remove(id(*number))], sequence),
        Happening::Receipt(number, items) => {
            let shown = items.iter().map(|item| id(*item)).collect();
            let content = Content::Receipt((number % 2 == 0).then(|| (id(*number), shown)));
            index.count([SideRecordEntry { id: id(*number), namespace: SPACES[0].to_owned(), content }]);
        }
        Happening::Credit(number, uses) => {
            let uses = uses.iter().map(|(memory, share)| Content::used(id(*memory), 1.0, *share)).collect();
            let content = Content::Credit((number % 2 == 0).then_some(uses));
            index.count([SideRecordEntry { id: id(*number), namespace: SPACES[1].to_owned(), content }]);
        }
        Happening::Merge(at, pairs) => {
            let pairs: Vec<(Id, Id)> = pairs.iter().map(|(a, b)| (id(*a), id(*b))).collect();
            index.merge(SPACES[*at as usize], &pairs);
        }
    }
}

/// Answers that depend on everything in the index, as text.
fn answers(index: &Index) -> String {
    answers_in(index, &[Order::Confidence, Order::Trials, Order::Recent])
}

/// `answers` with the patterns in these orders.
fn answers_in(index: &Index, orders: &[Order]) -> String {
    let mut told = String::new();
    let ids: Vec<Id> = (0..12).map(id).collect();
    let slices =
        [Slice::default(), Slice { domain: Some(DOMAINS[0]), agent: Some("agent"), ..Slice::default() }];
    for namespace in SPACES {
        for (number, task) in TASKS.iter().enumerate() {
            let vector = [number as f32, 1.0, -2.0, 0.5];
            let query = Query {
                namespace,
                task,
                vector: Some(&vector),
                domain: Some(DOMAINS[number % 2]),
                language: None,
                tags: &["fast"],
                tools: &TOOLS[..number],
                now: 1 << 50,
                half_life: Some(1e12),
                weights: DEFAULT_WEIGHTS,
            };
            let limits = RecallLimits {
                limit: 9,
                neighbours: 9,
                candidates: 100,
                per_task: 2,
                per_copy: 1,
                diversity: 0.3,
                successes_only: number == 3,
                decay: None,
            };
            let found = index.recall(&query, &limits);
            let nearest = index.similar(&query, 9, false);
            let _ = writeln!(told, "{found:?} {nearest:?}");
            let _ = writeln!(told, "{:?}", index.next_steps(&TOOLS[..number], &nearest));
            for slice in &slices {
                let _ = writeln!(told, "{:?}", index.supporting_patterns(namespace, &nearest, slice, 4, 4));
            }
            let _ = writeln!(
                told,
                "{:?} {:?}",
                index.attempts(namespace, task),
                index.earlier_attempts(namespace, task)
            );
        }
        let _ = writeln!(told, "{:?}", index.task_attempts(namespace, &ids, 3));
        let plans = index.plans(namespace, None, 100);
        let _ = writeln!(told, "{:?} {:?}", plans.clusters(0.4, 1), index.choices(namespace, None));
        for domain in DOMAINS {
            let _ = writeln!(told, "{:?}", index.medians(namespace, domain));
            let _ = writeln!(told, "{:?}", index.percentile(namespace, domain, 1.5));
        }
        for slice in &slices {
            let expected = index.expected(namespace, slice, 4.0);
            let compared = index.compared(namespace, slice, 1);
            let _ = writeln!(told, "{expected:?} {compared:?}");
            for order in orders {
                let page = Page { order: *order, ..Page::default() };
                let _ = writeln!(told, "{:?}", index.ledger().patterns(namespace, None, slice, page));
            }
        }
        for tool in TOOLS {
            for class in ["class 0", "class 1"] {
                let _ = writeln!(told, "{:?}", index.recoveries(namespace, tool, class));
                let _ = writeln!(told, "{:?}", index.best_recovery(namespace, tool, class));
            }
        }
        let frequent = index.ledger().frequent(namespace);
        let known: Vec<_> =
            ids.iter().map(|id| (index.usage(namespace, id), index.survivor(namespace, id))).collect();
        let _ = writeln!(told, "{known:?} {frequent} {}", index.digest(namespace));
    }
    let mut sums: Vec<String> = index.ledger().sums().map(|sum| format!("{sum:?}")).collect();
    sums.sort_unstable();
    let _ = writeln!(told, "{sums:?} {}", index.len());
    told
}

fn new() -> Index {
    Index::new("embedder", 4)
}

fn saved(index: &mut Index) -> Vec<u8> {
    index.tidy();
    index.image().expect("a tidy index has an image")
}

fn read(image: &[u8]) -> Index {
    Index::from_image(image, "embedder", 4).unwrap().unwrap()
}

/// The episodes that are left, in their order, the receipts and credits that are there, and the merges that hold.
fn what_is_left(history: &[Happening]) -> Vec<Happening> {
    let same = |a: &Happening, b: &Happening| match (a, b) {
        (Happening::Put(a, ..) | Happening::Forget(a), Happening::Put(b, ..) | Happening::Forget(b)) => {
            a == b
        }
        (Happening::Receipt(a, _), Happening::Receipt(b, _)) => a == b,
        (Happening::Credit(a, _), Happening::Credit(b, _)) => a == b,
        (Happening::Merge(a, _), Happening::Merge(b, _)) => a == b,
        _ => false,
    };
    let is_last = |at: usize| !history[at + 1..].iter().any(|later| same(&history[at], later));
    let left = (0..history.len()).filter(|at| is_last(*at)).map(|at| history[at].clone());
    left.filter(|each| !matches!(each, Happening::Forget(_))).collect()
}

/// Answers but for the time of the last sighting, which may outlive the episode that it is of.
fn without_last_seen(index: &Index) -> String {
    answers_in(index, &[Order::Confidence, Order::Trials])
        .split(", ")
        .filter(|part| !part.contains("last_seen"))
        .collect::<Vec<_>>()
        .join(", ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_index_that_begins_with_an_image_answers_as_one_that_followed_everything(
        history in happenings(),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(history.len() + 1);
        let (mut one, mut untouched) = (new(), new());
        for (sequence, happening) in (1..).zip(&history[..cut]) {
            follow(&mut one, sequence, happening);
            follow(&mut untouched, sequence, happening);
        }
        let image = saved(&mut one);
        let mut other = read(&image);
        prop_assert_eq!(&saved(&mut other), &image);
        prop_assert_eq!(other.sequence(), one.sequence());
        for (sequence, happening) in (1 + cut as i64..).zip(&history[cut..]) {
            [&mut one, &mut other, &mut untouched].into_iter().for_each(|index| follow(index, sequence, happening));
        }
        let told = answers(&untouched);
        prop_assert_eq!(&answers(&one), &told);
        prop_assert_eq!(&answers(&other), &told);
        if !history.iter().any(|happening| matches!(happening, Happening::Merge(..))) {
            prop_assert_eq!(saved(&mut one), saved(&mut other));
            let mut replayed = new();
            for (sequence, happening) in (1..).zip(what_is_left(&history)) {
                follow(&mut replayed, sequence, &happening);
            }
            prop_assert_eq!(without_last_seen(&replayed), without_last_seen(&untouched));
        }
    }

    #[test]
    fn bytes_that_are_no_image_are_refused_or_read_without_a_panic(
        history in happenings(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
    ) {
        let mut index = new();
        (1..).zip(&history).for_each(|(sequence, happening)| follow(&mut index, sequence, happening));
        let mut image = saved(&mut index);
        let cut = length.index(image.len());
        prop_assert!(Index::from_image(&image[..cut], "embedder", 4).is_err());
        for (at, byte) in flips {
            let place = at.index(image.len());
            image[place] = byte;
        }
        let _ = Index::from_image(&image, "embedder", 4);
    }
}

#[test]
fn an_image_is_of_one_version_and_of_one_embedder() {
    let mut index = new();
    index.apply([PreparedChange::Put(entry(1, [1; 4], &[(1, 1)], Some(1.0)))], 1);
    let mut image = saved(&mut index);
    assert!(Index::from_image(&image, "other", 4).unwrap().is_none());
    assert!(Index::from_image(&image, "embedder", 5).unwrap().is_none());
    image[0] ^= 1;
    assert!(Index::from_image(&image, "embedder", 4).unwrap().is_none());
}

#[test]
fn an_index_with_gaps_has_no_image_until_it_is_tidy() {
    let mut index = new();
    for number in [1, 2] {
        index.apply([PreparedChange::Put(entry(number, [1; 4], &[(1, 1)], Some(1.0)))], i64::from(number));
    }
    index.apply([PreparedChange::Remove(id(1))], 3);
    assert!(index.image().is_none());
    index.tidy();
    assert!(index.image().is_some());
}

#[test]
fn the_names_of_a_forgotten_episode_are_in_no_image() {
    let mut index = new();
    let mut secret = entry(1, [0; 4], &[(0, 0), (1, 1)], Some(1.0));
    secret.domain = "secret domain".to_owned();
    secret.agent = Some("secret agent".to_owned());
    secret.tool_names = TOOLS.iter().map(|tool| format!("secret {tool}")).collect();
    secret.error_classes = vec![Some("secret class".to_owned()), None];
    secret.recoveries.iter_mut().for_each(|each| each.next = "secret next".to_owned());
    index
        .apply([PreparedChange::Put(secret), PreparedChange::Put(entry(2, [0; 4], &[(2, 1)], Some(1.0)))], 2);
    let has_secret = |image: &[u8]| image.windows(6).any(|window| window == b"secret");
    assert!(has_secret(&saved(&mut index)));
    index.apply([PreparedChange::Remove(id(1))], 3);
    let image = saved(&mut index);
    assert!(!has_secret(&image));
    assert_eq!(answers(&read(&image)), answers(&index));
}

/// The image of a small index of every kind of content. If this fails the bytes of an image, or something that they are
/// worked out by, changed: raise `IMAGE_VERSION`, so that no process reads an older image, and put the new hash here.
#[test]
fn the_bytes_of_an_image_change_only_with_its_version() {
    let mut index = new();
    for number in 0..6u8 {
        let run = [(number % 4, i8::from(number % 2 == 0)), (1, 1), (2, 0)];
        // The vectors are of whole numbers: their lengths are the same on every processor.
        let put = PreparedChange::Put(entry(number, [number, 3, number / 2, 6], &run, Some(1.0)));
        index.apply([put], i64::from(number) + 1);
    }
    follow(&mut index, 7, &Happening::Receipt(2, vec![1, 2]));
    follow(&mut index, 8, &Happening::Credit(2, vec![(1, 0.75)]));
    let hash = xxhash_rust::xxh3::xxh3_64(&saved(&mut index));
    assert_eq!((IMAGE_VERSION, hash), (1, 12_111_047_614_101_426_447), "see the comment of this test");
}
