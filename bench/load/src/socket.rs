//! A WebSocket client that costs next to nothing: frames are made once and sent again and
//! again, and what comes is counted by its frames' headers.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes read at once.
const READ: usize = 64 * 1024;

const BINARY: u8 = 2;
const PING: u8 = 9;

thread_local! {
    /// What all sockets read into: between two reads none of them needs it.
    static READING: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// An open socket.
pub struct Socket {
    sender: Sender,
    /// The start of a message whose end has not come yet.
    rest: Vec<u8>,
}

/// The way out of a socket.
#[derive(Clone)]
pub struct Sender(Rc<TcpStream>);

impl Sender {
    /// Sends frames of [`frame`].
    pub async fn send(&self, mut frames: &[u8]) -> Result<()> {
        while !frames.is_empty() {
            match self.0.try_write(frames) {
                Ok(written) => frames = &frames[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.0.writable().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Socket {
    /// Opens a socket at `path`.
    pub async fn open(address: SocketAddr, path: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut rest = Vec::new();
        let end = loop {
            ensure!(stream.read_buf(&mut rest).await? > 0, "closed instead of upgraded");
            if let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        ensure!(head.starts_with("HTTP/1.1 101"), "not upgraded: {head}");
        Ok(Self { sender: Sender(Rc::new(stream)), rest: rest.split_off(end) })
    }

    /// The way out, for who sends while another receives.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Sends frames of [`frame`].
    pub async fn send(&self, frames: &[u8]) -> Result<()> {
        self.sender.send(frames).await
    }

    /// Waits until messages come, hands each to `take` and says how many there were.
    pub async fn receive(&mut self, mut take: impl FnMut(&[u8])) -> Result<usize> {
        loop {
            let (mut count, mut done, mut pinged) = (0, 0, false);
            while let Some((kind, payload, used)) = parse(&self.rest[done..])? {
                match kind {
                    BINARY => {
                        count += 1;
                        take(payload);
                    }
                    PING => pinged = true,
                    kind => bail!("a frame of kind {kind}: {}", String::from_utf8_lossy(payload)),
                }
                done += used;
            }
            self.rest.drain(..done);
            if pinged {
                self.send(&PONG).await?;
            }
            if count > 0 {
                return Ok(count);
            }
            self.read().await?;
        }
    }

    /// The next message, which comes alone.
    pub async fn next(&mut self) -> Result<Vec<u8>> {
        let mut message = Vec::new();
        let count = self.receive(|payload| message = payload.to_vec()).await?;
        ensure!(count == 1, "more than one message");
        Ok(message)
    }

    async fn read(&mut self) -> Result<()> {
        loop {
            self.sender.0.readable().await?;
            let read: io::Result<usize> = READING.with_borrow_mut(|buffer| {
                let read = self.sender.0.try_read(buffer)?;
                self.rest.extend_from_slice(&buffer[..read]);
                Ok(read)
            });
            match read {
                Ok(0) => bail!("the server closed a socket"),
                Ok(_) => return Ok(()),
                Err(error) if ErrorKind::WouldBlock == error.kind() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// An empty pong, masked with zeros.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// A binary message of a client. The mask is zero, which changes nothing for the server
/// (it unmasks all the same) and leaves the payload as it is.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | BINARY];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => bytes.push(0x80 | short),
        (_, Ok(length)) => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// The first frame of `bytes`, if it is whole: kind, payload, and bytes with its header.
fn parse(bytes: &[u8]) -> Result<Option<(u8, &[u8], usize)>> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    ensure!(first & 0x80 != 0 && second & 0x80 == 0, "fragments and masks are not expected");
    let (start, length) = match second {
        126 => {
            let Some(field) = bytes.get(2..4) else { return Ok(None) };
            (4, usize::from(u16::from_be_bytes([field[0], field[1]])))
        }
        127 => bail!("a message of over 64 KiB"),
        short => (2, usize::from(short)),
    };
    let payload = bytes.get(start..start + length);
    Ok(payload.map(|payload| (first & 0x0f, payload, start + length)))
}
