//! Who asks: the other end of a connection, and the visitor that a proxy there speaks for.
//!
//! What a request says of addresses that it has passed is believed only of proxies that the
//! site's owner trusts (`--trusted-proxy`): each has put the address that it saw at the end,
//! so the visitor is the last one that is no such proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Where a proxy puts the scheme that it was asked with.
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where most proxies put the address that they see.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies on the way from a visitor that are looked at.
const MAX_HOPS: usize = 16;

/// Marks requests of connections that are TLS.
#[derive(Clone, Copy, Debug)]
pub struct Secure;

/// Proxies whose word on their visitors counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies {
    networks: Vec<IpNet>,
    header: ProxyHeader,
}

/// The header in which proxies say whose request it is. A proxy sets one of them and passes
/// the other on as the visitor wrote it, so only one can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`: addresses.
    #[default]
    ForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The other end of the connection.
    pub address: IpAddr,
    /// Whether that is a proxy whose word counts.
    pub is_proxy: bool,
    /// The visitor: the other end itself, or of whom it speaks; `None` if that cannot be
    /// known, as of a trusted proxy that does not say.
    pub visitor: Option<IpAddr>,
    /// Whether the connection is TLS.
    pub is_secure: bool,
}

impl Asker {
    /// Of a request. One without a connection, as in tests, is local.
    pub fn of<B>(request: &Request<B>) -> Self {
        let extensions = request.extensions();
        let info = extensions.get::<ConnectInfo<SocketAddr>>();
        let address = info.map_or(Ipv4Addr::LOCALHOST.into(), |ConnectInfo(it)| it.ip());
        let proxies = extensions.get::<Arc<Proxies>>();
        let is_proxy = proxies.is_some_and(|proxies| proxies.trust(address));
        let visitor = match proxies {
            Some(proxies) if is_proxy => proxies.visitor(request.headers()),
            _ => Some(address),
        };
        Self { address, is_proxy, visitor, is_secure: extensions.get::<Secure>().is_some() }
    }

    /// `http` or `https`, as the visitor's browser sees it.
    pub fn scheme(self, headers: &HeaderMap) -> HeaderValue {
        let said = headers.get(FORWARDED_PROTO).filter(|_| self.is_proxy);
        let own = if self.is_secure { "https" } else { "http" };
        said.cloned().unwrap_or(HeaderValue::from_static(own))
    }
}

impl Default for Proxies {
    /// [`Proxies::local`].
    fn default() -> Self {
        Self::local(ProxyHeader::default())
    }
}

impl Proxies {
    /// Those on the same machine, which use `header`.
    pub fn local(header: ProxyHeader) -> Self {
        let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        let v6 = Ipv6Net::from(Ipv6Addr::LOCALHOST);
        Self::new(vec![v4.into(), v6.into()], header)
    }

    /// Those of `networks`, which use `header`.
    pub fn new(networks: Vec<IpNet>, header: ProxyHeader) -> Self {
        Self { networks, header }
    }

    /// Whether what `address` says of others counts.
    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The last address on a request's way that is no trusted proxy's.
    fn visitor(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let name = match self.header {
            ProxyHeader::ForwardedFor => FORWARDED_FOR,
            ProxyHeader::Forwarded => header::FORWARDED,
        };
        let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        let hops =
            lines.into_iter().rev().flat_map(|line| line.as_bytes().rsplit(|it| *it == b','));
        for hop in hops.take(MAX_HOPS) {
            // Who does not say clearly where a request comes from says it of all before, too.
            let hop = std::str::from_utf8(hop).ok()?.trim();
            let address = match self.header {
                ProxyHeader::ForwardedFor => address_of(hop),
                ProxyHeader::Forwarded => forwarded_for(hop),
            }?;
            if !self.trust(address) {
                return Some(address);
            }
        }
        None
    }
}

/// The `for` of an element of `Forwarded`. A comma or semicolon in quotes, of which addresses
/// have none, makes an element that says nothing.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address_of(node.trim().trim_matches('"'))
}

/// An address with or without a port; in brackets or not if it is one of IPv6.
fn address_of(node: &str) -> Option<IpAddr> {
    let bare = || node.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = node.parse().ok().or_else(bare);
    let address = address.or_else(|| node.parse::<SocketAddr>().ok().map(|it| it.ip()))?;
    Some(address.to_canonical())
}

/// A network, or a single address.
///
/// # Errors
/// If `text` is neither.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>().map(|it| it.trunc());
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    network.or_else(|_| address()).map_err(|_| "write an address or a network, 10.0.0.0/8".into())
}

impl FromStr for ProxyHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            text if text.eq_ignore_ascii_case(FORWARDED_FOR.as_str()) => Ok(Self::ForwardedFor),
            text if text.eq_ignore_ascii_case("forwarded") => Ok(Self::Forwarded),
            _ => Err("there are x-forwarded-for and forwarded".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn asker(proxies: Proxies, from: &str, lines: &[(&str, &str)]) -> Asker {
        let mut request = Request::new(());
        let from: IpAddr = from.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((from, 1))));
        request.extensions_mut().insert(Arc::new(proxies));
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        Asker::of(&request)
    }

    /// The visitor that a proxy on this machine speaks for, with another at 10.0.0.0/8.
    fn said(header: ProxyHeader, lines: &[&str]) -> Option<String> {
        let networks = ["127.0.0.1", "10.0.0.0/8"].map(|it| parse_network(it).unwrap());
        let proxies = Proxies::new(networks.to_vec(), header);
        let name = match header {
            ProxyHeader::ForwardedFor => "x-forwarded-for",
            ProxyHeader::Forwarded => "forwarded",
        };
        let lines: Vec<_> = lines.iter().map(|line| (name, *line)).collect();
        asker(proxies, "127.0.0.1", &lines).visitor.map(|it| it.to_string())
    }

    #[test]
    fn a_visitor_is_not_believed() {
        let lines = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=198.51.100.1")];
        let asker = asker(Proxies::default(), "192.0.2.7", &lines);

        assert_eq!(asker.visitor.unwrap().to_string(), "192.0.2.7");
        assert!(!asker.is_proxy);
    }

    #[test]
    fn a_trusted_proxy_says_who_asks_and_what_the_visitor_wrote_before_does_not_count() {
        let visitors: [(&[&str], Option<&str>); 10] = [
            (&["192.0.2.7"], Some("192.0.2.7")),
            (&["198.51.100.1, 192.0.2.7"], Some("192.0.2.7")),
            (&["198.51.100.1", "192.0.2.7,10.1.1.1"], Some("192.0.2.7")),
            (&["10.9.9.9, 192.0.2.7 , 10.1.1.1, 10.1.1.2"], Some("192.0.2.7")),
            (&["192.0.2.7:4711"], Some("192.0.2.7")),
            (&["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (&["::ffff:192.0.2.7"], Some("192.0.2.7")),
            (&["192.0.2.7, unknown"], None),
            (&["10.1.1.1"], None),
            (&[], None),
        ];
        for (lines, visitor) in visitors {
            let found = said(ProxyHeader::ForwardedFor, lines);
            assert_eq!(found.as_deref(), visitor, "{lines:?}");
        }
    }

    #[test]
    fn one_header_is_believed_and_the_other_is_the_visitors() {
        let both = [("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "192.0.2.7")];
        let visitor = |header| {
            let networks = Proxies::default().networks;
            asker(Proxies::new(networks, header), "::1", &both).visitor.unwrap().to_string()
        };
        assert_eq!(visitor(ProxyHeader::ForwardedFor), "192.0.2.7");
        assert_eq!(visitor(ProxyHeader::Forwarded), "198.51.100.1");
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_writes_it() {
        let visitors: [(&[&str], Option<&str>); 5] = [
            (&["for=192.0.2.7;proto=https;by=10.0.0.1"], Some("192.0.2.7")),
            (&["for=198.51.100.1, proto=https; For=\"192.0.2.7:4711\""], Some("192.0.2.7")),
            (&["For=\"[2001:db8:cafe::17]:4711\", for=10.1.1.1"], Some("2001:db8:cafe::17")),
            (&["for=192.0.2.7, for=_hidden"], None),
            (&["proto=https"], None),
        ];
        for (lines, visitor) in visitors {
            let found = said(ProxyHeader::Forwarded, lines);
            assert_eq!(found.as_deref(), visitor, "{lines:?}");
        }
    }

    #[test]
    fn the_way_that_is_looked_at_has_an_end() {
        let way = format!("192.0.2.7{}", ", 10.1.1.1".repeat(MAX_HOPS));
        assert_eq!(said(ProxyHeader::ForwardedFor, &[&way]), None);
    }
}
