//! A panic is a bug of the program: it is caught and told as one, and the prompt comes back.

use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex};

/// Do `work`; a panic in it, also on a thread that it waits for, is an error that asks for a report.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let place: Arc<Mutex<Option<String>>> = Arc::default();
    let seen = place.clone();
    let before = take_hook();
    set_hook(Box::new(move |info| {
        let at = info.location().map_or_else(String::new, |l| format!("{}:{}", l.file(), l.line()));
        if let Ok(mut place) = seen.lock() {
            place.get_or_insert(at);
        }
    }));
    let result = catch_unwind(AssertUnwindSafe(work));
    set_hook(before);
    result.unwrap_or_else(|payload| {
        let words = payload.downcast_ref::<&str>().map(|s| s.to_string());
        let words = words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        let place = place.lock().ok().and_then(|p| p.clone()).unwrap_or_default();
        Err(Error::Script(format!(
            "this is a bug of isdarts-host {}, not of your script: {words} ({place})\n\
             please report it with the input that led to it; a supernet that was at work may need to be made anew",
            env!("CARGO_PKG_VERSION")
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_reported_as_a_bug_with_its_place_and_work_goes_on() {
        let error = caught::<()>(|| panic!("index {} out of range", 7)).unwrap_err().to_string();
        for part in ["bug of isdarts-host", "index 7 out of range", "guard.rs:", "report"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert_eq!(caught(|| Ok(1)).unwrap(), 1);
        let error = caught::<()>(|| {
            rayon::scope(|s| s.spawn(|_| panic!("on a thread")));
            Ok(())
        });
        assert!(error.unwrap_err().to_string().contains("on a thread"));
    }
}
