//! The limits of a run, and the account of how much of them it used.

use rquickjs::allocator::Allocator;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

/// QuickJS asks its interrupt handler once in so many calls and backward jumps.
pub(crate) const FUEL_STEP: u64 = 10_000;

/// The limits of one run, as the first frame says them.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) fuel: u64,
    pub(crate) memory: u64,
    pub(crate) output: u64,
    pub(crate) cpu_s: u64,
    pub(crate) call_bytes: u64,
}

impl Limits {
    pub(crate) const BYTES: usize = 5 * 8;

    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Self> {
        if bytes.len() != Self::BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut numbers = bytes.chunks_exact(8).map(|each| u64::from_le_bytes(each.try_into().unwrap()));
        let mut next = || numbers.next().unwrap();
        Ok(Self { fuel: next(), memory: next(), output: next(), cpu_s: next(), call_bytes: next() })
    }
}

/// The use that a run has made of them so far, shared by the engine's callbacks.
pub(crate) struct Account {
    fuel: u64,
    spent: Cell<u64>,
    output: usize,
    console: RefCell<String>,
    flooded: Cell<bool>,
    broken: Cell<bool>,
}

impl Account {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            fuel: limits.fuel,
            spent: Cell::new(0),
            output: limits.output as usize,
            console: RefCell::default(),
            flooded: Cell::new(false),
            broken: Cell::new(false),
        }
    }

    /// Spends one step of fuel; `true` means that the run must end, which the guest cannot catch.
    pub(crate) fn spend_step(&self) -> bool {
        self.spent.set(self.spent.get() + FUEL_STEP);
        self.is_over()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_out_of_fuel() || self.flooded.get() || self.broken.get()
    }

    pub(crate) fn is_out_of_fuel(&self) -> bool {
        self.spent.get() > self.fuel
    }

    pub(crate) fn spent(&self) -> u64 {
        self.spent.get()
    }

    /// Appends one line of the console; `false` means that the output limit is reached and the run is over.
    pub(crate) fn print(&self, line: &str) -> bool {
        let mut console = self.console.borrow_mut();
        if console.len() + line.len() + 1 > self.output {
            self.flooded.set(true);
            return false;
        }
        console.push_str(line);
        console.push('\n');
        true
    }

    pub(crate) fn take_console(&self) -> String {
        self.console.take()
    }

    /// The bytes that the console has left of the output limit.
    pub(crate) fn output_left(&self) -> usize {
        self.output - self.console.borrow().len()
    }

    pub(crate) fn set_flooded(&self) {
        self.flooded.set(true);
    }

    pub(crate) fn is_flooded(&self) -> bool {
        self.flooded.get()
    }

    /// Notes that the supervisor is gone: nobody will read a result.
    pub(crate) fn set_broken(&self) {
        self.broken.set(true);
    }
}

/// The bytes in the engine's heap, shared with the allocator inside QuickJS.
#[derive(Default)]
pub(crate) struct HeapUse {
    held: Cell<usize>,
    peak: Cell<usize>,
    refused: Cell<bool>,
}

impl HeapUse {
    pub(crate) fn peak(&self) -> u64 {
        self.peak.get() as u64
    }

    /// `true` if an allocation was refused at any time.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused.get()
    }
}

/// The C library's allocator behind a limit.
pub(crate) struct LimitedHeap {
    limit: usize,
    heap_use: Rc<HeapUse>,
}

impl LimitedHeap {
    pub(crate) fn new(limit: u64, heap_use: Rc<HeapUse>) -> Self {
        Self { limit: limit as usize, heap_use }
    }

    fn admits(&self, freed: usize, size: usize) -> bool {
        let admitted =
            (self.heap_use.held.get() - freed).checked_add(size).is_some_and(|sum| sum <= self.limit);
        if !admitted {
            self.heap_use.refused.set(true);
        }
        admitted
    }

    fn account(&self, freed: usize, block: *mut u8) -> *mut u8 {
        if block.is_null() {
            self.heap_use.refused.set(true);
        } else {
            // SAFETY: the block was just handed out by the C library.
            let size = unsafe { Self::usable_size(block) };
            let held = self.heap_use.held.get() - freed + size;
            self.heap_use.held.set(held);
            self.heap_use.peak.set(self.heap_use.peak.get().max(held));
        }
        block
    }
}

// SAFETY: every block is the C library's, which aligns for any type; a refused request returns null.
unsafe impl Allocator for LimitedHeap {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if !self.admits(0, size) {
            return std::ptr::null_mut();
        }
        // SAFETY: any size is allowed.
        self.account(0, unsafe { libc::malloc(size).cast() })
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        match count.checked_mul(size) {
            Some(total) if self.admits(0, total) => {
                // SAFETY: any size is allowed.
                self.account(0, unsafe { libc::calloc(count, size).cast() })
            }
            _ => {
                self.heap_use.refused.set(true);
                std::ptr::null_mut()
            }
        }
    }

    unsafe fn dealloc(&mut self, block: *mut u8) {
        if block.is_null() {
            return;
        }
        // SAFETY: the caller's promise: the block is one of ours.
        unsafe {
            self.heap_use.held.set(self.heap_use.held.get() - Self::usable_size(block));
            libc::free(block.cast());
        }
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            return self.alloc(size);
        }
        // SAFETY: the caller's promise: the block is one of ours.
        let freed = unsafe { Self::usable_size(block) };
        if !self.admits(freed, size) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above. A failed `realloc` leaves the block as it was.
        self.account(freed, unsafe { libc::realloc(block.cast(), size).cast() })
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        #[cfg(target_os = "linux")]
        // SAFETY: the caller's promise: the block is one of ours.
        return unsafe { libc::malloc_usable_size(block.cast()) };
        #[cfg(not(target_os = "linux"))]
        {
            let _ = block;
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_refuses_beyond_its_limit_and_takes_back_freed_blocks() {
        let heap_use = Rc::new(HeapUse::default());
        let mut heap = LimitedHeap::new(10_000, heap_use.clone());
        let first = heap.alloc(6_000);
        assert!(!first.is_null() && !heap_use.was_refused());
        assert!(heap.calloc(6, 1_000).is_null() && heap_use.was_refused());
        // SAFETY: `first` is a live block of this heap, and is freed once.
        unsafe {
            assert!(heap.realloc(first, 20_000).is_null());
            heap.dealloc(first);
        }
        let second = heap.calloc(6, 1_000);
        assert!(!second.is_null());
        assert!(heap.calloc(usize::MAX, 2).is_null());
        assert!((6_000..10_000).contains(&heap_use.peak()));
        // SAFETY: `second` is a live block of this heap.
        unsafe { heap.dealloc(second) };
        assert_eq!(heap_use.held.get(), 0);
    }

    #[test]
    fn the_console_ends_the_run_at_its_limit() {
        let limits = Limits { fuel: 0, memory: 0, output: 6, cpu_s: 0, call_bytes: 0 };
        let account = Account::new(&limits);
        assert!(account.print("abc") && !account.is_over());
        assert_eq!(account.output_left(), 2);
        assert!(!account.print("de") && account.is_over());
        assert_eq!(account.take_console(), "abc\n");
    }
}
