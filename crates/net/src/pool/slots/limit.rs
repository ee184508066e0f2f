//! After how many requests a server ends a connection, as far as that can be known.

/// Requests after which a server is expected to send GOAWAY where it has not shown its own limit: nginx's default
/// (`keepalive_requests`).
const LIKELY: u64 = 1000;
/// What ends after fewer requests was ended by something else.
const LEAST: u64 = 16;

/// The number of requests after which the server sends GOAWAY.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestLimit {
    seen: Option<u64>,
    /// Whether two connections ended at the very same number of requests, or one at nginx's default.
    proven: bool,
    /// Whether a connection went on beyond the number that was expected.
    refuted: bool,
}

impl RequestLimit {
    fn expected(&self) -> Option<u64> {
        if self.refuted { None } else { Some(self.seen.unwrap_or(LIKELY)) }
    }

    /// Whether a connection with so many requests may soon take no more.
    pub(super) fn is_near(&self, requests: u64) -> bool {
        self.expected().is_some_and(|limit| requests * 10 >= limit * 9)
    }

    /// Whether a connection with so many requests takes no more for certain.
    pub(super) fn is_reached(&self, requests: u64) -> bool {
        self.proven && self.expected().is_some_and(|limit| requests >= limit)
    }

    /// Whether a connection has been sent one request beyond the limit, to see whether it takes it.
    pub(super) fn is_tried(&self, requests: u64, answered: u64) -> bool {
        self.expected().is_some_and(|limit| requests > limit && answered <= limit)
    }

    /// A connection ended with GOAWAY after so many answers. A limit is the same each time; a restart of the server is not.
    pub(super) fn ended_at(&mut self, answered: u64) {
        if answered >= LEAST {
            *self = RequestLimit {
                seen: Some(answered),
                proven: answered == LIKELY || self.seen == Some(answered),
                refuted: false,
            };
        }
    }

    /// A connection lives on after so many answers.
    pub(super) fn passed(&mut self, answered: u64) {
        if self.expected().is_some_and(|limit| answered > limit) {
            *self = RequestLimit { refuted: true, ..RequestLimit::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_default_is_expected_and_one_request_beyond_it_is_a_trial() {
        let limit = RequestLimit::default();
        assert!(!limit.is_near(899) && limit.is_near(900));
        assert!(!limit.is_tried(1000, 990) && limit.is_tried(1001, 990) && !limit.is_tried(1030, 1001));
        assert!(!limit.is_reached(1000), "nothing is known yet");
    }

    #[test]
    fn a_limit_is_proven_by_nginx_default_or_by_the_same_number_twice() {
        let mut limit = RequestLimit::default();
        limit.ended_at(1000);
        assert!(limit.is_reached(1000) && !limit.is_reached(999));
        limit.ended_at(100);
        assert!(!limit.is_reached(100) && limit.is_near(90));
        limit.ended_at(100);
        assert!(limit.is_reached(100));
        limit.ended_at(3);
        assert!(limit.is_reached(100), "a connection that ended at once says nothing about a limit");
    }

    #[test]
    fn a_server_that_goes_on_has_no_limit_until_it_shows_one() {
        let mut limit = RequestLimit::default();
        limit.passed(1000);
        assert!(limit.is_near(1000));
        limit.passed(1001);
        assert!(!limit.is_near(1_000_000) && !limit.is_tried(1_000_000, 0) && !limit.is_reached(1_000_000));
        limit.ended_at(5000);
        assert!(limit.is_near(4500) && !limit.is_reached(5000));
    }
}
