//! A few connections that only read, lent to one caller at a time.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::durable::queries::{Connection, Pragmas};
use crate::durable::watch::FileWatch;
use crate::error::{Result, StorageError};

/// The longest wait for a connection that others hold.
const PATIENCE: Duration = Duration::from_secs(5);

/// At most `size` connections, opened when they are first needed and kept until the pool is dropped.
pub(crate) struct Pool {
    watch: Arc<FileWatch>,
    pragmas: Pragmas,
    size: usize,
    state: Mutex<PoolState>,
    returned: Condvar,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Connection>,
    open: usize,
}

impl Pool {
    pub(crate) fn new(watch: Arc<FileWatch>, pragmas: Pragmas, size: usize) -> Self {
        let pragmas = Pragmas { query_only: true, ..pragmas };
        Self { watch, pragmas, size: size.max(1), state: Mutex::default(), returned: Condvar::new() }
    }

    /// Lends a connection to the file that was opened until the lease is dropped.
    pub(crate) fn lease(&self) -> Result<Lease<'_>> {
        let mut lease = self.take()?;
        self.watch.check(&mut lease)?;
        Ok(lease)
    }

    fn take(&self) -> Result<Lease<'_>> {
        let waiting = |state: &mut PoolState| state.idle.is_empty() && state.open >= self.size;
        let (mut state, _) = self
            .returned
            .wait_timeout_while(self.lock(), PATIENCE, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = state.idle.pop() {
            return Ok(Lease { pool: self, connection: Some(connection) });
        }
        if state.open >= self.size {
            return Err(StorageError::unavailable("every reading connection is in use"));
        }
        state.open += 1;
        drop(state);
        let mut lease = Lease { pool: self, connection: None };
        lease.connection = Some(self.connect()?);
        Ok(lease)
    }

    fn connect(&self) -> Result<Connection> {
        let mut connection = self.watch.connect()?;
        connection.configure(self.pragmas)?;
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One borrowed connection.
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Deref for Lease<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a lease holds its connection until it is dropped")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a lease holds its connection until it is dropped")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        match self.connection.take() {
            Some(connection) => state.idle.push(connection),
            None => state.open -= 1,
        }
        self.pool.returned.notify_one();
    }
}
