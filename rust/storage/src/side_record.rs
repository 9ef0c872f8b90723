//! Side records: small records beside the episodes, in the same transactions, which may be replaced or deleted.

use tacit_kernels::facts::Id;
use tacit_kernels::msgpack::{Malformed, Reader};

use crate::error::{Result, StorageError};
use crate::record::{self, RecordKind, check_namespace};

/// The bits of the first byte of a value.
const HAS_RECORD: u8 = 1;
const HAS_SUBJECT: u8 = 2;

/// One side record, as a commit writes it and as a change returns it. Kind and id name it across all namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideRecord<'a> {
    pub kind: RecordKind,
    pub id: Id,
    pub namespace: &'a str,
    /// The episode that it belongs to; scans can filter by it. `None` means no episode.
    pub subject: Option<Id>,
    /// `None` means that the side record is deleted.
    pub record: Option<&'a [u8]>,
}

impl<'a> SideRecord<'a> {
    /// Refuses a record that breaks a limit of the storage format.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.kind.is_side_record() {
            return Err(StorageError::invalid("kind", "a kind of side record", self.kind.name()));
        }
        check_namespace(self.namespace)?;
        self.kind.check(self.record.map_or(0, <[u8]>::len))
    }

    /// Encodes into framed bytes: flags, the length of the namespace, the namespace, the subject and the record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let record = self.record.unwrap_or_default();
        let mut bytes = Vec::with_capacity(record::HEADER + 19 + self.namespace.len() + record.len());
        record::begin(&mut bytes);
        let is_there = if self.record.is_some() { HAS_RECORD } else { 0 };
        bytes.push(is_there | if self.subject.is_some() { HAS_SUBJECT } else { 0 });
        bytes.extend_from_slice(&(self.namespace.len() as u16).to_le_bytes());
        bytes.extend_from_slice(self.namespace.as_bytes());
        bytes.extend_from_slice(self.subject.as_ref().map_or(&[][..], |id| &id[..]));
        bytes.extend_from_slice(record);
        record::finish(self.kind, &self.id, bytes)
    }

    /// Decodes framed bytes, if they are whole and were written under this kind and id.
    pub(crate) fn decode(kind: RecordKind, id: &Id, framed: &'a [u8]) -> Result<Self> {
        let value = record::open(kind, id, framed)?;
        Self::decode_value(kind, *id, value).map_err(|fault| StorageError::corrupt(fault.to_string()))
    }

    pub(crate) fn decode_value(
        kind: RecordKind,
        id: Id,
        value: &'a [u8],
    ) -> std::result::Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        let flags = reader.byte()?;
        let length = reader.take(2)?.try_into().map_or(0, u16::from_le_bytes);
        let namespace = std::str::from_utf8(reader.take(usize::from(length))?)
            .map_err(|_| Malformed("a namespace that is not UTF-8"))?;
        let subject = match flags & HAS_SUBJECT {
            0 => None,
            _ => Some(reader.take(16)?.try_into().map_err(|_| Malformed("the subject ends early"))?),
        };
        let record = (flags & HAS_RECORD != 0).then_some(reader.rest());
        Ok(Self { kind, id, namespace, subject, record })
    }
}

/// One side record, framed.
#[derive(Debug, Clone)]
pub(crate) struct FramedSideRecord {
    pub(crate) kind: RecordKind,
    pub(crate) id: Id,
    pub(crate) namespace: String,
    pub(crate) subject: Option<Id>,
    pub(crate) is_there: bool,
    pub(crate) framed: Vec<u8>,
}

impl FramedSideRecord {
    pub(crate) fn new(given: &SideRecord<'_>) -> Self {
        Self {
            kind: given.kind,
            id: given.id,
            namespace: given.namespace.to_owned(),
            subject: given.subject,
            is_there: given.record.is_some(),
            framed: given.encode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{close, commit, id, open, options, put, removal, side_record};
    use crate::{Batch, ErrorKind, Filters, Op, ScanPage, Store};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decoding_returns_the_encoded_side_record(
            namespace in ".{1,128}", record: Option<Vec<u8>>, subject: Option<Id>, id: Id,
        ) {
            let given = SideRecord { kind: RecordKind::Audit, id, namespace: &namespace, subject, record: record.as_deref() };
            let framed = given.encode();
            prop_assert_eq!(SideRecord::decode(RecordKind::Audit, &id, &framed).unwrap(), given);
            prop_assert!(SideRecord::decode(RecordKind::Credit, &id, &framed).is_err());
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = SideRecord::decode_value(RecordKind::Audit, [0; 16], &bytes);
        }
    }

    fn listed(store: &Store, kind: RecordKind, namespace: Option<&str>) -> Vec<Id> {
        let filters = Filters { namespace, ..Filters::default() };
        let page = ScanPage { after: None, limit: 100, newest_first: false, filters };
        store.scan(kind, &page).unwrap().into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn a_side_record_is_written_replaced_and_deleted_under_its_own_change_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut batch = put(1);
        batch.side_record(&side_record(7, Some(b"first"))).unwrap();
        assert_eq!(commit(&store, batch).unwrap().sequence, 2);
        let written = |record: Option<&'static [u8]>| {
            let mut batch = Batch::default();
            batch.side_record(&side_record(7, record)).unwrap();
            commit(&store, batch).unwrap()
        };
        assert_eq!((written(Some(b"first")).unchanged, written(Some(b"second")).sequence), (1, 3));
        assert_eq!(store.get(RecordKind::Heuristic, id(7), None).unwrap().as_deref(), Some(&b"second"[..]));
        assert_eq!((written(None).sequence, written(None).unchanged), (4, 1));
        assert_eq!(store.get(RecordKind::Heuristic, id(7), None).unwrap(), None);
        close(&store);
        let store = Store::open(&options(folder.path())).unwrap();
        let changes = store.changes(0, 100, None).unwrap();
        let ops: Vec<_> = changes.rows.iter().map(|change| (change.sequence, change.op)).collect();
        assert_eq!(ops, [(1, Op::Put), (4, Op::SideRecord)]);
        assert_eq!(changes.rows[1].side_record(), Some(side_record(7, None)));
        assert_eq!(changes.rows[0].side_record(), None);
        assert_eq!(changes.rows[1].episode(), None);
        assert_eq!(written_again(&store), Some(b"third".as_slice().into()));
    }

    fn written_again(store: &Store) -> Option<std::sync::Arc<[u8]>> {
        let mut batch = Batch::default();
        batch.side_record(&side_record(7, Some(b"third"))).unwrap();
        commit(store, batch).unwrap();
        store.get(RecordKind::Heuristic, id(7), None).unwrap()
    }

    #[test]
    fn a_side_record_belongs_to_one_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let write = |given: SideRecord<'_>| {
            let mut batch = removal(9);
            batch.side_record(&given).unwrap();
            commit(&store, batch)
        };
        let elsewhere = |record| SideRecord { namespace: "other", ..side_record(1, record) };
        write(side_record(1, Some(b"here"))).unwrap();
        let error = write(elsewhere(Some(b"there"))).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Conflict { .. }));
        assert_eq!(write(elsewhere(None)).unwrap().unchanged, 2);
        let found =
            [None, Some("default"), Some("other")].map(|name| listed(&store, RecordKind::Heuristic, name));
        assert_eq!(found, [vec![id(1)], vec![id(1)], vec![]]);
        assert_eq!(listed(&store, RecordKind::Cluster, None), Vec::<Id>::new());
        write(side_record(1, None)).unwrap();
        write(elsewhere(Some(b"there"))).unwrap();
        assert_eq!(listed(&store, RecordKind::Heuristic, Some("other")), [id(1)]);
    }

    #[test]
    fn a_scan_of_side_records_refuses_a_filter_by_domain() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let filters = Filters { domain: Some("retail"), ..Filters::default() };
        let page = ScanPage { after: None, limit: 1, newest_first: false, filters };
        let error = store.scan(RecordKind::Audit, &page).unwrap_err();
        assert!(error.message.starts_with("filters must be namespace or subject for side records"));
    }

    #[test]
    fn rejects_unknown_kind_and_oversized_side_record() {
        let refused = |given: SideRecord<'_>| Batch::default().side_record(&given).unwrap_err().message;
        assert!(
            refused(SideRecord { kind: RecordKind::Episode, ..side_record(1, None) }).starts_with("kind")
        );
        assert!(refused(SideRecord { namespace: "", ..side_record(1, None) }).starts_with("namespace"));
        let large = vec![0; (100 << 10) + 1];
        assert!(refused(side_record(1, Some(&large))).starts_with("heuristic must be at most"));
    }
}
