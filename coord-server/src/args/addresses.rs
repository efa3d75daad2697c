//! What one network address may take, and whose word on addresses counts.

use clap::value_parser;
use coord_server::asker::{Proxies, ProxyHeader, parse_network};
use coord_server::limit::Rate;
use coord_server::limit::address::AddressLimits;

/// Seconds' worth that may come at once: of sockets, which come all together when a server has
/// been away; of what is said on them; and of files.
const BURST_OF_CONNECTS: u32 = 32;
const BURST: u32 = 8;
const BURST_OF_HASHING: u32 = 64;

/// Bounds for each address. An IPv6 address counts as its /64.
#[derive(Debug, clap::Args)]
pub struct AddressArgs {
    /// Connections open at once from one network address, those of signalling sockets among
    /// them; what trusted proxies pass on does not count
    #[arg(long, value_name = "N", default_value_t = AddressLimits::default().connections)]
    address_connections: usize,

    /// Signalling sockets open at once from one network address; of an IPv6 address its /64
    #[arg(long, value_name = "N", default_value_t = AddressLimits::default().sockets)]
    address_sockets: usize,

    /// Sockets per second that one address may open in the long run; 32 times as many at once
    #[arg(long, value_name = "N", default_value_t = AddressLimits::default().connects.per_second)]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    address_connects: u32,

    /// Joins of swarms per second from one address in the long run; eight times as many at
    /// once
    #[arg(long, value_name = "N", default_value_t = AddressLimits::default().joins.per_second)]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    address_joins: u32,

    /// Messages per second from one address in the long run; eight times as many at once
    #[arg(long, value_name = "N", default_value_t = AddressLimits::default().messages.per_second)]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    address_messages: u32,

    /// Bytes of messages per second from one address in the long run; eight times as many at
    /// once
    #[arg(long, value_name = "BYTES", default_value_t = AddressLimits::default().bytes.per_second)]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    address_bytes: u32,

    /// KiB per second that are hashed in the long run for the manifests that one address asks
    /// for, of files that have none yet; 64 times as many at once, and of a larger file all
    #[arg(long, value_name = "KIB", default_value_t = AddressLimits::default().hashing.per_second)]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    address_hashing: u32,

    /// Address or network (10.0.0.0/8) of a proxy whose word on its visitors' addresses
    /// counts; may be repeated; `none` for none [default: this machine]
    #[arg(long, value_name = "CIDR")]
    #[arg(value_parser = proxy)]
    trusted_proxy: Vec<Trusted>,

    /// The header that trusted proxies set: x-forwarded-for, or forwarded (RFC 7239)
    #[arg(long, value_name = "NAME", default_value = "x-forwarded-for")]
    proxy_header: ProxyHeader,
}

/// A network, or that there is none.
#[derive(Clone, Debug)]
enum Trusted {
    Network(ipnet::IpNet),
    None,
}

impl AddressArgs {
    /// What one address may take.
    pub fn limits(&self) -> AddressLimits {
        let rate = |per_second: u32, burst| Rate {
            capacity: per_second.saturating_mul(burst),
            per_second,
        };
        AddressLimits {
            connections: self.address_connections,
            sockets: self.address_sockets,
            connects: rate(self.address_connects, BURST_OF_CONNECTS),
            joins: rate(self.address_joins, BURST),
            messages: rate(self.address_messages, BURST),
            bytes: rate(self.address_bytes, BURST),
            hashing: rate(self.address_hashing, BURST_OF_HASHING),
        }
    }

    /// Whose word counts.
    pub fn proxies(&self) -> Proxies {
        if self.trusted_proxy.is_empty() {
            return Proxies::local(self.proxy_header);
        }
        let networks = self.trusted_proxy.iter().filter_map(|trusted| match trusted {
            Trusted::Network(network) => Some(*network),
            Trusted::None => None,
        });
        Proxies::new(networks.collect(), self.proxy_header)
    }
}

fn proxy(text: &str) -> Result<Trusted, String> {
    match text {
        "none" => Ok(Trusted::None),
        text => parse_network(text).map(Trusted::Network),
    }
}
