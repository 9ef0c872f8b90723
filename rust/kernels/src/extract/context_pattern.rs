//! The kind of task and the approach that was taken to it.

use super::finding::{Found, distinct_tools, write_map, write_optional, write_str, write_strs};
use crate::trajectory::Trajectory;

/// The features of the context with the episode's distinct tools in the order of their first use. The domain is not a
/// feature: it belongs to the fact, so that one approach is one pattern in every domain.
pub fn context_pattern(trajectory: &Trajectory) -> Vec<Found> {
    if trajectory.is_empty() {
        return Vec::new();
    }
    let mut content = Vec::with_capacity(128);
    write_map(&mut content, 2);
    write_str(&mut content, "approach");
    write_strs(&mut content, approach(trajectory).into_iter());
    write_str(&mut content, "context");
    write_features(&mut content, trajectory);
    vec![Found::new("context_pattern", &content, None, vec![trajectory.base.unwrap_or(0.0)])]
}

/// The distinct tools in the order of their first use; those of one batch by name.
fn approach(trajectory: &Trajectory) -> Vec<&str> {
    let mut tools: Vec<u32> = Vec::with_capacity(trajectory.tool_names.len());
    for stretch in trajectory.in_order() {
        let next = distinct_tools(trajectory, stretch);
        next.into_iter().for_each(|tool| {
            if !tools.contains(&tool) {
                tools.push(tool)
            }
        });
    }
    tools.into_iter().map(|tool| trajectory.tool_names[tool as usize].as_str()).collect()
}

fn write_features(content: &mut Vec<u8>, trajectory: &Trajectory) {
    let mut tags: Vec<&str> = trajectory.tags.iter().map(String::as_str).collect();
    tags.sort_unstable();
    write_map(content, 4);
    write_str(content, "framework");
    write_optional(content, trajectory.framework.as_deref());
    write_str(content, "language");
    write_optional(content, trajectory.language.as_deref());
    write_str(content, "tags");
    write_strs(content, tags.into_iter());
    write_str(content, "task_type");
    write_str(content, &trajectory.task_type);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_tags_and_the_domain_do_not_matter() {
        let one = Trajectory {
            tags: vec!["b".into(), "a".into()],
            domain: "x".into(),
            tools: vec![1],
            tool_indices: vec![0],
            tool_names: vec!["look".into()],
            ..Trajectory::default()
        };
        let other = Trajectory { tags: vec!["a".into(), "b".into()], domain: "y".into(), ..one.clone() };
        assert_eq!(context_pattern(&one)[0].pattern, context_pattern(&other)[0].pattern);
    }
}
