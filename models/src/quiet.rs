//! Panics of a model are its findings, not noise: they are caught, and printed by whoever
//! reports them.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// The first panic since the last call of `catch` on this thread; `None` outside of one.
    static FINDING: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Runs `body`, and gives the message and place of the first panic in it as an error. The
/// engines run a model's threads as coroutines of the calling thread, so all are covered.
pub(crate) fn catch<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // shuttle puts a hook of its own, which prints, in front of whatever there is when it
        // first runs. Let it do so now, so that this one comes before it.
        #[cfg(feature = "shuttle")]
        shuttle::check_dfs(|| {}, Some(1));
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = FINDING.with_borrow_mut(|finding| match finding {
                Some(first) => {
                    first.get_or_insert_with(|| describe(info));
                    true
                }
                None => false,
            });
            if !ours {
                default(info);
            }
        }));
    });
    let outer = FINDING.replace(Some(None));
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    let finding = FINDING.replace(outer).flatten();
    outcome.map_err(|_| finding.unwrap_or_else(|| "a panic without a message".to_owned()))
}

fn describe(info: &panic::PanicHookInfo<'_>) -> String {
    // On one line, whatever the engine makes of it.
    let message = info.payload_as_str().unwrap_or("no message");
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match info.location() {
        // The file alone: a full path would differ from machine to machine.
        Some(place) => {
            let file = place.file().rsplit('/').next().unwrap_or_default();
            format!("{message} ({file}:{})", place.line())
        }
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_silence_stays_silence() {
        assert!(
            catch(|| panic!("so and so"))
                .unwrap_err()
                .contains("so and so")
        );
        assert_eq!(catch(|| {}), Ok(()));
    }
}
