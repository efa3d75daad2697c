//! Which addresses the origin's name may stand for.
//!
//! The name is looked up for each connection. Whoever answers for it must not be able to
//! have this server ask a machine behind its firewall, or the cloud's metadata service.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};
use std::vec;

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// Looks names up. Those that only stand for private addresses are errors, but for
/// `localhost` (RFC 6761 section 6.3), which has no others.
#[derive(Clone, Copy, Debug)]
pub struct Resolver {
    /// Whether private addresses are what the site's owner expects.
    pub allow_private: bool,
}

impl Resolver {
    /// The addresses of `name` that may be asked.
    ///
    /// # Errors
    /// If there are none.
    pub async fn resolve(self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
        let may_be_asked = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            self.allow_private || is_public(ip) || is_localhost(name) && ip.is_loopback()
        };
        let permitted: Vec<_> = found.iter().copied().filter(may_be_asked).collect();
        match found.first() {
            Some(private) if permitted.is_empty() => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{name} is {}, a private address; name the origin by its address, \
                     or say --allow-private-origin",
                    private.ip()
                ),
            )),
            _ => Ok(permitted),
        }
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = *self;
        // The connector puts the port in.
        Box::pin(async move { Ok(resolver.resolve(name.as_str(), 0).await?.into_iter()) })
    }
}

fn is_localhost(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

/// Whether an address is one of the public internet's (the registries of RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let this_network = a == 0;
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let benchmarks = a == 198 && (18..20).contains(&b);
    let multicast_or_reserved = a >= 224;
    !(this_network
        || shared
        || protocols
        || benchmarks
        || multicast_or_reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    // Translated and tunnelled IPv4 (RFC 6052, RFC 3056) is as public as what is inside.
    if (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0) {
        return is_public_v4(v4(g, h));
    }
    if a == 0x2002 {
        return is_public_v4(v4(b, c));
    }
    let global_unicast = a & 0xe000 == 0x2000;
    let documentation = (a, b) == (0x2001, 0x0db8) || a == 0x3fff;
    let protocols = a == 0x2001 && b < 0x0200;
    global_unicast && !documentation && !protocols
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_not_of_the_public_internet_is_private() {
        let private = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ];
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        let public =
            ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn localhost_is_what_it_says_and_other_names_are_not_private_unless_allowed() {
        let strict = Resolver { allow_private: false };
        let local = strict.resolve("localhost", 80).await.unwrap();
        assert!(!local.is_empty() && local.iter().all(|it| it.ip().is_loopback()));

        // A name to the resolver, which takes the short forms of addresses for themselves.
        let refused = strict.resolve("127.1", 80).await.unwrap_err();
        assert!(refused.to_string().contains("--allow-private-origin"), "{refused}");
        assert!(Resolver { allow_private: true }.resolve("127.1", 80).await.is_ok());
    }
}
