//! Every random number is a hash of the seed, what it is for and whom it concerns,
//! so that no draw depends on the order in which others are made.

/// What a number is for. The values must differ; nothing else matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Which class of line a viewer has.
    LineClass = 1,
    /// How far the line is from its class's middle.
    LineJitter,
    /// One-way delay of a viewer's access.
    AccessDelay,
    /// Whether a pair can connect.
    Nat,
    /// Loss between a pair.
    Loss,
    /// What kind of peer a viewer is.
    Character,
    /// Whether a viewer says goodbye.
    Goodbye,
    /// When viewers come.
    Arrival,
    /// How long a visit lasts.
    Visit,
    /// What a visit is for.
    Choice,
    /// Whether this is a browser's first visit.
    FirstVisit,
    /// The scheduler's own seed.
    Scheduler,
    /// A viewer's id on the signalling socket.
    PeerId,
    /// Whether a transfer of a peer that stalls now and then does so.
    Stall,
    /// Sizes of contents.
    Size,
    /// The coordination server's dice.
    Registry,
    /// When a live player hears of a new segment.
    Poll,
}

/// 64 random bits.
pub fn hash(seed: u64, purpose: Purpose, a: u64, b: u64) -> u64 {
    let start = mix(seed ^ (purpose as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mix(mix(start ^ a) ^ b.wrapping_mul(0xd6e8_feb8_6659_fd93))
}

/// Evenly from 0 to 1, without 1.
pub fn unit(seed: u64, purpose: Purpose, a: u64, b: u64) -> f64 {
    (hash(seed, purpose, a, b) >> 11) as f64 / (1u64 << 53) as f64
}

/// True in `percent` of cases.
pub fn chance(percent: f64, seed: u64, purpose: Purpose, a: u64, b: u64) -> bool {
    unit(seed, purpose, a, b) * 100.0 < percent
}

/// Finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_apart() {
        let mean = (0..10_000).map(|n| unit(7, Purpose::Loss, n, 0)).sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
        assert_ne!(hash(7, Purpose::Loss, 1, 2), hash(7, Purpose::Nat, 1, 2));
        assert_ne!(hash(7, Purpose::Loss, 1, 2), hash(7, Purpose::Loss, 2, 1));
        assert_ne!(hash(7, Purpose::Loss, 1, 2), hash(8, Purpose::Loss, 1, 2));
    }
}
