//! Pure functions, state machines and in-memory indexes: no Python, no I/O, no clock of its own.
