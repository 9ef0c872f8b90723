"""Credit: the memories that an answer showed, their use in the episode, and feedback."""

from .receipts import Answer, RecallReceipt, feedback_record, recall_bytes, receipts_of, revocation_records
from .usage import Crediting

__all__ = [
    "Answer",
    "Crediting",
    "RecallReceipt",
    "feedback_record",
    "recall_bytes",
    "receipts_of",
    "revocation_records",
]
