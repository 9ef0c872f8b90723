//! Evaluates the guest's code in QuickJS: within its budget, with its context, and with the host functions it may call.

use crate::budget::{Account, HeapUse, LimitedHeap, Limits};
use crate::serialise::{Natives, Unfit, text_within, to_json};
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::promise::PromiseState;
use rquickjs::{Context, Ctx, Exception, Function, Object, Promise, Runtime, Value, function::Rest};
use std::cell::RefCell;
use std::io;
use std::mem;
use std::rc::Rc;

/// The engine's own limit of the stack, well below the system's.
const MAX_STACK: usize = 1 << 20;
/// The guest's message of an error is cut here.
const MAX_MESSAGE: usize = 2_000;
const MAX_NAME: usize = 100;

/// No `performance`, no weak references: the guest sees neither a fine clock nor the collector at work.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// How a run ended. The numbers are part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Status {
    Ok = 0,
    Error = 1,
    Malformed = 2,
    Pending = 3,
    Fuel = 4,
    Memory = 5,
    Stack = 6,
    OutputLimit = 7,
    Unserialisable = 8,
}

/// The account of a run that leaves the worker.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) status: Status,
    pub(crate) fuel: u64,
    pub(crate) peak_memory: u64,
    pub(crate) value: String,
    pub(crate) error_name: String,
    pub(crate) error_message: String,
    pub(crate) console: String,
}

/// The functions of the host that the guest may call: text of JSON in, text of JSON or an error message out.
pub(crate) trait HostCalls {
    fn call(&mut self, function: u16, arguments: &str) -> io::Result<Result<String, String>>;
}

/// How evaluation ended, before it is told apart by what the account says.
enum Ending {
    Returned(String),
    Failed(Status, &'static str),
    Threw(String, String),
}

/// Runs the code as the body of an async function of `context`. Engine and heap are leaked: the process ends next.
pub(crate) fn run(
    code: &str,
    context: &str,
    names: &[&str],
    limits: &Limits,
    host: &Rc<RefCell<impl HostCalls + 'static>>,
) -> Report {
    let account = Rc::new(Account::new(limits));
    let heap_use = Rc::new(HeapUse::default());
    let evaluated = start_engine(limits, &account, &heap_use).map(|engine| {
        let ending =
            engine.with(|ctx| Guest::new(&ctx, &account, limits).evaluate(code, context, names, host));
        mem::forget(engine);
        ending
    });
    let ending = evaluated.unwrap_or(Ending::Failed(Status::Memory, "the engine does not fit its memory"));
    report(ending, &account, &heap_use)
}

fn start_engine(limits: &Limits, account: &Rc<Account>, heap_use: &Rc<HeapUse>) -> rquickjs::Result<Context> {
    let runtime = Runtime::new_with_alloc(LimitedHeap::new(limits.memory, heap_use.clone()))?;
    runtime.set_max_stack_size(MAX_STACK);
    let account = account.clone();
    runtime.set_interrupt_handler(Some(Box::new(move || account.spend_step())));
    Context::custom::<Intrinsics>(&runtime)
}

fn report(ending: Ending, account: &Account, heap_use: &HeapUse) -> Report {
    let mut report = Report {
        status: Status::Ok,
        fuel: account.spent(),
        peak_memory: heap_use.peak(),
        value: String::new(),
        error_name: String::new(),
        error_message: String::new(),
        console: account.take_console(),
    };
    let mut fail = |status, message: &str| {
        report.status = status;
        report.error_message = message.to_owned();
    };
    match ending {
        _ if account.is_out_of_fuel() => fail(Status::Fuel, "the fuel is spent"),
        _ if account.is_flooded() => fail(Status::OutputLimit, "the output is longer than its limit"),
        Ending::Returned(value) => report.value = value,
        Ending::Failed(status, message) => fail(status, message),
        // The guest may throw such an error itself; that nothing was refused shows it.
        Ending::Threw(name, message)
            if heap_use.was_refused() && (message == "out of memory" || name == "null") =>
        {
            fail(Status::Memory, "the memory is used up");
        }
        Ending::Threw(name, message) => {
            let is_stack = name == "RangeError" && message == "Maximum call stack size exceeded";
            fail(if is_stack { Status::Stack } else { Status::Error }, &message);
            report.error_name = name;
        }
    }
    report
}

/// One run inside the engine.
struct Guest<'a, 'js> {
    ctx: &'a Ctx<'js>,
    account: &'a Rc<Account>,
    call_bytes: usize,
}

impl<'a, 'js> Guest<'a, 'js> {
    fn new(ctx: &'a Ctx<'js>, account: &'a Rc<Account>, limits: &Limits) -> Self {
        Self { ctx, account, call_bytes: limits.call_bytes as usize }
    }

    fn evaluate<H: HostCalls + 'static>(
        &self,
        code: &str,
        context: &str,
        names: &[&str],
        host: &Rc<RefCell<H>>,
    ) -> Ending {
        let natives = match self.prepare() {
            Ok(natives) => natives,
            Err(_) => return self.thrown(),
        };
        let function = match self.compile(code, &natives) {
            Ok(Some(function)) => function,
            Ok(None) => {
                return Ending::Failed(Status::Malformed, "the code must be the body of one function");
            }
            Err(_) => return self.thrown_while_compiling(),
        };
        match self.call(function, context, names, host, &natives) {
            Ok(Some(value)) => self.returned(&value, &natives),
            Ok(None) => Ending::Failed(Status::Pending, "the code waits for something that never comes"),
            Err(_) => self.thrown(),
        }
    }

    /// Takes away what only helps to measure time, adds a console, and keeps the natives.
    fn prepare(&self) -> rquickjs::Result<Natives<'js>> {
        let natives = Natives::take(self.ctx)?;
        let globals = self.ctx.globals();
        for name in ["Atomics", "SharedArrayBuffer"] {
            globals.remove(name)?;
        }
        globals.set("console", self.console(&natives)?)?;
        Ok(natives)
    }

    fn console(&self, natives: &Natives<'js>) -> rquickjs::Result<Object<'js>> {
        let console = Object::new(self.ctx.clone())?;
        for level in ["log", "info", "warn", "error", "debug"] {
            let (account, natives) = (self.account.clone(), natives.clone());
            let print = move |ctx: Ctx<'js>, arguments: Rest<Value<'js>>| -> rquickjs::Result<()> {
                let line = console_line(&arguments, &natives, account.output_left())?;
                if account.print(&line) {
                    return Ok(());
                }
                Err(Exception::throw_range(&ctx, "the output is longer than its limit"))
            };
            console.set(level, Function::new(self.ctx.clone(), print)?)?;
        }
        Ok(console)
    }

    /// `None` means that the code closes the function that it is wrapped in: more than one function came out.
    fn compile(&self, code: &str, natives: &Natives<'js>) -> rquickjs::Result<Option<Function<'js>>> {
        let source = format!("async function (context) {{\n{code}\n}}");
        let compiled: Value = self.ctx.eval_with_options(format!("({source})"), EvalOptions::default())?;
        let Some(function) = compiled.into_function() else {
            return Ok(None);
        };
        Ok((natives.source_of(&function)? == source).then_some(function))
    }

    /// The value that the function returned; `None` means that its promise stays open for ever.
    fn call<H: HostCalls + 'static>(
        &self,
        function: Function<'js>,
        context: &str,
        names: &[&str],
        host: &Rc<RefCell<H>>,
        natives: &Natives<'js>,
    ) -> rquickjs::Result<Option<Value<'js>>> {
        self.offer(names, host, natives)?;
        let context = self.ctx.json_parse(context)?;
        let promise: Promise = function.call((context,))?;
        while promise.state() == PromiseState::Pending && !self.account.is_over() {
            if !self.ctx.execute_pending_job() {
                break;
            }
        }
        promise.result().transpose()
    }

    /// Puts the host functions where the guest finds them: `memory.recall` is a member of a global `memory`.
    fn offer<H: HostCalls + 'static>(
        &self,
        names: &[&str],
        host: &Rc<RefCell<H>>,
        natives: &Natives<'js>,
    ) -> rquickjs::Result<()> {
        for (index, name) in names.iter().enumerate() {
            let mut place = self.ctx.globals();
            let mut path: Vec<&str> = name.split('.').collect();
            let last = path.pop().unwrap_or_default();
            for part in path {
                if !place.contains_key(part)? {
                    place.set(part, Object::new(self.ctx.clone())?)?;
                }
                place = place.get(part)?;
            }
            place.set(last, self.host_function(index as u16, host.clone(), natives.clone())?)?;
        }
        Ok(())
    }

    fn host_function<H: HostCalls + 'static>(
        &self,
        index: u16,
        host: Rc<RefCell<H>>,
        natives: Natives<'js>,
    ) -> rquickjs::Result<Function<'js>> {
        let (account, limit) = (self.account.clone(), self.call_bytes);
        let call = move |ctx: Ctx<'js>, arguments: Rest<Value<'js>>| -> rquickjs::Result<Value<'js>> {
            let arguments = list_json(&arguments, &natives, limit).map_err(|unfit| raised(&ctx, unfit))?;
            match host.borrow_mut().call(index, &arguments) {
                Ok(Ok(answer)) => ctx.json_parse(answer),
                Ok(Err(message)) => Err(Exception::throw_message(&ctx, &message)),
                Err(_) => {
                    account.set_broken();
                    Err(Exception::throw_internal(&ctx, "the host is gone"))
                }
            }
        };
        Function::new(self.ctx.clone(), call)
    }

    fn returned(&self, value: &Value<'js>, natives: &Natives<'js>) -> Ending {
        match to_json(value, natives, self.account.output_left()) {
            Ok(json) => Ending::Returned(json),
            Err(Unfit::TooLong) => {
                self.account.set_flooded();
                Ending::Failed(Status::OutputLimit, "")
            }
            Err(Unfit::Holds(reason)) => Ending::Failed(Status::Unserialisable, reason),
            Err(Unfit::Threw) => self.thrown(),
        }
    }

    /// The name and the message of the pending exception, as far as they can be read without trouble.
    fn thrown(&self) -> Ending {
        let exception = self.ctx.catch();
        let Some(object) = exception.as_object() else {
            let name = if exception.is_null() { "null" } else { "" };
            return Ending::Threw(name.to_owned(), self.readable(&exception, MAX_MESSAGE));
        };
        let read = |name: &str, limit| {
            let text = object.get::<_, Value>(name).map(|value| self.readable(&value, limit));
            text.unwrap_or_else(|_| {
                self.ctx.catch();
                String::new()
            })
        };
        Ending::Threw(read("name", MAX_NAME), read("message", MAX_MESSAGE))
    }

    fn thrown_while_compiling(&self) -> Ending {
        match self.thrown() {
            Ending::Threw(name, message) if name == "SyntaxError" || name.is_empty() => {
                self.account.print(&format!("SyntaxError: {message}"));
                Ending::Failed(Status::Malformed, "the code has a syntax error")
            }
            other => other,
        }
    }

    /// The text of a primitive value, cut at the limit; objects are not asked for theirs.
    fn readable(&self, value: &Value<'js>, limit: usize) -> String {
        if value.is_object() || value.is_symbol() {
            return String::new();
        }
        match text_within(value, usize::MAX) {
            Ok(text) => printable(&text).chars().take(limit).collect(),
            Err(_) => {
                self.ctx.catch();
                String::new()
            }
        }
    }
}

fn raised(ctx: &Ctx, unfit: Unfit) -> rquickjs::Error {
    match unfit {
        Unfit::Threw => rquickjs::Error::Exception,
        Unfit::TooLong => Exception::throw_range(ctx, "the arguments are longer than their limit"),
        Unfit::Holds(reason) => Exception::throw_type(ctx, &format!("the arguments hold {reason}")),
    }
}

fn list_json<'js>(values: &[Value<'js>], natives: &Natives<'js>, limit: usize) -> Result<String, Unfit> {
    let mut list = String::from("[");
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            list.push(',');
        }
        list.push_str(&to_json(value, natives, limit)?);
        if list.len() >= limit {
            return Err(Unfit::TooLong);
        }
    }
    list.push(']');
    Ok(list)
}

/// One line of the console: texts as they are, other values as JSON.
fn console_line<'js>(
    values: &[Value<'js>],
    natives: &Natives<'js>,
    limit: usize,
) -> rquickjs::Result<String> {
    let mut line = String::new();
    for value in values {
        if !line.is_empty() {
            line.push(' ');
        }
        let text = if value.is_string() {
            text_within(value, limit).map(|text| printable(&text))
        } else {
            to_json(value, natives, limit)
        };
        match text {
            Ok(text) => line.push_str(&text),
            // Longer than any limit: the account refuses the line.
            Err(Unfit::TooLong) => line.extend(std::iter::repeat_n(' ', limit + 1)),
            Err(Unfit::Holds(reason)) => line.push_str(reason),
            Err(Unfit::Threw) => return Err(rquickjs::Error::Exception),
        }
        if line.len() > limit {
            break;
        }
    }
    Ok(line)
}

/// The text without control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    text.replace(|each: char| each.is_control() && !matches!(each, '\n' | '\t'), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each call with its function's number and its arguments.
    struct Echo;

    impl HostCalls for Echo {
        fn call(&mut self, function: u16, arguments: &str) -> io::Result<Result<String, String>> {
            let is_refused = arguments.contains("refuse");
            Ok(if is_refused { Err("refused".to_owned()) } else { Ok(format!("[{function},{arguments}]")) })
        }
    }

    fn run_code(code: &str) -> Report {
        let limits = Limits { fuel: 2_000_000, memory: 16 << 20, output: 10_000, cpu_s: 0, call_bytes: 100 };
        run(code, r#"{"n":3}"#, &["memory.recall", "now"], &limits, &Rc::new(RefCell::new(Echo)))
    }

    #[test]
    fn code_ends_in_the_status_that_says_how() {
        let cases = [
            ("return context.n + 1", Status::Ok),
            ("return await Promise.resolve(2)", Status::Ok),
            ("throw new TypeError('no')", Status::Error),
            ("return (", Status::Malformed),
            ("}); (async function (context) {", Status::Malformed),
            ("await new Promise(() => {})", Status::Pending),
            ("while (true) {}", Status::Fuel),
            ("try { while (true) {} } finally { return 1 }", Status::Fuel),
            ("const a = []; while (true) a.push('x'.repeat(9999) + a.length)", Status::Memory),
            ("const f = () => f() + 1; return f()", Status::Stack),
            ("while (true) console.log('xxxxxxxxxx')", Status::OutputLimit),
            ("return 'x'.repeat(20000)", Status::OutputLimit),
            ("return 1n", Status::Unserialisable),
        ];
        for (code, status) in cases {
            assert_eq!(run_code(code).status, status, "{code}");
        }
    }

    #[test]
    fn equal_code_spends_equal_fuel() {
        let code = "let s = 0; for (let i = 0; i < 300000; i++) s += i; return s";
        let (first, second) = (run_code(code), run_code(code));
        assert_eq!((first.fuel, &first.value), (second.fuel, &second.value));
        assert!(first.fuel >= 300_000);
    }

    #[test]
    fn errors_and_console_leave_as_plain_text() {
        let report = run_code(
            "console.log('\\u001b[2J', {a: 1}, 2); throw new RangeError('\\u0007' + 'm'.repeat(9000))",
        );
        assert_eq!(report.console, "\u{fffd}[2J {\"a\":1} 2\n");
        assert_eq!(
            (report.error_name.as_str(), report.error_message.chars().count()),
            ("RangeError", MAX_MESSAGE)
        );
    }

    #[test]
    fn host_functions_take_and_return_json() {
        assert_eq!(
            run_code("return [memory.recall({a: 1}, 'b'), now()]").value,
            r#"[[0,[{"a":1},"b"]],[1,[]]]"#
        );
        let refused = run_code("try { memory.recall('refuse') } catch (e) { return e.message }");
        assert_eq!(refused.value, r#""refused""#);
        let long = run_code("memory.recall('x'.repeat(101))");
        assert_eq!(long.error_message, "the arguments are longer than their limit");
    }
}
