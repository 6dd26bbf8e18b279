//! What another user may do, for tests that run as root.

use nix::unistd::{Uid, setfsuid};

/// Runs `action` in a thread that may do with files what any stranger may. False where this process
/// cannot act as somebody else, which is said.
pub(crate) fn as_nobody(action: impl FnOnce() + Send) -> bool {
    let nobody = Uid::from_raw(65534);
    let acted = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // This thread's alone, and it ends with it; it takes root's privileges over files
            // away, too. There is no error: the second call reports whether the first one worked.
            setfsuid(nobody);
            let acts = Uid::effective().is_root() && setfsuid(nobody) == nobody;
            if acts {
                action();
            }
            acts
        });
        thread.join()
    });
    let acted = acted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    if !acted {
        println!("not run: only root, with its capabilities, can act as another user");
    }
    acted
}
