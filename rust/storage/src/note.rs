//! What is kept beside the episodes, in the same transactions: small records that may be replaced or deleted.

use tacit_kernels::facts::Id;
use tacit_kernels::msgpack::{Malformed, Reader};

use crate::batch::check_namespace;
use crate::error::{Result, StorageError};
use crate::record::{self, Kind};

/// One note as a commit lands it and as a change gives it back. Kind and id name it across all namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoteRecord<'a> {
    pub kind: Kind,
    pub id: Id,
    pub namespace: &'a str,
    /// None says that the note is deleted.
    pub record: Option<&'a [u8]>,
}

impl<'a> NoteRecord<'a> {
    /// Refuses what breaks a limit of the storage format.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.kind.is_note() {
            return Err(StorageError::invalid("kind", "must be a kind of note", self.kind.name()));
        }
        check_namespace(self.namespace)?;
        self.kind.check(self.record.map_or(0, <[u8]>::len))
    }

    /// The framed bytes: whether there is a record, the length of the namespace, the namespace and the record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let record = self.record.unwrap_or_default();
        let mut bytes = Vec::with_capacity(record::HEADER + 3 + self.namespace.len() + record.len());
        record::begin(&mut bytes);
        bytes.push(u8::from(self.record.is_some()));
        bytes.extend_from_slice(&(self.namespace.len() as u16).to_le_bytes());
        bytes.extend_from_slice(self.namespace.as_bytes());
        bytes.extend_from_slice(record);
        record::finish(self.kind, &self.id, bytes)
    }

    /// The note inside framed bytes, if they are whole and were written under this kind and id.
    pub(crate) fn decode(kind: Kind, id: &Id, framed: &'a [u8]) -> Result<Self> {
        let value = record::open(kind, id, framed)?;
        Self::decode_value(kind, *id, value).map_err(|fault| StorageError::corrupt(fault.to_string()))
    }

    pub(crate) fn decode_value(kind: Kind, id: Id, value: &'a [u8]) -> std::result::Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        let is_there = reader.byte()? == 1;
        let length = reader.take(2)?.try_into().map_or(0, u16::from_le_bytes);
        let namespace = std::str::from_utf8(reader.take(usize::from(length))?)
            .map_err(|_| Malformed("a namespace that is not UTF-8"))?;
        let record = &value[3 + usize::from(length)..];
        Ok(Self { kind, id, namespace, record: is_there.then_some(record) })
    }
}

/// One note, framed.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) kind: Kind,
    pub(crate) id: Id,
    pub(crate) namespace: String,
    pub(crate) is_there: bool,
    pub(crate) framed: Vec<u8>,
}

impl Note {
    pub(crate) fn of(note: &NoteRecord<'_>) -> Self {
        Self {
            kind: note.kind,
            id: note.id,
            namespace: note.namespace.to_owned(),
            is_there: note.record.is_some(),
            framed: note.encode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{close, commit, id, note, open, options, put, removal};
    use crate::{Batch, ErrorKind, Figure, Filters, Op, Page, Store};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_note_comes_back_as_it_was(namespace in ".{1,128}", record: Option<Vec<u8>>, id: Id) {
            let given = NoteRecord { kind: Kind::Audit, id, namespace: &namespace, record: record.as_deref() };
            let framed = given.encode();
            prop_assert_eq!(NoteRecord::decode(Kind::Audit, &id, &framed).unwrap(), given);
            prop_assert!(NoteRecord::decode(Kind::Credit, &id, &framed).is_err());
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = NoteRecord::decode_value(Kind::Audit, [0; 16], &bytes);
        }
    }

    fn listed(store: &Store, kind: Kind, namespace: Option<&str>) -> Vec<Id> {
        let filters = Filters { namespace, ..Filters::default() };
        let page = Page { after: None, limit: 100, newest_first: false, filters };
        store.scan(kind, &page).unwrap().into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn a_note_lands_with_its_episode_and_is_replaced_and_deleted_under_numbers_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut batch = put(1);
        batch.note(&note(7, Some(b"first"))).unwrap();
        assert_eq!(commit(&store, batch).unwrap().sequence, 2);
        let written = |record: Option<&'static [u8]>| {
            let mut batch = Batch::default();
            batch.note(&note(7, record)).unwrap();
            commit(&store, batch).unwrap()
        };
        assert_eq!((written(Some(b"first")).unchanged, written(Some(b"second")).sequence), (1, 3));
        assert_eq!(store.get(Kind::Heuristic, id(7)).unwrap().as_deref(), Some(&b"second"[..]));
        assert_eq!((written(None).sequence, written(None).unchanged), (4, 1));
        assert_eq!(store.get(Kind::Heuristic, id(7)).unwrap(), None);
        close(&store);
        let store = Store::open(&options(folder.path())).unwrap();
        let changes = store.changes(0, 100).unwrap();
        let ops: Vec<_> = changes.rows.iter().map(|change| (change.sequence, change.op)).collect();
        assert_eq!(ops, [(1, Op::Put), (4, Op::Note)]);
        assert_eq!(changes.rows[1].note(), Some(note(7, None)));
        assert_eq!(changes.rows[0].note(), None);
        assert_eq!(changes.rows[1].episode(), None);
        assert_eq!(written_again(&store), Some(b"third".as_slice().into()));
    }

    fn written_again(store: &Store) -> Option<std::sync::Arc<[u8]>> {
        let mut batch = Batch::default();
        batch.note(&note(7, Some(b"third"))).unwrap();
        commit(store, batch).unwrap();
        store.get(Kind::Heuristic, id(7)).unwrap()
    }

    #[test]
    fn a_note_belongs_to_one_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let write = |given: NoteRecord<'_>| {
            let mut batch = removal(9);
            batch.note(&given).unwrap();
            commit(&store, batch)
        };
        let elsewhere = |record| NoteRecord { namespace: "other", ..note(1, record) };
        write(note(1, Some(b"here"))).unwrap();
        let error = write(elsewhere(Some(b"there"))).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Conflict { .. }));
        assert_eq!(write(elsewhere(None)).unwrap().unchanged, 2);
        let found = [None, Some("default"), Some("other")].map(|name| listed(&store, Kind::Heuristic, name));
        assert_eq!(found, [vec![id(1)], vec![id(1)], vec![]]);
        assert_eq!(listed(&store, Kind::Cluster, None), Vec::<Id>::new());
        write(note(1, None)).unwrap();
        write(elsewhere(Some(b"there"))).unwrap();
        assert_eq!(listed(&store, Kind::Heuristic, Some("other")), [id(1)]);
    }

    #[test]
    fn notes_alone_fold_no_sums() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let folded = |store: &Store| {
            let stats = store.stats().unwrap();
            stats.into_iter().find(|(name, _)| *name == "folded").unwrap().1
        };
        let mut commits = put(1);
        for number in 0..600 {
            commits.note(&note(number, Some(b"new"))).unwrap();
            commit(&store, std::mem::take(&mut commits)).unwrap();
        }
        assert_eq!((folded(&store), store.sequence().unwrap()), (Figure::Count(0), 601));
        for number in 2..300 {
            commit(&store, put(number)).unwrap();
        }
        assert_ne!(folded(&store), Figure::Count(0));
    }

    #[test]
    fn notes_are_filtered_by_namespace_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let filters = Filters { domain: Some("retail"), ..Filters::default() };
        let page = Page { after: None, limit: 1, newest_first: false, filters };
        let error = store.scan(Kind::Audit, &page).unwrap_err();
        assert!(error.message.starts_with("kind: notes are filtered by namespace alone"));
    }

    #[test]
    fn what_is_no_note_or_too_large_is_refused_by_its_name() {
        let refused = |given: NoteRecord<'_>| Batch::default().note(&given).unwrap_err().message;
        assert!(refused(NoteRecord { kind: Kind::Episode, ..note(1, None) }).starts_with("kind"));
        assert!(refused(NoteRecord { namespace: "", ..note(1, None) }).starts_with("namespace"));
        let large = vec![0; (100 << 10) + 1];
        assert!(refused(note(1, Some(&large))).starts_with("heuristic: at most"));
    }
}
