//! Reads a run into a list of values: msgpack as it is, and the literals and pieces of results that are text.

use super::hash::{self, NAME, mix};
use super::task::TaskText;
use super::values::{CallValues, NONE, ValueKind, ValueLabel, ValueSource, ValueTree};
use super::{literal, span};
use crate::run::{Run, RunStep};
use rmp::Marker;
use rustc_hash::FxHashSet;
use tacit_kernels::msgpack::{Reader, Result};
use tacit_kernels::trajectory::symbol;

/// The largest number of values that are read of one result.
const MOST_VALUES: usize = 512;
/// How many bytes are read of one text.
const MOST_TEXT: usize = 8_192;
/// How deep values are read; deeper ones are passed over.
const MOST_DEPTH: usize = 24;

impl<'a> ValueTree<'a> {
    pub(super) fn read(run: &Run, wanted: Option<&'a FxHashSet<u64>>) -> Self {
        let agent = run.agent.as_deref().map_or(0, symbol);
        let mut tree = Self::new(TaskText::new(&run.task), agent, symbol(&run.domain), wanted);
        tree.add_task(&run.task);
        tree.add_context(run);
        for step in &run.steps {
            tree.add_step(step);
        }
        tree
    }

    fn add_task(&mut self, task: &str) {
        let root = self.root(ValueSource::Task, NONE, 0);
        span::of_task(task, |text, shape, before| self.add_span(root, text, shape, before));
        self.close(root, 0);
        self.link(root);
    }

    fn add_context(&mut self, run: &Run) {
        let root = self.root(ValueSource::Context, NONE, 0);
        let fields = [
            ("domain", Some(&run.domain)),
            ("language", run.language.as_ref()),
            ("framework", run.framework.as_ref()),
            ("agent", run.agent.as_ref()),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                let label = self.name(name);
                self.scalar(root, label, ValueKind::Text, value);
            }
        }
        self.close(root, 0);
        self.link(root);
    }

    /// Adds the values of one step. A value that cannot be read counts as absent.
    pub(super) fn add_step(&mut self, step: &RunStep) {
        let number = self.calls.len() as u32;
        let (tool, from) = (symbol(&step.tool), self.nodes.len() as u32);
        self.calls.push(CallValues { tool, ok: step.ok, from, first: 0 });
        self.add_values(ValueSource::Arguments, number, tool, &step.parameters);
        let first = self.nodes[from as usize..].iter().find(|node| node.kind.is_scalar());
        self.calls[number as usize].first = first.map_or(0, |node| node.key);
        self.add_values(ValueSource::Output, number, tool, &step.output);
        if let Some(error) = &step.error {
            let root = self.root(ValueSource::Error, number, tool);
            self.add_pieces(root, error);
            self.close(root, 0);
        }
        self.link(from);
    }

    fn add_values(&mut self, place: ValueSource, step: u32, tool: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let most = self.nodes.len() + MOST_VALUES;
        let root = self.root(place, step, tool);
        let _ = self.fill_value(root, &mut Reader::new(bytes), most, MOST_DEPTH);
        self.settle(root);
    }

    /// Reads one msgpack value into an open node.
    fn fill_value(&mut self, node: u32, reader: &mut Reader<'_>, most: usize, depth: usize) -> Result<()> {
        if depth == 0 || self.nodes.len() >= most {
            self.leave_out(node);
            return reader.skip();
        }
        match reader.marker()? {
            Marker::Null => self.take_scalar(node, reader, ValueKind::Null, "null"),
            Marker::True => self.take_scalar(node, reader, ValueKind::Flag, "true"),
            Marker::False => self.take_scalar(node, reader, ValueKind::Flag, "false"),
            Marker::F32 | Marker::F64 => {
                let number = reader.number()?;
                self.become_number(node, number);
                Ok(())
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let text = reader.str()?;
                self.become_text(node, text);
                Ok(())
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                self.fill_list(node, reader, most, depth)
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => self.fill_map(node, reader, most, depth),
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                self.leave_out(node);
                reader.skip()
            }
            Marker::U64 => {
                let raw = reader.raw()?;
                let number = u64::from_be_bytes(raw[1..].try_into().unwrap_or_default());
                self.become_scalar(node, ValueKind::Whole, &number.to_string());
                Ok(())
            }
            _ => {
                let number = reader.int()?;
                self.become_scalar(node, ValueKind::Whole, &number.to_string());
                Ok(())
            }
        }
    }

    fn take_scalar(&mut self, node: u32, reader: &mut Reader<'_>, kind: ValueKind, text: &str) -> Result<()> {
        self.become_scalar(node, kind, text);
        reader.skip()
    }

    fn fill_list(&mut self, node: u32, reader: &mut Reader<'_>, most: usize, depth: usize) -> Result<()> {
        self.nodes[node as usize].kind = ValueKind::List;
        for index in 0..reader.array()? {
            if self.nodes.len() >= most {
                self.cut(node);
                reader.skip()?;
                continue;
            }
            let child = self.open(node, ValueLabel::Index(index));
            let read = self.fill_value(child, reader, most, depth - 1);
            self.settle(child);
            read?;
        }
        Ok(())
    }

    fn fill_map(&mut self, node: u32, reader: &mut Reader<'_>, most: usize, depth: usize) -> Result<()> {
        for _ in 0..reader.map()? {
            let name = reader.str()?;
            if self.nodes.len() >= most {
                self.cut(node);
                reader.skip()?;
                continue;
            }
            let child = self.entry(node, name);
            let read = self.fill_value(child, reader, most, depth - 1);
            self.settle(child);
            read?;
        }
        Ok(())
    }

    /// A result's text is read as its values if it is a literal, else as a scalar with pieces.
    /// A long text is none of anyone's arguments.
    fn become_text(&mut self, node: u32, text: &str) {
        let read = &text[..text.floor_char_boundary(MOST_TEXT)];
        if self.nodes[node as usize].place == ValueSource::Output {
            if self.become_shown(node, read) {
                return;
            }
            self.add_pieces(node, read);
        }
        match read.len() == text.len() {
            true => self.become_scalar(node, ValueKind::Text, text),
            false => self.leave_out(node),
        }
    }

    /// Returns true if the text is the literal of a list or a map.
    fn become_shown(&mut self, node: u32, text: &str) -> bool {
        let most = self.nodes.len() + MOST_VALUES;
        let is_shown = literal::may_be(text) && literal::read(self, node, text, most);
        match is_shown {
            true => self.nodes[node as usize].is_shown = true,
            false => self.forget_after(node),
        }
        is_shown
    }

    fn add_pieces(&mut self, node: u32, text: &str) {
        span::of_text(text, |piece, shape, before| self.add_span(node, piece, shape, before));
    }

    fn add_span(&mut self, parent: u32, text: &str, shape: u64, before: u64) {
        let node = self.open(parent, ValueLabel::Piece);
        let above = self.nodes[parent as usize].rules[0];
        let each = &mut self.nodes[node as usize];
        each.name = before;
        each.rules =
            [mix(above, shape), mix(mix(above, hash::AFTER), before), mix(NAME ^ each.place as u64, before)];
        self.become_scalar(node, ValueKind::Text, text);
    }
}
