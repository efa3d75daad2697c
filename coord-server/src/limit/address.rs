//! What one network address may take of the server, sockets and manifests together.
//!
//! Carriers put many customers behind one IPv4 address, some hundred as a rule: the
//! defaults leave room for thousands of pages, and keep a single address from being most
//! of what the server does.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Instant;

use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::message::coord::ToCoord;

use super::{Rate, TokenBucket};
use crate::metrics::AddressRefusals;
use crate::registry::Event;

/// Addresses that are remembered, some 300 bytes each, or twice as many as connections if those
/// may be more: who is connected is never forgotten. Those that have rested long enough to be as
/// good as new are forgotten first.
const MOST_ACCOUNTS: usize = 1 << 15;

/// Bytes that one token of [`AddressLimits::hashing`] stands for.
const HASHED_PER_TOKEN: u64 = 1024;

/// Bounds for one network address: an IPv4 address, or the /64 of an IPv6 address, which is
/// what a household has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// Connections open at once, those of signalling sockets among them.
    pub connections: usize,
    /// Signalling sockets open at once.
    pub sockets: usize,
    /// Signalling sockets opened.
    pub connects: Rate,
    /// Joins, over all sockets.
    pub joins: Rate,
    /// Messages, over all sockets.
    pub messages: Rate,
    /// Bytes of messages, over all sockets.
    pub bytes: Rate,
    /// KiB of resources that have no manifest yet and are hashed to make one. One that is
    /// larger than all of them is hashed, and paid off afterwards.
    pub hashing: Rate,
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            sockets: 2048,
            connects: Rate { capacity: 4096, per_second: 128 },
            joins: Rate { capacity: 8192, per_second: 1024 },
            messages: Rate { capacity: 65_536, per_second: 8192 },
            bytes: Rate { capacity: 64 << 20, per_second: 8 << 20 },
            hashing: Rate { capacity: 4 << 20, per_second: 64 << 10 },
        }
    }
}

/// What an address has had enough of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Connections open at once.
    #[error("too many connections from this address")]
    Connections,
    /// Sockets open at once.
    #[error("too many sockets from this address")]
    Sockets,
    /// Sockets opened.
    #[error("too many new sockets from this address")]
    Connects,
    /// Joins.
    #[error("too many joins from this address")]
    Joins,
    /// Messages.
    #[error("too many messages from this address")]
    Messages,
    /// Bytes of messages.
    #[error("too many bytes from this address")]
    Bytes,
    /// Resources hashed.
    #[error("too many manifests are made for this address; ask again later")]
    Hashing,
}

impl Excess {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Connections,
        Self::Sockets,
        Self::Connects,
        Self::Joins,
        Self::Messages,
        Self::Bytes,
        Self::Hashing,
    ];

    /// The name as metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Sockets => "sockets",
            Self::Connects => "connects",
            Self::Joins => "joins",
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::Hashing => "hashing",
        }
    }
}

/// Why there is no [`SocketPermit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSocket {
    /// The server has as many as it takes.
    #[error("the server has as many sockets as it takes")]
    Full,
    /// The visitor's address has had enough.
    #[error(transparent)]
    Address(Excess),
}

/// Keeps account of addresses, and of the sockets there are in all. A clone is the same.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most_accounts: usize,
    most_sockets: usize,
    limits: AddressLimits,
    refusals: AddressRefusals,
    told: Once,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sockets: usize,
    accounts: HashMap<IpAddr, Arc<Mutex<Account>>>,
}

#[derive(Debug)]
struct Account {
    connections: usize,
    sockets: usize,
    connects: TokenBucket,
    joins: TokenBucket,
    messages: TokenBucket,
    bytes: TokenBucket,
    hashing: TokenBucket,
}

/// The account of one address; an unknown address has none, and no bounds.
#[derive(Clone, Debug)]
pub struct Purse {
    account: Option<Arc<Mutex<Account>>>,
    guard: Guard,
}

/// The right to one socket; given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct SocketPermit(Purse);

/// The right to one connection; given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct ConnectionPermit(Option<Arc<Mutex<Account>>>);

impl Guard {
    /// Of at most `most_connections` there are `most_sockets` in all, and `limits` for each address. What is refused for an
    /// address is counted in `refusals`.
    pub fn new(
        most_connections: usize,
        most_sockets: usize,
        limits: AddressLimits,
        refusals: AddressRefusals,
    ) -> Self {
        Self(Arc::new(Shared {
            most_accounts: most_connections.saturating_mul(2).max(MOST_ACCOUNTS),
            most_sockets,
            limits,
            refusals,
            told: Once::new(),
            state: Mutex::default(),
        }))
    }

    /// Forgets every address that has nothing open and has rested long enough to be as good as new.
    pub fn sweep(&self, now: Instant) {
        forget_rested(&mut self.lock().accounts, now);
    }

    /// The account of a visitor's address, `None` if that is not known.
    pub fn purse(&self, visitor: Option<IpAddr>, now: Instant) -> Purse {
        let account = visitor.map(|address| {
            let (most, accounts) = (self.0.most_accounts, &mut self.lock().accounts);
            if accounts.len() >= most {
                forget(accounts, most, now);
            }
            let account = || Arc::new(Mutex::new(Account::new(&self.0.limits, now)));
            Arc::clone(accounts.entry(network(address)).or_insert_with(account))
        });
        Purse { account, guard: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purse {
    /// Whether a socket would be admitted.
    ///
    /// # Errors
    /// If there is no room.
    pub fn check_socket(&self, now: Instant) -> Result<(), NoSocket> {
        self.room(|account| account.connects.has_any(now)).map(drop)
    }

    /// A socket.
    ///
    /// # Errors
    /// As [`Purse::check_socket`].
    pub fn socket(&self, now: Instant) -> Result<SocketPermit, NoSocket> {
        let mut state = self.room(|account| {
            let taken = account.connects.take(1, now);
            account.sockets += usize::from(taken);
            taken
        })?;
        state.sockets += 1;
        drop(state);
        Ok(SocketPermit(self.clone()))
    }

    /// Holds on to the count of sockets if there is room for one more, and `connects`.
    fn room(
        &self,
        connects: impl FnOnce(&mut Account) -> bool,
    ) -> Result<MutexGuard<'_, State>, NoSocket> {
        let Shared { most_sockets, limits, .. } = &*self.guard.0;
        let state = self.guard.lock();
        if state.sockets >= *most_sockets {
            return Err(NoSocket::Full);
        }
        let fits = self.spend(|account| {
            if account.sockets >= limits.sockets {
                return Err(Excess::Sockets);
            }
            connects(account).then_some(()).ok_or(Excess::Connects)
        });
        fits.map_err(NoSocket::Address)?;
        Ok(state)
    }

    /// A connection.
    ///
    /// # Errors
    /// If there are as many as there may be.
    pub fn connection(&self) -> Result<ConnectionPermit, Excess> {
        let most = self.guard.0.limits.connections;
        self.spend(|account| {
            if account.connections >= most {
                return Err(Excess::Connections);
            }
            account.connections += 1;
            Ok(())
        })?;
        Ok(ConnectionPermit(self.account.clone()))
    }

    /// The hashing of `bytes`, which counts as that of a chunk at least: what is kept of it
    /// is no less.
    ///
    /// # Errors
    /// If earlier ones are not paid off.
    pub fn hash(&self, bytes: u64, now: Instant) -> Result<(), Excess> {
        let bytes = bytes.max(DEFAULT_CHUNK_SIZE.into());
        let cost = u32::try_from(bytes / HASHED_PER_TOKEN).unwrap_or(u32::MAX);
        self.spend(|account| {
            let hashing = &mut account.hashing;
            hashing.take_on_credit(cost, now).then_some(()).ok_or(Excess::Hashing)
        })
    }

    /// Whether it could have something hashed.
    pub fn may_hash(&self, now: Instant) -> bool {
        self.account.as_ref().is_none_or(|account| lock(account).hashing.has_any(now))
    }

    fn spend(&self, take: impl FnOnce(&mut Account) -> Result<(), Excess>) -> Result<(), Excess> {
        let Some(account) = &self.account else { return Ok(()) };
        let result = take(&mut lock(account));
        if let Err(excess) = result {
            let Shared { refusals, told, .. } = &*self.guard.0;
            refusals.of(excess).inc();
            told.call_once(|| {
                tracing::warn!(
                    kind = excess.as_str(),
                    "an address has had enough, which is said once; if it is a proxy's, name it \
                     with --trusted-proxy, or raise --address-{}",
                    excess.as_str()
                );
            });
        }
        result
    }
}

impl SocketPermit {
    /// What comes on the socket.
    ///
    /// # Errors
    /// If the address has sent too much.
    pub fn hear(&self, event: &Event, now: Instant) -> Result<(), Excess> {
        let (joins, bytes) = match event {
            Event::Received(ToCoord::Join { .. }, bytes) => (1, *bytes),
            Event::Received(_, bytes) | Event::Garbled(_, bytes) | Event::Beat(bytes) => {
                (0, *bytes)
            }
            Event::Connected(_) | Event::Refused(..) | Event::Disconnected => return Ok(()),
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0.spend(|account| {
            if !account.messages.take(1, now) {
                Err(Excess::Messages)
            } else if !account.bytes.take(bytes, now) {
                Err(Excess::Bytes)
            } else if !account.joins.take(joins, now) {
                Err(Excess::Joins)
            } else {
                Ok(())
            }
        })
    }
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        self.0.guard.lock().sockets -= 1;
        if let Some(account) = &self.0.account {
            lock(account).sockets -= 1;
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Some(account) = &self.0 {
            lock(account).connections -= 1;
        }
    }
}

impl Account {
    fn new(limits: &AddressLimits, now: Instant) -> Self {
        let bucket = |rate| TokenBucket::new(rate, now);
        Self {
            connections: 0,
            sockets: 0,
            connects: bucket(limits.connects),
            joins: bucket(limits.joins),
            messages: bucket(limits.messages),
            bytes: bucket(limits.bytes),
            hashing: bucket(limits.hashing),
        }
    }

    /// Whether it says no more than a new one would.
    fn is_as_new(&mut self, now: Instant) -> bool {
        let Self { connections, sockets, connects, joins, messages, bytes, hashing } = self;
        let mut buckets = [connects, joins, messages, bytes, hashing];
        *connections + *sockets == 0 && buckets.iter_mut().all(|bucket| bucket.is_full(now))
    }
}

/// Makes room: whoever has as many addresses as are remembered gains nothing by our
/// forgetting what one of them has had.
fn forget(accounts: &mut HashMap<IpAddr, Arc<Mutex<Account>>>, most: usize, now: Instant) {
    forget_rested(accounts, now);
    if accounts.len() > most / 2 {
        accounts.retain(|_, account| Arc::strong_count(account) > 1);
    }
}

fn forget_rested(accounts: &mut HashMap<IpAddr, Arc<Mutex<Account>>>, now: Instant) {
    accounts.retain(|_, account| Arc::strong_count(account) > 1 || !lock(account).is_as_new(now));
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What counts as one address.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}
