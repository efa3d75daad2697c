//! What the data channels themselves carry: open, to all seeds, with nothing around them.

use anyhow::Result;
use dcdn_tests::Visitor;
use serde_json::json;

/// A page with a data channel to each seed.
pub struct Raw(Visitor);

/// What both ends do. Messages have 64 KiB, as DCDN's; a sender has 1 MiB in its buffer.
const BOTH: &str = "
    const gathered = async (connection) => {
      while (connection.iceGatheringState !== 'complete') {
        await new Promise((resolve) =>
          connection.addEventListener('icegatheringstatechange', resolve, { once: true }));
      }
      return connection.localDescription.sdp;
    };
    const serve = (channel) => {
      const message = new Uint8Array(65536);
      channel.bufferedAmountLowThreshold = 524288;
      channel.onmessage = async ({ data }) => {
        for (let left = Number(data); left > 0; left -= message.length) {
          if (channel.bufferedAmount > 1048576) {
            await new Promise((resolve) => { channel.onbufferedamountlow = resolve; });
          }
          channel.send(left < message.length ? message.subarray(0, left) : message);
        }
      };
    };";

impl Raw {
    /// Connects a visitor of its own on `page` to all seeds, whose pages must stay open.
    pub async fn connect(page: &str, seeds: &[Visitor]) -> Result<Self> {
        let client = Visitor::arrive().await?;
        client.open(page).await?;
        for seed in seeds {
            let offer = format!(
                "{BOTH}
                 const connection = new RTCPeerConnection();
                 const channel = connection.createDataChannel('raw', {{ ordered: false }});
                 channel.binaryType = 'arraybuffer';
                 (window.raw ??= []).push({{ connection, channel }});
                 await connection.setLocalDescription();
                 return gathered(connection);"
            );
            let offer: String = client.run(&offer, &[]).await?;
            let answer = format!(
                "{BOTH}
                 const connection = window.raw = new RTCPeerConnection();
                 connection.ondatachannel = ({{ channel }}) => serve(channel);
                 await connection.setRemoteDescription({{ type: 'offer', sdp: args[0] }});
                 await connection.setLocalDescription();
                 return gathered(connection);"
            );
            let answer: String = seed.run(&answer, &[json!(offer)]).await?;
            let open = "
                const { connection, channel } = window.raw.at(-1);
                await connection.setRemoteDescription({ type: 'answer', sdp: args[0] });
                await until('the channel to open', () => channel.readyState === 'open');";
            client.run::<()>(open, &[json!(answer)]).await?;
        }
        Ok(Self(client))
    }

    /// Milliseconds until the first and the last of so many bytes, an equal share from each.
    pub async fn fetch(&self, bytes: f64) -> Result<(f64, f64)> {
        let script = "
            const start = performance.now();
            const share = Math.ceil(args[0] / raw.length);
            let first, left = share * raw.length;
            await new Promise((resolve) => {
              for (const { channel } of raw) {
                channel.onmessage = ({ data }) => {
                  first ??= performance.now() - start;
                  left -= data.byteLength;
                  if (left <= 0) resolve();
                };
                channel.send(String(share));
              }
            });
            return [first, performance.now() - start];";
        self.0.run(script, &[json!(bytes)]).await
    }

    /// Ends the visitor.
    pub async fn close(self) -> Result<()> {
        self.0.close().await
    }
}
