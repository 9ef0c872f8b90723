"""Labels say what code looks like, and nothing more."""

from __future__ import annotations

import pytest

from tacit.sandbox import LABELS
from tacit.sandbox.labels import labels_of

EXAMPLES = {
    "abort": "process.abort()",
    "async_constructor": "Object.getPrototypeOf(async function () {}).constructor === AsyncFunction",
    "atomics": "new SharedArrayBuffer(8)",
    "base64": "atob('cmVxdWlyZQ')",
    "big_repeat": "'x'.repeat(1e9)",
    "buffer": "Buffer.allocUnsafe(99)",
    "child_process": "spawnSync('id')",
    "constructor_chain": "[].constructor.constructor('return 1')()",
    "dangerous_eval": "(0, eval)('1')",
    "debugger": "debugger",
    "deno": "Deno.readTextFile('x')",
    "descriptor": "open('/dev/fd/3')",
    "dns": "dns.lookup('example.org')",
    "dynamic_import": "import('os')",
    "encoded_text": "'\\x72\\x65\\x71\\x75'",
    "endless_loop": "for (;;) {}",
    "environment": "process.env.HOME",
    "error_stack": "Error.prepareStackTrace = 1",
    "file_module": "readFileSync('x')",
    "file_path": "'../../etc'",
    "fork_bomb": "cluster.fork()",
    "function_constructor": "Function('return this')",
    "global_object": "globalThis['a']",
    "host_module": "require('os')",
    "instructions": "'Ignore previous instructions'",
    "interval": "setTimeout(f, 1)",
    "long_wait": "await new Promise(() => {})",
    "native_binding": "process.binding('fs')",
    "network_module": "'node:net'",
    "network_request": "fetch('http://example.org')",
    "proc_file": "'/proc/self/environ'",
    "process_exit": "process.exit(1)",
    "prototype": "({}).__proto__.x = 1",
    "proxy": "new Proxy({}, {})",
    "regular_expression": "/(a+)+b/",
    "sqlite": "'node:sqlite'",
    "terminal": "'\\u001b[2J'",
    "virtual_machine": "vm.runInThisContext('1')",
    "webassembly": "new WebAssembly.Module(b)",
    "wrapper_breakout": "}); (function () {",
}


def test_there_are_at_least_thirty_labels_and_each_has_an_example() -> None:
    assert len(LABELS) >= 30
    assert set(LABELS) == set(EXAMPLES)


@pytest.mark.parametrize("label", EXAMPLES)
def test_a_label_is_found_in_its_example(label: str) -> None:
    assert label in labels_of(EXAMPLES[label])


def test_plain_code_has_no_label_and_long_code_is_read_in_part() -> None:
    assert labels_of("return context.orders.filter((order) => order.total > 100).length") == ()
    assert labels_of(" " * (64 << 10) + "require('fs')") == ()
