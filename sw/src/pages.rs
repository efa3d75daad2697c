//! The pages out there: their ports, their connections, what they told us.

use dcdn_protocol::message::shim::ToShim;
use dcdn_protocol::{ChunkSet, ContentId, PeerId, SiteConfig, VERSION};
use dcdn_swarm::Link;
use futures::channel::oneshot;
use vecmap::{VecMap, VecSet};
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, MessagePort};

use crate::stats::Tally;

/// `Client.id`: one load of one page.
pub type ClientId = String;

/// One page with a port to us.
pub struct Page {
    port: MessagePort,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    /// The page's `performance.timeOrigin`.
    pub time_origin: f64,
    /// Whether it has said hello, in our version.
    greeted: bool,
    /// Base URL of its coordination server.
    pub coord: String,
    /// Its path, by which its settings are remembered.
    pub path: String,
    /// What it wants done and is under way; dropped to end it.
    pub errands: VecMap<u32, oneshot::Sender<()>>,
    /// It cannot look for peers.
    pub no_peers: bool,
    /// Open connections.
    pub links: VecMap<PeerId, Link>,
    /// Peers that may yet serve, by content.
    pub expecting: VecMap<ContentId, u32>,
}

impl Page {
    /// A page that has handed over `port`.
    pub fn new(port: MessagePort, on_message: Closure<dyn FnMut(MessageEvent)>) -> Self {
        port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Self {
            port,
            _on_message: on_message,
            time_origin: 0.0,
            greeted: false,
            coord: String::new(),
            path: String::new(),
            errands: VecMap::new(),
            no_peers: false,
            links: VecMap::new(),
            expecting: VecMap::new(),
        }
    }

    /// Answers a hello of our version; from now on the page hears what is posted.
    pub fn welcome(&mut self, config: SiteConfig) {
        self.greeted = true;
        self.configure(config);
    }

    /// What the page was welcomed with is this now.
    pub fn configure(&self, config: SiteConfig) {
        self.post(&ToShim::Welcome { version: VERSION, config });
    }

    /// Answers a hello of another version.
    pub fn turn_away(&self) {
        self.send(&ToShim::Welcome { version: VERSION, config: SiteConfig::default() });
    }

    /// Sends a message. A page that is gone does not hear it, nor one whose version is not
    /// known yet, and nobody else does.
    pub fn post(&self, message: &ToShim) {
        if self.greeted {
            self.send(message);
        }
    }

    /// Whether it has said hello, in our version.
    pub fn is_greeted(&self) -> bool {
        self.greeted
    }

    fn send(&self, message: &ToShim) {
        let _ = self.port.post_message(&dcdn_plain::to_object(message));
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.port.set_onmessage(None);
        self.port.close();
    }
}

/// Who is at the ends of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Our page.
    pub client: ClientId,
    /// The id by which the peer knows it.
    pub me: PeerId,
    /// The peer.
    pub peer: PeerId,
}

/// All pages, and the connections that they have between them.
#[derive(Default)]
pub struct Pages {
    pages: VecMap<ClientId, Page>,
    tallies: VecMap<ClientId, Tally>,
    links: VecMap<Link, Ends>,
    has: VecMap<(Link, ContentId), ChunkSet>,
    expected: VecMap<(Link, ContentId), ChunkSet>,
    awaited: VecSet<ClientId>,
    next_link: u32,
}

impl Pages {
    /// A page has handed over a (new) port. Returns the connections that went
    /// with its old one.
    pub fn insert(&mut self, client: &str, page: Page) -> Vec<Link> {
        let gone = self.remove(client);
        self.awaited.remove(client);
        self.pages.insert(client.to_owned(), page);
        gone
    }

    /// A page is gone. Returns its connections, which are gone as well.
    pub fn remove(&mut self, client: &str) -> Vec<Link> {
        let Some(page) = self.pages.remove(client) else { return Vec::new() };
        let gone: Vec<Link> = page.links.values().copied().collect();
        for link in &gone {
            self.forget(*link);
        }
        gone
    }

    /// Keeps the tallies of the pages that exist, and names the pages with a
    /// port that do not.
    pub fn vanished(&mut self, existing: &[ClientId]) -> Vec<ClientId> {
        self.tallies.retain(|client, _| existing.contains(client));
        self.awaited.retain(|client| existing.contains(client));
        self.pages.keys().filter(|client| !existing.contains(client)).cloned().collect()
    }

    /// A page by its client id.
    pub fn get(&self, client: &str) -> Option<&Page> {
        self.pages.get(client)
    }

    /// A page by its client id.
    pub fn get_mut(&mut self, client: &str) -> Option<&mut Page> {
        self.pages.get_mut(client)
    }

    /// The pages that have said hello.
    pub fn greeted(&self) -> impl Iterator<Item = (&ClientId, &Page)> {
        self.pages.iter().filter(|(_, page)| page.greeted)
    }

    /// Tells the pages that have said hello whether responses are open, and each what it was
    /// served.
    pub fn tell_busy(&self, open: bool) {
        for client in self.greeted().map(|(client, _)| client) {
            self.tell_one_busy(client, open);
        }
    }

    /// The same for `client` alone.
    pub fn tell_one_busy(&self, client: &str, open: bool) {
        let Some(page) = self.pages.get(client) else { return };
        let totals = self.tallies.get(client).map(Tally::totals);
        page.post(&ToShim::Busy { open, totals });
    }

    /// What `client` was served so far.
    pub fn tally(&mut self, client: &str) -> &mut Tally {
        self.tallies.entry(client.to_owned()).or_default()
    }

    /// `client` is waited for to hand over a port. Returns whether it was not before.
    pub fn wait_for(&mut self, client: &str) -> bool {
        self.awaited.insert(client.to_owned())
    }

    /// The wait for `client` is over. Returns whether it was in vain.
    pub fn waited_in_vain(&mut self, client: &str) -> bool {
        self.awaited.remove(client)
    }

    /// A connection of `client`, which goes by `me` there, has opened to a peer that
    /// is `expected` to hold something. `None` if there is one already, or no such page.
    pub fn link_up(
        &mut self,
        client: &str,
        peer: PeerId,
        me: PeerId,
        expected: Vec<(ContentId, ChunkSet)>,
    ) -> Option<Link> {
        let page = self.pages.get_mut(client)?;
        if page.links.contains_key(&peer) {
            return None;
        }
        let link = Link(self.next_link);
        self.next_link += 1;
        page.links.insert(peer, link);
        let expected = expected.into_iter().map(|(content, chunks)| ((link, content), chunks));
        self.expected.extend(expected);
        self.links.insert(link, Ends { client: client.to_owned(), me, peer });
        Some(link)
    }

    /// A connection of `client` is gone.
    pub fn link_down(&mut self, client: &str, peer: PeerId) -> Option<Link> {
        let link = self.pages.get_mut(client)?.links.remove(&peer)?;
        self.forget(link);
        Some(link)
    }

    /// The connection of `client` to `peer`.
    pub fn link(&self, client: &str, peer: PeerId) -> Option<Link> {
        self.pages.get(client)?.links.get(&peer).copied()
    }

    /// The page that owns a connection, and the peer at its other end.
    pub fn at(&self, link: Link) -> Option<(&Page, PeerId)> {
        let ends = self.links.get(&link)?;
        Some((self.pages.get(&ends.client)?, ends.peer))
    }

    /// Every open connection.
    pub fn links(&self) -> impl Iterator<Item = Link> {
        self.links.keys().copied()
    }

    /// Who is at the ends of a connection.
    pub fn ends(&self, link: Link) -> Option<&Ends> {
        self.links.get(&link)
    }

    /// A peer has said what it holds.
    pub fn peer_has(&mut self, link: Link, content: ContentId, chunks: ChunkSet) {
        self.expected.remove(&(link, content));
        self.has.insert((link, content), chunks);
    }

    /// What the peer at the other end is expected to hold, until it says itself.
    pub fn expected(&self, link: Link, content: ContentId) -> ChunkSet {
        self.expected.get(&(link, content)).cloned().unwrap_or_default()
    }

    /// Who holds what of `content`.
    pub fn holders(&self, content: ContentId) -> Vec<(Link, ChunkSet)> {
        self.has
            .iter()
            .filter(|((_, held), _)| *held == content)
            .map(|((link, _), chunks)| (*link, chunks.clone()))
            .collect()
    }

    fn forget(&mut self, link: Link) {
        self.links.remove(&link);
        self.has.retain(|(holder, _), _| *holder != link);
        self.expected.retain(|(holder, _), _| *holder != link);
    }
}
