//! Peers of the coordination server, and what they say.

use anyhow::{Context, Result, ensure};
use dcdn_protocol::message::coord::{ADAPTIVE_WANT, FromCoord, Signal, ToCoord};
use dcdn_protocol::{ChunkSet, ContentId, GroupId, PeerId, VERSION, frame};

use crate::socket::{self, Socket};
use crate::subject::Subject;

/// Bytes of a relayed message, about those of an offer with its candidates.
pub const SIGNAL_BYTES: usize = 1500;

/// Sockets that are opened at once.
const AT_ONCE: usize = 64;

/// A joined or greeted peer.
pub struct Peer {
    /// Its socket.
    pub socket: Socket,
    /// Its id on that.
    pub id: PeerId,
}

/// A content by number.
pub fn content(number: usize) -> ContentId {
    let mut id = [0x5a; 32];
    id[..8].copy_from_slice(&(number as u64).to_le_bytes());
    ContentId(id)
}

/// Opens sockets that have said hello, each as a browser of its own. `first` makes their
/// browsers differ from those of others.
pub async fn peers(subject: &Subject, first: usize, count: usize) -> Result<Vec<Peer>> {
    let mut peers = Vec::with_capacity(count);
    while peers.len() < count {
        let more = AT_ONCE.min(count - peers.len());
        let mut opened = Vec::with_capacity(more);
        for _ in 0..more {
            opened.push(Socket::open(subject.address, subject.path).await?);
        }
        for mut socket in opened {
            let mut group = [0; 16];
            group[..8].copy_from_slice(&((first + peers.len()) as u64).to_le_bytes());
            let hello = ToCoord::Hello { version: VERSION, group: GroupId(group), token: None };
            socket.send(&message(&hello)?).await?;
            let FromCoord::Welcome { peer: id, .. } = heard(&socket.next().await?)? else {
                anyhow::bail!("no welcome");
            };
            peers.push(Peer { socket, id });
        }
    }
    Ok(peers)
}

/// Sockets of which nothing is heard.
pub async fn idle(subject: &Subject, count: usize) -> Result<Vec<Socket>> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        sockets.push(Socket::open(subject.address, subject.path).await?);
    }
    Ok(sockets)
}

/// Peers that are in the swarm of `content(0)` and idle.
pub async fn crowd(subject: &Subject, count: usize) -> Result<Vec<Peer>> {
    let mut crowd = peers(subject, 1_000_000, count).await?;
    for (number, peer) in crowd.iter_mut().enumerate() {
        let have = ChunkSet::full(u32::try_from(number % 100 + 1)?);
        peer.enter(content(0), have).await?;
    }
    Ok(crowd)
}

impl Peer {
    /// Enters a swarm without asking for peers.
    pub async fn enter(&mut self, content: ContentId, have: ChunkSet) -> Result<()> {
        self.socket.send(&message(&ToCoord::Join { content, want: 0, have })?).await?;
        let answer = heard(&self.socket.next().await?)?;
        ensure!(matches!(answer, FromCoord::Peers { .. }), "no peers but {answer:?}");
        Ok(())
    }
}

/// A question for as many peers as a page with the default policy wants.
pub fn join(content: ContentId) -> Result<Vec<u8>> {
    message(&ToCoord::Join { content, want: ADAPTIVE_WANT, have: ChunkSet::full(12) })
}

/// The end of a membership.
pub fn leave(content: ContentId) -> Result<Vec<u8>> {
    message(&ToCoord::Leave { content })
}

/// Haves of a peer whose download goes on, and how many they are.
pub fn haves(content: ContentId) -> Result<(Vec<u8>, u32)> {
    let chunks = 12..20;
    let count = chunks.end - chunks.start;
    let frames =
        chunks.map(|chunks| message(&ToCoord::Have { content, have: ChunkSet::full(chunks) }));
    Ok((frames.collect::<Result<Vec<_>>>()?.concat(), count))
}

/// A question that has the shortest answer.
pub fn nothing(content: ContentId) -> Result<Vec<u8>> {
    message(&ToCoord::Join { content, want: 0, have: ChunkSet::full(20) })
}

/// A signal that has [`SIGNAL_BYTES`] with all around it. Its text has line ends as every
/// session description has.
pub fn signal(to: PeerId) -> Result<Vec<u8>> {
    let of = |sdp: &str| ToCoord::Signal { to, signal: Signal::Offer { sdp: sdp.to_owned() } };
    let mut sdp = OFFER.to_owned();
    let missing = SIGNAL_BYTES - frame::encode(&of(&sdp), &[])?.len();
    sdp.insert_str(sdp.len() - 2, &"x".repeat(missing));
    message(&of(&sdp))
}

/// Chromium's offer of a data channel, with the fingerprint and some candidates made up.
const OFFER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
    a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
    a=candidate:2039374230 1 udp 2113937151 0f7e4c9a-1a9e-4b7e-8f0a-3b1c9d2e5f60.local 54321 typ host\r\n\
    a=ice-ufrag:Yz3u\r\na=ice-pwd:5u8Xk3VtV7mPq0Jm2c1bY9aZ\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 8A:1F:0B:7C:52:D4:4E:39:A0:65:17:C8:93:2E:FB:60:4D:81:36:EA:9C:07:B2:5F:D8:14:6B:A3:70:CD:E9:22\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n\
    a=x-padding:\r\n";

fn message(message: &ToCoord) -> Result<Vec<u8>> {
    Ok(socket::frame(&frame::encode(message, &[])?))
}

/// What the server said.
pub fn heard(bytes: &[u8]) -> Result<FromCoord> {
    let (message, _) = frame::decode(bytes).context("the server speaks another language")?;
    Ok(message)
}
