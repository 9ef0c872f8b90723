//! The worker process that runs code of agents. It shares no code with the rest of the workspace.
//!
//! One process serves one run. It reads its limits, locks itself down (`confine`), says so, and only then reads the
//! code and its context. QuickJS evaluates them (`engine`) under a budget of fuel, memory and output; the result is
//! serialised natively (`serialise`) and leaves as one frame (`frame`).

mod budget;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod clock;
mod confine;
mod engine;
mod frame;
#[cfg(target_os = "linux")]
mod probe;
mod serialise;

use budget::Limits;
use engine::{HostCalls, Report};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::rc::Rc;

/// The frames that a worker writes begin with one of these bytes.
const READY: u8 = b'L';
const REFUSED: u8 = b'U';
const CALL: u8 = b'C';
const RESULT: u8 = b'R';

/// Serves one run over standard input and output, and ends the process.
pub fn work() -> ! {
    let served = serve(io::stdin().lock(), io::stdout().lock());
    // SAFETY: `_exit` runs no destructors, so nothing of the guest's is touched again.
    unsafe { libc::_exit(i32::from(served.is_err())) }
}

fn serve(mut input: impl Read + 'static, mut output: impl Write + 'static) -> io::Result<()> {
    let limits = Limits::decode(&frame::read(&mut input, Limits::BYTES)?)?;
    if let Err(reason) = confine::lock_down(&limits) {
        return frame::write(&mut output, REFUSED, &[reason.as_bytes()]);
    }
    #[cfg(target_os = "linux")]
    if let Some(name) = std::env::args().nth(1) {
        probe::attempt(&name);
        // SAFETY: as in `work`.
        unsafe { libc::_exit(probe::LET_THROUGH) }
    }
    frame::write(&mut output, READY, &[])?;
    let code = frame::read_text(&mut input)?;
    let context = frame::read_text(&mut input)?;
    let names = frame::read_text(&mut input)?;
    let names: Vec<&str> = names.lines().collect();
    let pipe = Rc::new(RefCell::new(Pipe { input, output }));
    let report = engine::run(&code, &context, &names, &limits, &pipe);
    write_report(&mut pipe.borrow_mut().output, &report)
}

fn write_report(output: &mut impl Write, report: &Report) -> io::Result<()> {
    let mut body = vec![report.status as u8];
    body.extend_from_slice(&report.fuel.to_le_bytes());
    body.extend_from_slice(&report.peak_memory.to_le_bytes());
    let texts = [&report.value, &report.error_name, &report.error_message, &report.console];
    for text in texts {
        body.extend_from_slice(&(text.len() as u32).to_le_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    frame::write(output, RESULT, &[&body])
}

/// Host functions are called over the same two pipes: one frame out, one frame back.
struct Pipe<R, W> {
    input: R,
    output: W,
}

impl<R: Read, W: Write> HostCalls for Pipe<R, W> {
    fn call(&mut self, function: u16, arguments: &str) -> io::Result<Result<String, String>> {
        frame::write(&mut self.output, CALL, &[&function.to_le_bytes(), arguments.as_bytes()])?;
        let mut answer = frame::read_text(&mut self.input)?;
        match answer.pop() {
            Some('+') => Ok(Ok(answer)),
            Some('-') => Ok(Err(answer)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
