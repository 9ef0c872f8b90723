//! Builds the worker of the sandbox, so that the extension can carry its bytes (docs/decisions/sandbox-worker.md).

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    for path in ["../sandbox/src", "../sandbox/Cargo.toml", "../../Cargo.toml", "../../Cargo.lock"] {
        println!("cargo:rerun-if-changed={path}");
    }
    let folder = PathBuf::from(variable("OUT_DIR"));
    let worker = folder.join("sandbox-worker");
    // A lint or a debug build needs no worker: its sandbox says that it is unavailable.
    if has_defences() && variable("PROFILE") == "release" {
        let built = build(&folder, "-Ctarget-feature=+crt-static").or_else(|| build(&folder, ""));
        fs::copy(built.expect("the sandbox's worker builds"), worker).expect("OUT_DIR takes a file");
    } else {
        fs::write(worker, []).expect("OUT_DIR takes a file");
    }
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_default()
}

/// The sandbox locks its worker down by Landlock and seccomp, on the architectures that it has a filter for.
fn has_defences() -> bool {
    let architecture = variable("CARGO_CFG_TARGET_ARCH");
    variable("CARGO_CFG_TARGET_OS") == "linux" && (architecture == "x86_64" || architecture == "aarch64")
}

/// The path of the program. Linked statically it starts in half the time, and loads nothing from the host's disk;
/// systems without a static C library get it linked dynamically.
fn build(folder: &Path, flag: &str) -> Option<PathBuf> {
    let target = variable("TARGET");
    let mut flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !flags.is_empty() && !flag.is_empty() {
        flags.push('\x1f');
    }
    flags.push_str(flag);
    let status = Command::new(variable("CARGO"))
        .args(["build", "--release", "--locked", "--quiet", "--package", "tacit-sandbox"])
        .args(["--config", "profile.release.panic='abort'"])
        .arg("--manifest-path")
        .arg(Path::new(&variable("CARGO_MANIFEST_DIR")).join("../sandbox/Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.join("sandbox"))
        .arg("--target")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .ok()?;
    let program = folder.join("sandbox").join(&target).join("release/tacit-sandbox-worker");
    status.success().then_some(program)
}
