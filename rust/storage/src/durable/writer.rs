//! One thread that writes: it drains a bounded queue into group commits and answers after COMMIT.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::batch::{Batch, Receipt};
use crate::durable::landing::Landing;
use crate::error::{Result, StorageError};

/// What one transaction takes at most, beyond its first batch.
const GROUP_OPERATIONS: usize = 512;
const GROUP_BYTES: usize = 4 << 20;
/// What may wait for the writer; callers wait for room beyond it.
const QUEUE_BATCHES: usize = 4_096;
const QUEUE_BYTES: usize = 64 << 20;
/// How long the writer waits at most for callers that it expects to come back.
const LINGER: Duration = Duration::from_millis(2);

/// The writing thread and the queue in front of it.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    room: Condvar,
    stopped: Condvar,
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<Request>,
    bytes: usize,
    is_closing: bool,
    is_stopped: bool,
}

/// A batch, and whom to tell.
struct Request {
    batch: Batch,
    ticket: Arc<Ticket>,
}

/// Where the outcome of one batch will stand.
#[derive(Default)]
struct Ticket {
    outcome: Mutex<Option<Result<Receipt>>>,
    settled: Condvar,
}

impl Ticket {
    fn settle(&self, outcome: Result<Receipt>) {
        let mut slot = lock(&self.outcome);
        if slot.is_none() {
            *slot = Some(outcome);
            self.settled.notify_all();
        }
    }
}

impl Drop for Request {
    /// Nobody waits for ever, whatever became of the writer. An outcome that stands already stays.
    fn drop(&mut self) {
        self.ticket.settle(Err(StorageError::closed()));
    }
}

/// A commit on its way.
pub(crate) struct Commit {
    shared: Arc<Shared>,
    waiting: Option<Request>,
    ticket: Arc<Ticket>,
}

impl Commit {
    /// The outcome, if it is known within about `patience`. Giving up waiting does not take the commit back.
    pub(crate) fn wait(&mut self, patience: Duration) -> Option<Result<Receipt>> {
        if let Some(request) = self.waiting.take() {
            self.waiting = self.shared.enqueue(request, patience);
        }
        if self.waiting.is_some() {
            return None;
        }
        let slot = lock(&self.ticket.outcome);
        let (mut slot, _) = self
            .ticket
            .settled
            .wait_timeout_while(slot, patience, |slot| slot.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        slot.take()
    }
}

impl Writer {
    /// Starts the thread, which owns `landing` from now on.
    pub(crate) fn start(landing: Landing) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let inner = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("tacit-writer".to_owned())
            .spawn(move || run(&inner, landing))
            .map_err(|error| StorageError::unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Hands `batch` over; whether and when it landed is what the [`Commit`] tells.
    pub(crate) fn submit(&self, batch: Batch) -> Commit {
        let ticket = Arc::<Ticket>::default();
        let request = Request { batch, ticket: Arc::clone(&ticket) };
        Commit { shared: Arc::clone(&self.shared), waiting: Some(request), ticket }
    }

    /// Asks the thread to end once everything that was handed over has landed.
    pub(crate) fn stop(&self) {
        lock(&self.shared.queue).is_closing = true;
        self.shared.arrived.notify_all();
        self.shared.room.notify_all();
    }

    /// Whether the thread has ended within `patience` after [`Writer::stop`].
    pub(crate) fn has_stopped(&self, patience: Duration) -> bool {
        let queue = lock(&self.shared.queue);
        let (queue, _) = self
            .shared
            .stopped
            .wait_timeout_while(queue, patience, |queue| !queue.is_stopped)
            .unwrap_or_else(PoisonError::into_inner);
        if queue.is_stopped {
            drop(queue);
            // The thread has left its loop and holds nothing: joining it takes no time.
            let _ = lock(&self.thread).take().map(JoinHandle::join);
            return true;
        }
        false
    }

    pub(crate) fn queued(&self) -> usize {
        lock(&self.shared.queue).requests.len()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Gives the request back where there was no room within `patience`.
    fn enqueue(&self, request: Request, patience: Duration) -> Option<Request> {
        let (mut queue, _) = self
            .room
            .wait_timeout_while(lock(&self.queue), patience, |queue| queue.is_full() && !queue.is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        if queue.is_closing {
            return None; // dropping the request tells its caller that the store is closed
        }
        if queue.is_full() {
            return Some(request);
        }
        queue.bytes += request.batch.bytes();
        queue.requests.push_back(request);
        drop(queue);
        self.arrived.notify_one();
        None
    }

    /// What the next transaction lands; none once the store is closed and the queue is empty.
    ///
    /// Where the last group had several callers, the same number is waited for, a moment at most.
    fn next_group(&self, expected: usize, linger: Duration) -> Option<Vec<Request>> {
        let mut queue = self
            .arrived
            .wait_while(lock(&self.queue), |queue| queue.requests.is_empty() && !queue.is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        if queue.requests.is_empty() {
            return None;
        }
        if queue.requests.len() < expected {
            let coming = |queue: &mut Queue| queue.requests.len() < expected && !queue.is_closing;
            let waited = self.arrived.wait_timeout_while(queue, linger, coming);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let group = queue.take_group();
        drop(queue);
        self.room.notify_all();
        Some(group)
    }
}

impl Queue {
    fn is_full(&self) -> bool {
        self.requests.len() >= QUEUE_BATCHES || self.bytes >= QUEUE_BYTES
    }

    fn take_group(&mut self) -> Vec<Request> {
        let (mut group, mut operations, mut bytes) = (Vec::new(), 0, 0);
        while let Some(next) = self.requests.front() {
            operations += next.batch.operations();
            bytes += next.batch.bytes();
            if !group.is_empty() && (operations > GROUP_OPERATIONS || bytes > GROUP_BYTES) {
                break;
            }
            group.extend(self.requests.pop_front());
        }
        self.bytes -= group.iter().map(|request: &Request| request.batch.bytes()).sum::<usize>();
        group
    }
}

fn run(shared: &Shared, mut landing: Landing) {
    let (mut expected, mut linger) = (1, LINGER);
    while let Some(group) = shared.next_group(expected, linger) {
        let started = Instant::now();
        settle(&group, land(&mut landing, &group));
        (expected, linger) = (group.len(), started.elapsed().min(LINGER));
    }
    drop(landing);
    lock(&shared.queue).is_stopped = true;
    shared.stopped.notify_all();
}

/// A fault in our own code fails this group and no later one.
fn land(landing: &mut Landing, group: &[Request]) -> Vec<Result<Receipt>> {
    let batches: Vec<&Batch> = group.iter().map(|request| &request.batch).collect();
    catch_unwind(AssertUnwindSafe(|| landing.land(&batches))).unwrap_or_else(|_| {
        landing.recover();
        batches.iter().map(|_| Err(StorageError::internal("the writer panicked"))).collect()
    })
}

fn settle(group: &[Request], outcomes: Vec<Result<Receipt>>) {
    for (request, outcome) in group.iter().zip(outcomes) {
        request.ticket.settle(outcome);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
