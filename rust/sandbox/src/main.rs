//! The worker binary. `rust/bindings/build.rs` builds it, and the extension carries its bytes.

fn main() -> ! {
    tacit_sandbox::work()
}
