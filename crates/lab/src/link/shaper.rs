//! The pure model of one direction of a link: a drop-tail queue, a rate limiter behind it, random loss, then a delay.
//!
//! A packet of `n` bytes waits until all before it are on the wire, occupies the wire for `8 n / rate` seconds, may then be lost, and
//! arrives `delay` later. So a lost packet has used the wire, as on a real path, and packets never overtake each other. Bytes are
//! those of the IP packet; there is no link-layer overhead.

use std::time::{Duration, Instant};

/// What becomes of a packet that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives at this time.
    Arrives(Instant),
    /// It is lost on the wire.
    Lost,
    /// The queue was full.
    QueueFull,
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Shaper {
    delay: Duration,
    /// Bits a second; `None` means that packets take no time to send.
    rate: Option<u64>,
    queue_bytes: u64,
    random: Random,
    /// When the last accepted packet has left for good.
    free_at: Option<Instant>,
}

impl Shaper {
    pub(super) fn new(delay: Duration, rate: Option<u64>, queue_bytes: u64, seed: u64) -> Self {
        Self { delay, rate, queue_bytes, random: Random::new(seed), free_at: None }
    }

    /// Decides about a packet of `bytes` bytes that is offered `now`, where `loss` is the probability that it is lost.
    pub(super) fn offer(&mut self, now: Instant, bytes: usize, loss: f64) -> Fate {
        let start = self.free_at.map_or(now, |free| free.max(now));
        let bytes = bytes as u64;
        if let Some(rate) = self.rate {
            let waiting = bytes_in(start - now, rate);
            if waiting > 0 && waiting.saturating_add(bytes) > self.queue_bytes {
                return Fate::QueueFull;
            }
            self.free_at = Some(start + time_for(bytes, rate));
        } else {
            self.free_at = Some(start);
        }
        if self.random.happens(loss) {
            return Fate::Lost;
        }
        Fate::Arrives(self.free_at.unwrap_or(start) + self.delay)
    }
}

/// How long `bytes` occupy a wire of `rate` bits a second.
fn time_for(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
}

/// How many bytes a wire of `rate` bits a second carries in `time`, rounded up.
pub(super) fn bytes_in(time: Duration, rate: u64) -> u64 {
    let bits = time.as_nanos() * u128::from(rate);
    u64::try_from(bits.div_ceil(8 * 1_000_000_000)).unwrap_or(u64::MAX)
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough to lose packets by.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// A number from 0 up to, but without, 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn arrival(fate: Fate, start: Instant) -> Duration {
        match fate {
            Fate::Arrives(at) => at - start,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn delay_alone_without_a_rate() {
        let start = Instant::now();
        let mut shaper = Shaper::new(25 * MS, None, 0, 1);
        assert_eq!(arrival(shaper.offer(start, 1500, 0.0), start), 25 * MS);
        assert_eq!(arrival(shaper.offer(start, 1500, 0.0), start), 25 * MS);
    }

    #[test]
    fn packets_leave_one_after_another() {
        let start = Instant::now();
        // 12 Mbit/s: 1500 bytes take a millisecond.
        let mut shaper = Shaper::new(10 * MS, Some(12_000_000), 1 << 20, 1);
        for n in 1..=5 {
            assert_eq!(arrival(shaper.offer(start, 1500, 0.0), start), 10 * MS + n * MS);
        }
        // After a pause the wire is free again.
        let later = start + 100 * MS;
        assert_eq!(arrival(shaper.offer(later, 1500, 0.0), later), 11 * MS);
    }

    #[test]
    fn a_full_queue_drops_the_newest_and_an_empty_one_never_does() {
        let start = Instant::now();
        let mut shaper = Shaper::new(MS, Some(12_000_000), 4500, 1);
        let fates: Vec<_> = (0..6).map(|_| shaper.offer(start, 1500, 0.0)).collect();
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::QueueFull).count(), 3);
        assert!(matches!(fates[2], Fate::Arrives(_)));
        assert!(matches!(shaper.offer(start + MS, 1500, 0.0), Fate::Arrives(_)));
        let mut tiny = Shaper::new(MS, Some(12_000_000), 100, 1);
        assert!(matches!(tiny.offer(start, 1500, 0.0), Fate::Arrives(_)));
    }

    #[test]
    fn loss_follows_its_probability_and_its_seed() {
        let start = Instant::now();
        let run = |seed| -> Vec<Fate> {
            let mut shaper = Shaper::new(MS, None, 0, seed);
            (0..20_000).map(|_| shaper.offer(start, 1500, 0.01)).collect()
        };
        let lost = run(7).iter().filter(|fate| **fate == Fate::Lost).count();
        assert!((150..=250).contains(&lost), "{lost} of 20000 lost at 1 %");
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let mut shaper = Shaper::new(MS, None, 0, 1);
        assert!((0..1000).all(|_| shaper.offer(start, 60, 1.0) == Fate::Lost));
    }

    #[test]
    fn a_lost_packet_has_used_the_wire() {
        let start = Instant::now();
        let mut shaper = Shaper::new(MS, Some(12_000_000), 1 << 20, 1);
        assert_eq!(shaper.offer(start, 1500, 1.0), Fate::Lost);
        assert_eq!(arrival(shaper.offer(start, 1500, 0.0), start), 3 * MS);
    }

    #[test]
    fn bytes_and_times_agree() {
        assert_eq!(bytes_in(50 * MS, 200_000_000), 1_250_000);
        assert_eq!(time_for(1_250_000, 200_000_000), 50 * MS);
    }
}
