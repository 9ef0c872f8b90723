//! Small worlds with known rules: the values that are filled, their sources, and the values left open.

use super::hash;
use super::{ArgumentModel, FilledArgument};
use crate::run::{Run, RunStep};
use proptest::prelude::*;
use rmp::encode;

enum Value<'a> {
    Text(&'a str),
    List(&'a [&'a str]),
}
use Value::{List, Text};

fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    encode::write_str(&mut out, text).unwrap();
    out
}

fn list(texts: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::write_array_len(&mut out, texts.len() as u32).unwrap();
    texts.iter().for_each(|each| out.extend(text(each)));
    out
}

fn step(tool: &str, parameters: &[(&str, Value<'_>)], output: &str) -> RunStep {
    let mut bytes = Vec::new();
    encode::write_map_len(&mut bytes, parameters.len() as u32).unwrap();
    for (name, value) in parameters {
        bytes.extend(text(name));
        bytes.extend(match value {
            Text(value) => text(value),
            List(values) => list(values),
        });
    }
    let output = if output.is_empty() { Vec::new() } else { text(output) };
    RunStep {
        tool: tool.into(),
        ok: 1,
        parameters: bytes.into(),
        output: output.into(),
        ..RunStep::default()
    }
}

fn run(group: usize, task: &str, steps: Vec<RunStep>) -> Run {
    let (task, domain) = (task.into(), "shop".into());
    Run { group: hash::mix(group as u64, 77), task, domain, base: Some(1.0), steps, ..Run::default() }
}

/// A word that differs from task to task and never repeats.
fn id(kind: &str, number: usize) -> String {
    format!("{kind}_{}", number * 7_919 % 100_003 + 10_000)
}

/// A customer is looked up, then each of the orders that the result lists, then the last one is cancelled.
fn shop(number: usize) -> Run {
    let (user, first, second) = (id("user", number), id("A", number), id("B", number));
    let orders =
        format!(r#"{{"user": "{user}", "address": {{"city": "Oslo"}}, "orders": ["{first}", "{second}"]}}"#);
    let steps = vec![
        step("get_user", &[("user_id", Text(&user)), ("detail", Text("full"))], &orders),
        step("get_order", &[("order_id", Text(&first))], r#"{"status": "sent"}"#),
        step("get_order", &[("order_id", Text(&second))], r#"{"status": "open"}"#),
        step("cancel", &[("order_id", Text(&second)), ("note", Text(&id("note", number * 31)))], ""),
    ];
    run(number, &format!("My id is {user} and I want the open order cancelled"), steps)
}

fn fitted(runs: &[Run]) -> ArgumentModel {
    ArgumentModel::fit(runs, &crate::Halt::default()).unwrap()
}

fn shops(count: usize) -> ArgumentModel {
    fitted(&(0..count).map(shop).collect::<Vec<_>>())
}

fn open(whole: &Run, steps: usize) -> Run {
    Run { base: None, steps: whole.steps[..steps].to_vec(), ..whole.clone() }
}

fn filled(model: &ArgumentModel, asked: &Run, tool: &str) -> Vec<FilledArgument> {
    model.fill(&model.prepare(asked), tool)
}

fn argument(model: &ArgumentModel, asked: &Run, tool: &str, name: &str) -> FilledArgument {
    filled(model, asked, tool).into_iter().find(|each| each.name == name).unwrap()
}

fn from(value: Vec<u8>, source: &str) -> (Option<Vec<u8>>, Option<&str>) {
    (Some(value), Some(source))
}

fn said(filled: &FilledArgument) -> (Option<Vec<u8>>, Option<&str>) {
    (filled.value.clone(), filled.source.as_deref())
}

#[test]
fn a_value_that_the_task_names_is_taken_from_the_task() {
    let asked = shop(500);
    let user = argument(&shops(12), &open(&asked, 0), "get_user", "user_id");
    assert_eq!(said(&user), from(text(&id("user", 500)), "task"));
}

#[test]
fn a_value_that_never_changes_is_always_filled_in() {
    let detail = argument(&shops(12), &open(&shop(500), 0), "get_user", "detail");
    assert_eq!(said(&detail), from(text("full"), "always"));
}

#[test]
fn the_elements_of_a_list_are_taken_one_after_another() {
    let model = shops(12);
    let first = argument(&model, &open(&shop(500), 1), "get_order", "order_id");
    assert_eq!(said(&first), from(text(&id("A", 500)), "step 1 output.orders[0]"));
    let second = argument(&model, &open(&shop(500), 2), "get_order", "order_id");
    assert_eq!(said(&second), from(text(&id("B", 500)), "step 1 output.orders[1]"));
}

#[test]
fn a_value_is_taken_over_from_an_earlier_step() {
    let order = argument(&shops(12), &open(&shop(500), 3), "cancel", "order_id");
    assert_eq!(order.value, Some(text(&id("B", 500))));
    let source = order.source.unwrap();
    assert!(source == "step 3 order_id" || source == "step 1 output.orders[1]", "{source}");
}

#[test]
fn a_value_that_stood_nowhere_is_left_open() {
    let note = argument(&shops(12), &open(&shop(500), 3), "cancel", "note");
    assert_eq!(said(&note), (None, None));
}

#[test]
fn a_few_tasks_are_enough_and_one_task_is_not() {
    let user = argument(&shops(5), &open(&shop(500), 0), "get_user", "user_id");
    assert_eq!(said(&user), from(text(&id("user", 500)), "task"));
    let attempts: Vec<Run> = (0..20).map(|_| shop(3)).collect();
    let model = fitted(&attempts);
    let detail = argument(&model, &open(&shop(500), 0), "get_user", "detail");
    assert_eq!(said(&detail), (None, None));
}

#[test]
fn a_tool_that_was_never_called_has_no_parameters() {
    assert!(filled(&shops(5), &open(&shop(500), 1), "fly").is_empty());
    assert!(filled(&fitted(&[]), &open(&shop(500), 1), "cancel").is_empty());
}

#[test]
fn calls_that_failed_are_no_examples() {
    let wrong = |number: usize| {
        let mut whole = shop(number);
        whole.steps[0] = RunStep { ok: 0, ..step("get_user", &[("name", Text("Bo"))], "") };
        whole
    };
    let model = fitted(&(0..12).map(wrong).collect::<Vec<_>>());
    assert!(filled(&model, &open(&shop(500), 0), "get_user").is_empty());
}

#[test]
fn a_step_of_a_plan_takes_over_what_an_earlier_one_is_given_and_waits_for_results() {
    let model = shops(12);
    let plan = model.plan(&open(&shop(500), 0), &["get_user", "get_order"]);
    assert_eq!(said(&plan[0][0]), from(text(&id("user", 500)), "task"));
    assert_eq!(plan[1][0].value, None);
    let source = plan[1][0].source.as_deref().unwrap();
    assert!(source.starts_with("step 1 output.orders"), "{source}");
}

/// Things are fetched by name and put into a place: two arguments in one list.
fn kitchen(number: usize) -> Run {
    let things = ["butterknife", "apple", "mug", "potato", "spoon"];
    let places = ["desklamp", "countertop", "fridge", "shelf"];
    let (thing, place) = (things[number % 5], places[number % 4]);
    let steps = vec![
        step("go", &[("args", List(&[thing]))], "You see it."),
        step("take", &[("args", List(&[thing]))], "You have it."),
        step("go", &[("args", List(&[place]))], "You are there."),
        step("put", &[("args", List(&[thing, place]))], "Done."),
    ];
    let said = [("butterknife", "butter knife"), ("desklamp", "desk lamp"), ("countertop", "counter top")];
    let named = |name: &'static str| said.iter().find(|each| each.0 == name).map_or(name, |each| each.1);
    run(number, &format!("Put the {} on the {}", named(thing), named(place)), steps)
}

#[test]
fn a_list_is_put_together_from_where_its_elements_stood() {
    let model = fitted(&(0..40).map(kitchen).collect::<Vec<_>>());
    let put = argument(&model, &open(&kitchen(500), 3), "put", "args");
    let expected = list(&["butterknife", "desklamp"]);
    assert_eq!(put.value, Some(expected));
    assert!(put.source.unwrap().starts_with("step "));
}

#[test]
fn a_known_value_is_found_however_the_task_spells_it() {
    let model = fitted(&(0..40).map(kitchen).collect::<Vec<_>>());
    let go = argument(&model, &open(&kitchen(500), 0), "go", "args");
    assert_eq!(said(&go), from(list(&["butterknife"]), "task"));
}

/// A table that the result lists and the task names is described in a command.
fn database(number: usize) -> Run {
    let (table, other) = (id("table", number).replace('_', ""), id("other", number).replace('_', ""));
    let tables = format!("[('{other}',), ('{table}',)]");
    let steps = vec![
        step("show", &[("command", Text("SHOW TABLES"))], &tables),
        step("describe", &[("command", Text(&format!("DESC {table};")))], ""),
    ];
    run(number, &format!("How many rows has {table}?"), steps)
}

#[test]
fn a_word_that_varies_within_a_text_is_filled_in() {
    let model = fitted(&(0..30).map(database).collect::<Vec<_>>());
    let command = argument(&model, &open(&database(500), 1), "describe", "command");
    let table = id("table", 500).replace('_', "");
    assert_eq!(command.value, Some(text(&format!("DESC {table};"))));
    assert!(["task", "step 1 output[1][0]"].contains(&command.source.as_deref().unwrap()));
}

#[test]
fn a_number_is_passed_in_the_type_that_the_calls_have() {
    let world = |number: usize| {
        let amount = number as u64 * 13 + 100;
        let mut bytes = Vec::new();
        encode::write_map_len(&mut bytes, 1).unwrap();
        bytes.extend(text("amount"));
        encode::write_uint(&mut bytes, amount).unwrap();
        let pay = RunStep { tool: "pay".into(), ok: 1, parameters: bytes.into(), ..RunStep::default() };
        run(number, &format!("Please pay {amount} to Ann"), vec![pay])
    };
    let model = fitted(&(0..12).map(world).collect::<Vec<_>>());
    let mut expected = Vec::new();
    encode::write_uint(&mut expected, 500 * 13 + 100).unwrap();
    let amount = argument(&model, &open(&world(500), 0), "pay", "amount");
    assert_eq!(said(&amount), from(expected, "task"));
}

#[test]
fn the_same_runs_teach_the_same() {
    let runs: Vec<Run> = (0..15).map(shop).chain((0..15).map(kitchen)).collect();
    let (one, two) = (fitted(&runs), fitted(&runs));
    for steps in 0..4 {
        for tool in ["get_user", "get_order", "cancel", "put"] {
            let asked = open(&shop(500), steps);
            assert_eq!(filled(&one, &asked, tool), filled(&two, &asked, tool));
        }
    }
}

/// A list of parts is looked up and passed on whole; the text of the result shows it.
fn parts(number: usize, ending: &str) -> Run {
    let (first, second) = (id("P", number), id("Q", number));
    let found = format!(r#"{{"note": "[1, 2]", "parts": ["{first}", "{second}"{ending}"#);
    let steps = vec![
        step("find", &[("what", Text("parts"))], &found),
        step("buy", &[("parts", List(&[&first, &second]))], ""),
    ];
    run(number, "Buy what is needed", steps)
}

#[test]
fn a_list_that_was_cut_short_is_not_passed_on_as_a_whole() {
    let runs: Vec<Run> = (0..20).map(|number| parts(number, "]}")).collect();
    let model = fitted(&runs);
    let whole = argument(&model, &open(&parts(500, "]}"), 1), "buy", "parts");
    assert_eq!(said(&whole), from(list(&[&id("P", 500), &id("Q", 500)]), "step 1 output.parts"));
    let one = &parts(500, "]}").steps[0];
    let shown = tacit_kernels::msgpack::Reader::new(&one.output).str().unwrap().to_owned();
    let cut = RunStep { output: text(&shown[..shown.len() - 8]).into(), ..one.clone() };
    let asked = Run { steps: vec![cut], ..open(&parts(500, "]}"), 0) };
    assert_ne!(argument(&model, &asked, "buy", "parts").value, Some(list(&[&id("P", 500)])));
}

fn any_step() -> impl Strategy<Value = RunStep> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    ("[ab]", -1_i8..2, bytes(), prop_oneof![bytes(), "[\\[{('a,:1]{0,30}".prop_map(|each| text(&each))])
        .prop_map(|(tool, ok, parameters, output)| RunStep {
            tool,
            ok,
            parameters: parameters.into(),
            output: output.into(),
            ..RunStep::default()
        })
}

fn any_run() -> impl Strategy<Value = Run> {
    (0_usize..4, ".{0,40}", proptest::collection::vec(any_step(), 0..5))
        .prop_map(|(group, task, steps)| run(group, &task, steps))
}

proptest! {
    #[test]
    fn nothing_that_an_episode_may_hold_makes_it_panic(
        runs in proptest::collection::vec(any_run(), 0..8),
        asked in any_run(),
    ) {
        let model = fitted(&runs);
        for each in filled(&model, &asked, "a").into_iter().chain(model.plan(&asked, &["a", "b"]).concat()) {
            if let Some(value) = each.value {
                let mut reader = tacit_kernels::msgpack::Reader::new(&value);
                prop_assert!(reader.skip().is_ok() && reader.is_empty());
                prop_assert!(each.source.is_some());
            }
        }
    }
}
