//! The `Date` field (RFC 9110 section 6.6.1), written once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

thread_local! {
    static LAST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// Now, as the field has it; `None` where the clock is beyond what it can say.
pub(super) fn now() -> Option<HeaderValue> {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    LAST.with_borrow_mut(|last| {
        if let Some((at, value)) = last
            && *at == second
        {
            return Some(value.clone());
        }
        let value = write(second)?;
        *last = Some((second, value.clone()));
        Some(value)
    })
}

fn write(second: u64) -> Option<HeaderValue> {
    let time = Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
    HeaderValue::try_from(DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_rfc_writes_it() {
        assert_eq!(write(784_111_777).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(now().is_some());
    }
}
