"""Labels of what code looks like, for audit only: a list of patterns is no defence, and nothing is refused by it."""

from __future__ import annotations

import re

_PATTERNS = {
    "abort": r"\bprocess\s*\.\s*abort\b|\bprocess\s*\.\s*(re)?kill\b",
    "async_constructor": r"\bAsync(Generator)?Function\b|async\s*(function)?\s*\(\s*\)[^;]*\.constructor",
    "atomics": r"\bAtomics\b|\bSharedArrayBuffer\b",
    "base64": r"\batob\b|\bbtoa\b|\bbase64\b",
    "big_repeat": r"\.(repeat|padStart|padEnd)\s*\(\s*(\d{6,}|\d+e\d+|2\s*\*\*)",
    "buffer": r"\bBuffer\s*\.\s*allocUnsafe|\bnew\s+Buffer\b",
    "child_process": r"child_process|\bexecSync\b|\bspawn(Sync)?\b|\bexecFile",
    "constructor_chain": r"constructor\s*[.\[]\s*['\"`]?constructor|\.constructor\s*\(",
    "dangerous_eval": r"\beval\s*\(|\(\s*0\s*,\s*eval\s*\)",
    "debugger": r"\bdebugger\b|\binspector\b",
    "deno": r"\bDeno\s*\.|\bBun\s*\.",
    "descriptor": r"/dev/(fd|std|tty)|/proc/self/fd",
    "dns": r"\bdns\b\s*\.|['\"]dns['\"]|node:dns",
    "dynamic_import": r"\bimport\s*\(|\bimport\s*\.\s*meta\b",
    "encoded_text": r"(\\x[0-9a-fA-F]{2}){4,}|(\\u[0-9a-fA-F]{4}){4,}|fromCharCode\s*\(",
    "endless_loop": r"while\s*\(\s*(true|1|!0)\s*\)|for\s*\(\s*;\s*;\s*\)",
    "environment": r"process\s*\.\s*env\b|\bLD_PRELOAD\b|\bNODE_OPTIONS\b",
    "error_stack": r"prepareStackTrace|captureStackTrace|\.getThis\s*\(|\.getFunction\s*\(",
    "file_module": r"['\"](node:)?fs(/promises)?['\"]|\breadFileSync\b|\bwriteFileSync\b",
    "file_path": r"/etc/(passwd|shadow|hosts)|\.ssh/|id_rsa|\.\./\.\./",
    "fork_bomb": r"\bcluster\s*\.\s*fork\b|\bworker_threads\b|\bnew\s+Worker\b",
    "function_constructor": r"\bnew\s+Function\b|\bFunction\s*\(",
    "global_object": r"\bglobalThis\s*\[|\bglobal\s*\.|\bthis\s*\.\s*constructor\b",
    "host_module": r"\brequire\s*\(|\bcreateRequire\b|\bmodule\s*\.\s*(exports|constructor)\b|mainModule",
    "instructions": r"(?i)ignore\s+(all\s+)?(previous|prior|above)\s+instructions|<\|im_start\|>|\bsystem\s*:\s*you",
    "interval": r"\bset(Timeout|Interval|Immediate)\s*\(",
    "long_wait": r"\bnew\s+Promise\s*\(\s*\(\s*\)\s*=>\s*\{?\s*\}?\s*\)",
    "native_binding": r"process\s*\.\s*(binding|_linkedBinding|dlopen)\b|\.node['\"]",
    "network_module": r"['\"](node:)?(net|http2?|https|tls|dgram|undici)['\"]",
    "network_request": r"\bfetch\s*\(|\bXMLHttpRequest\b|\bnew\s+(WebSocket|EventSource)\b|navigator\s*\.\s*sendBeacon",
    "proc_file": r"/proc/(self|\d+|sys)/",
    "process_exit": r"process\s*\.\s*(exit|reallyExit|exitCode)\b",
    "prototype": r"__proto__|\.prototype\s*\.\s*\w+\s*=|setPrototypeOf|__defineGetter__",
    "proxy": r"\bnew\s+Proxy\b|\bReflect\s*\.\s*(construct|apply)\b",
    "regular_expression": r"\([^()]*[+*]\)[+*]|\(\.\*\)\{\d",
    "sqlite": r"node:sqlite|\bDatabaseSync\b",
    "terminal": r"\\x1b|\\u001b|\\033|\x1b",
    "virtual_machine": r"\bvm\s*\.\s*\w+|['\"](node:)?vm['\"]|runInThisContext",
    "webassembly": r"\bWebAssembly\b|['\"](node:)?wasi['\"]",
    "wrapper_breakout": r"^\s*\}|\}\s*\)\s*\(?\s*\)?\s*;?\s*\(\s*(async\s*)?(function|\()",
}
LABELS: tuple[str, ...] = tuple(sorted(_PATTERNS))
"""Every label that there is."""
_COMPILED = {label: re.compile(pattern) for label, pattern in _PATTERNS.items()}
_LOOKED_AT = 64 << 10


def labels_of(code: str) -> tuple[str, ...]:
    """The labels of a piece of code, of which the first 64 KB are looked at.

    Example:
        >>> from tacit.sandbox.labels import labels_of
        >>> labels_of("return require('fs').readFileSync('/etc/passwd')")
        ('file_module', 'file_path', 'host_module')
    """
    head = code[:_LOOKED_AT]
    return tuple(label for label, pattern in _COMPILED.items() if pattern.search(head))
