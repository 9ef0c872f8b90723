//! Pure functions, state machines and in-memory indexes: no Python, no I/O, no clock of its own.

pub mod backoff;
pub mod breaker;
pub mod cluster;
pub mod embed;
pub mod episode;
pub mod error_class;
pub mod evidence;
pub mod extract;
pub mod facts;
pub mod image;
pub mod index;
pub mod linear;
pub mod lru;
pub mod msgpack;
pub mod names;
pub mod rank;
pub mod redact;
pub mod reward;
pub mod sequence;
mod simd;
pub mod similarity;
pub mod sketch;
pub mod text;
pub mod text_likeness;
pub mod trajectory;
pub mod weighted_rows;
