//! The durable store (libSQL), the cache in front of it (redb) and how the two keep together.
