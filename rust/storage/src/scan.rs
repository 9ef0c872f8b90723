//! The arguments of a scan.

use tacit_kernels::facts::Id;

use crate::episode_record::EpisodeState;
use crate::error::{Result, StorageError};
use crate::record::RecordKind;

/// The rows that a scan returns. `None` means no filter.
///
/// Patterns can be filtered by namespace, side records by namespace and subject, episodes by everything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filters<'a> {
    pub namespace: Option<&'a str>,
    pub domain: Option<&'a str>,
    pub task_key: Option<&'a str>,
    pub agent: Option<&'a str>,
    pub external_id: Option<&'a str>,
    pub state: Option<EpisodeState>,
    pub subject: Option<Id>,
}

impl Filters<'_> {
    /// Refuses a filter that rows of this kind do not have.
    pub(crate) fn check(&self, kind: RecordKind) -> Result<()> {
        let by_namespace = Self { namespace: self.namespace, ..Self::default() };
        let by_subject = Self { subject: self.subject, ..by_namespace };
        let (is_allowed, rule) = match kind {
            RecordKind::Episode | RecordKind::Embedding => {
                (self.subject.is_none(), "without a subject for episodes")
            }
            RecordKind::Pattern => (*self == by_namespace, "a namespace alone for patterns"),
            _ => (*self == by_subject, "namespace or subject for side records"),
        };
        if is_allowed { Ok(()) } else { Err(StorageError::invalid("filters", rule, kind.name())) }
    }
}

/// One page of a scan, in the order of ids.
#[derive(Debug, Clone, Copy)]
pub struct ScanPage<'a> {
    /// The last id of the page before; `None` means the first page.
    pub after: Option<Id>,
    pub limit: usize,
    pub newest_first: bool,
    pub filters: Filters<'a>,
}
