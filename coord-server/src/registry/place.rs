//! Where in the network a peer is.

use std::net::IpAddr;

use crate::origin::address::is_public;

/// Network prefixes of an address: enough to tell who is near whom, and no more.
///
/// Peers of one /24 (IPv6: /48) are behind one router or in one street; of one /16 (/32),
/// they are customers of one provider as a rule, and traffic between them is cheap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(Option<Prefixes>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefixes {
    wide: u32,
    rest: u16,
    is_v6: bool,
    is_private: bool,
}

impl Place {
    /// Of whom nothing is known, and who is near nobody.
    pub const UNKNOWN: Self = Self(None);

    /// How near two places are: 0 for unrelated, 1 for one provider, 2 for one street.
    pub fn nearness(self, other: Self) -> u8 {
        let (Some(one), Some(other)) = (self.0, other.0) else { return 0 };
        match one == other {
            true => 2,
            false => u8::from(one.wide == other.wide && one.is_v6 == other.is_v6),
        }
    }

    /// Whether two peers may be on one network: seen in one street, both seen within a private
    /// network, or both unknown, as on one machine.
    pub fn is_neighbour_of(self, other: Self) -> bool {
        match (self.0, other.0) {
            (Some(one), Some(other)) => one == other || one.is_private && other.is_private,
            (one, other) => one == other,
        }
    }

    /// The same of a peer of which another server knows.
    pub fn is_neighbour_of_others(self) -> bool {
        self.0.is_none_or(|it| it.is_private)
    }
}

impl From<IpAddr> for Place {
    /// Loopback is the machine itself or the proxy before us, and says nothing.
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if address.is_loopback() {
            return Self::UNKNOWN;
        }
        let is_private = !is_public(address);
        Self(Some(match address {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                let wide = u32::from(u16::from_be_bytes([a, b]));
                Prefixes { wide, rest: c.into(), is_v6: false, is_private }
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                let wide = u32::from(a) << 16 | u32::from(b);
                Prefixes { wide, rest: c, is_v6: true, is_private }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn nearness(one: &str, other: &str) -> u8 {
        let place = |text: &str| Place::from(text.parse::<IpAddr>().unwrap());
        place(one).nearness(place(other))
    }

    #[test]
    fn peers_are_near_by_the_prefix_that_they_share() {
        assert_eq!(nearness("192.0.2.1", "192.0.2.200"), 2);
        assert_eq!(nearness("192.0.2.1", "192.0.3.1"), 1);
        assert_eq!(nearness("192.0.2.1", "192.1.2.1"), 0);
        assert_eq!(nearness("2001:db8:1::1", "2001:db8:1:9::1"), 2);
        assert_eq!(nearness("2001:db8:1::1", "2001:db8:2::1"), 1);
        assert_eq!(nearness("2001:db8:1::1", "2001:db9:1::1"), 0);
        assert_eq!(nearness("::ffff:192.0.2.1", "192.0.2.9"), 2);
    }

    #[test]
    fn neighbours_may_be_on_one_network() {
        let place = |text: &str| Place::from(text.parse::<IpAddr>().unwrap());
        for (one, other, are_neighbours) in [
            ("8.8.8.8", "8.8.8.9", true),
            ("8.8.8.8", "8.8.9.8", false),
            ("10.1.1.1", "10.2.2.2", true),
            ("10.1.1.1", "8.8.8.8", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "8.8.8.8", false),
        ] {
            assert_eq!(place(one).is_neighbour_of(place(other)), are_neighbours, "{one} {other}");
        }
        assert!(place("10.1.1.1").is_neighbour_of_others());
        assert!(!place("8.8.8.8").is_neighbour_of_others());
    }

    #[test]
    fn nobody_is_near_a_proxy_on_the_same_machine() {
        assert_eq!(nearness("127.0.0.1", "127.0.0.1"), 0);
    }
}
