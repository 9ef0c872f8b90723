//! The writing thread: it drains a bounded queue into group commits and answers after COMMIT.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::batch::{Batch, Receipt};
use crate::durable::committer::Committer;
use crate::error::{Result, StorageError};

/// The limits of one transaction, beyond its first batch.
const GROUP_OPERATIONS: usize = 512;
const GROUP_BYTES: usize = 4 << 20;
/// The limits of the queue; callers wait for room beyond them.
const QUEUE_BATCHES: usize = 4_096;
const QUEUE_BYTES: usize = 64 << 20;
/// The longest wait for callers that are expected to come back, and the number of them.
const LINGER: Duration = Duration::from_millis(2);
const AWAITED_CALLERS: usize = 64;

/// The writing thread and the queue in front of it.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<CommitQueue>,
    arrived: Condvar,
    room: Condvar,
    stopped: Condvar,
}

#[derive(Default)]
struct CommitQueue {
    requests: VecDeque<Request>,
    bytes: usize,
    is_closing: bool,
    is_stopped: bool,
}

/// A batch and the ticket of its caller.
struct Request {
    batch: Batch,
    ticket: Arc<Ticket>,
}

/// The place for the outcome of one batch.
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
    /// Resolves the ticket as closed, so that no caller waits for ever. An outcome that is there stays.
    fn drop(&mut self) {
        self.ticket.settle(Err(StorageError::closed()));
    }
}

/// A commit on its way.
pub(crate) struct PendingCommit {
    shared: Arc<Shared>,
    waiting: Option<Request>,
    ticket: Arc<Ticket>,
}

impl PendingCommit {
    /// Returns the outcome, if it is known within about `patience`. Giving up does not take the commit back.
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
    /// Starts the thread, which owns `committer` from now on.
    pub(crate) fn start(committer: Committer) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let inner = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("tacit-writer".to_owned())
            .spawn(move || run(&inner, committer))
            .map_err(|error| StorageError::unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Hands `batch` over; the [`PendingCommit`] tells its outcome.
    pub(crate) fn submit(&self, batch: Batch) -> PendingCommit {
        let ticket = Arc::<Ticket>::default();
        let request = Request { batch, ticket: Arc::clone(&ticket) };
        let waiting = self.shared.enqueue(request, Duration::ZERO);
        PendingCommit { shared: Arc::clone(&self.shared), waiting, ticket }
    }

    /// Asks the thread to end once everything that was handed over is committed.
    pub(crate) fn stop(&self) {
        lock(&self.shared.queue).is_closing = true;
        self.shared.arrived.notify_all();
        self.shared.room.notify_all();
    }

    /// Returns true if the thread ended within `patience` after [`Writer::stop`].
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
    /// Gives the request back if there was no room within `patience`.
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

    /// Takes the next group; `None` once the store is closed and the queue is empty.
    ///
    /// The `answered` callers of the last group may come back: the writer waits a moment for them and for those
    /// that came in the meantime. It never waits for a caller that is alone.
    fn next_group(&self, answered: usize, linger: Duration) -> Option<Vec<Request>> {
        let mut queue = lock(&self.queue);
        let expected = (answered + queue.requests.len()).min(AWAITED_CALLERS);
        queue = self
            .arrived
            .wait_while(queue, |queue| queue.requests.is_empty() && !queue.is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        if queue.requests.is_empty() {
            return None;
        }
        if queue.requests.len() < expected {
            let coming = |queue: &mut CommitQueue| queue.requests.len() < expected && !queue.is_closing;
            let waited = self.arrived.wait_timeout_while(queue, linger, coming);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let group = queue.take_group();
        drop(queue);
        self.room.notify_all();
        Some(group)
    }
}

impl CommitQueue {
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

fn run(shared: &Shared, mut committer: Committer) {
    let (mut answered, mut linger) = (0, LINGER);
    while let Some(group) = shared.next_group(answered, linger) {
        let started = Instant::now();
        let outcomes = commit(&mut committer, &group);
        // Waiting longer than a commit takes would cost more than it saves.
        linger = started.elapsed().min(LINGER);
        settle(&group, outcomes);
        answered = group.len();
    }
    drop(committer);
    lock(&shared.queue).is_stopped = true;
    shared.stopped.notify_all();
}

/// A fault in our own code fails this group and no later one.
fn commit(committer: &mut Committer, group: &[Request]) -> Vec<Result<Receipt>> {
    let batches: Vec<&Batch> = group.iter().map(|request| &request.batch).collect();
    catch_unwind(AssertUnwindSafe(|| committer.commit_group(&batches))).unwrap_or_else(|_| {
        committer.recover();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::example::{close, commit, contradiction, id, open, put, removal};
    use crate::record::RecordKind;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_batch_that_fails_takes_no_other_of_its_group_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        let mut both = put(7);
        both.puts.extend(contradiction(1).puts);
        let batches = [put(2), contradiction(1), both, put(3), removal(1), put(4)];
        let mut commits: Vec<_> = batches.into_iter().map(|batch| store.submit(batch).unwrap()).collect();
        let outcomes: Vec<_> = commits.iter_mut().map(|each| each.wait(PATIENCE).unwrap()).collect();
        let landed: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(landed, [true, false, false, true, true, true]);
        assert!(matches!(outcomes[1].as_ref().unwrap_err().kind, ErrorKind::Conflict { .. }));
        let there = store.get_many(RecordKind::Episode, &[1, 2, 3, 4, 7].map(id), None).unwrap();
        let there: Vec<bool> = there.iter().map(Option::is_some).collect();
        assert_eq!(there, [false, true, true, true, false]);
        // Four puts, a removal, and the removal of the pattern that the removed episode alone named.
        assert_eq!(store.sequence().unwrap(), 6);
    }

    #[test]
    fn concurrent_callers_all_get_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        std::thread::scope(|scope| {
            for caller in 0..8u64 {
                let store = &store;
                scope.spawn(move || {
                    (0..40).for_each(|each| {
                        commit(store, put(caller * 100 + each)).unwrap();
                    })
                });
            }
        });
        assert_eq!(store.sequence().unwrap(), 320);
    }

    #[test]
    fn closing_commits_earlier_batches_and_refuses_later_ones() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut commits: Vec<_> = (0..50).map(|number| store.submit(put(number)).unwrap()).collect();
        close(&store);
        assert!(commits.iter_mut().all(|commit| commit.wait(PATIENCE).unwrap().is_ok()));
        assert_eq!(store.submit(put(99)).err().map(|error| error.kind), Some(ErrorKind::Closed));
        assert_eq!(open(folder.path()).sequence().unwrap(), 50);
    }

    #[test]
    fn dropping_a_request_resolves_its_ticket_as_closed() {
        let ticket = Arc::<Ticket>::default();
        drop(Request { batch: Batch::default(), ticket: Arc::clone(&ticket) });
        assert_eq!(lock(&ticket.outcome).take(), Some(Err(StorageError::closed())));
    }

    #[test]
    fn a_group_is_bounded_and_takes_at_least_one_batch() {
        let request = |operations: u64| {
            let mut batch = Batch::default();
            (0..operations).for_each(|number| batch.remove(id(number)));
            Request { batch, ticket: Arc::default() }
        };
        let mut queue =
            CommitQueue { requests: [600, 300, 200, 100].map(request).into(), ..CommitQueue::default() };
        assert_eq!([(); 3].map(|()| queue.take_group().len()), [1, 2, 1]);
    }

    #[test]
    fn a_panic_fails_its_group_and_no_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut broken = put(1);
        broken.puts[0].record.truncate(20);
        assert_eq!(commit(&store, broken).unwrap_err().kind, ErrorKind::Internal);
        assert_eq!(commit(&store, put(2)).unwrap().committed, 1);
    }
}
