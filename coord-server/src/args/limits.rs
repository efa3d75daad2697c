//! What sockets may take, and whom they are told of.

use coord_server::cluster::RedisUrl;
use coord_server::limit::Rate;
use coord_server::registry::Recommendation;
use coord_server::signalling::Limits;

/// Seconds' worth of messages that a socket may send at once.
const BURST: u32 = 8;

/// Bounds of the signalling sockets.
#[derive(Debug, clap::Args)]
pub struct SocketArgs {
    /// Connections open at once, those of signalling sockets among them [default: 32768, or
    /// fewer if the system does not allow so many open files]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<usize>,

    /// Signalling sockets open at once
    #[arg(long, value_name = "N", default_value_t = Limits::default().sockets)]
    max_sockets: usize,

    /// Messages per second that one socket may send in the long run, a KiB counting as
    /// one; eight times as many at once
    #[arg(long, value_name = "N", default_value_t = Limits::default().socket.messages.per_second)]
    socket_messages: u32,

    /// How the peers are chosen that a page is told of: random, or predictive, those who
    /// will hold what it wants next
    #[arg(long, value_name = "HOW", default_value = Recommendation::default().as_str())]
    recommend: Recommendation,

    /// Redis (7 or later) through which several servers of one site know each other's peers,
    /// redis://[USER:PASSWORD@]HOST[:PORT] [default: this server is alone]
    #[arg(long, value_name = "URL")]
    redis: Option<RedisUrl>,
}

impl SocketArgs {
    /// Where other servers are met.
    pub fn redis(&self) -> Option<RedisUrl> {
        self.redis.clone()
    }

    /// What they ask for.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits { sockets: self.max_sockets, ..Limits::default() };
        let capacity = self.socket_messages.saturating_mul(BURST);
        limits.socket.recommendation = self.recommend;
        limits.socket.messages = Rate { capacity, per_second: self.socket_messages };
        limits
    }
}
