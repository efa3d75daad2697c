//! WebDriver BiDi: commands to a browser over a socket of its own, without a driver between.

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::PATIENCE;

/// A session with a browser. One command after the other.
pub struct Bidi(Mutex<Socket>);

struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
}

impl Bidi {
    /// Opens a session with the browser that listens at `url`.
    pub async fn open(url: &str) -> Result<Self> {
        let (stream, _) =
            tokio_tungstenite::connect_async(url).await.context("the browser cannot be reached")?;
        let session = Self(Mutex::new(Socket { stream, last_id: 0 }));
        session.call("session.new", json!({"capabilities": {}})).await?;
        Ok(session)
    }

    /// Carries out a command; the answer is its `result`.
    ///
    /// # Errors
    /// What the browser says, or that it says nothing within [`PATIENCE`].
    pub async fn call(&self, method: &str, params: Value) -> Result<Value> {
        let mut socket = self.0.lock().await;
        let answered = timeout(PATIENCE, socket.call(method, params)).await;
        answered.with_context(|| format!("{method}: no answer"))?.with_context(|| method.to_owned())
    }

    /// The value of an expression in a context, a promise's once it is resolved.
    ///
    /// # Errors
    /// What it throws, or if the value is no string.
    pub async fn evaluate(&self, context: &str, expression: &str) -> Result<String> {
        let params = json!({
            "expression": expression,
            "target": {"context": context},
            "awaitPromise": true,
        });
        let mut answer = self.call("script.evaluate", params).await?;
        match answer["result"]["value"].take() {
            Value::String(value) => Ok(value),
            _ => bail!("no string: {answer}"),
        }
    }
}

impl Socket {
    async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.last_id += 1;
        let command = json!({"id": self.last_id, "method": method, "params": params});
        self.stream.send(Message::text(command.to_string())).await?;
        while let Some(message) = self.stream.next().await {
            let Message::Text(text) = message? else { continue };
            let answer: Answer = serde_json::from_str(&text)?;
            // Not an event, and not the answer to a command that nobody waits for any more.
            if answer.id == Some(self.last_id) {
                return match answer.error {
                    None => Ok(answer.result),
                    Some(error) => bail!("{error}: {}", answer.message),
                };
            }
        }
        bail!("the browser has hung up")
    }
}

#[derive(Deserialize)]
struct Answer {
    id: Option<u64>,
    #[serde(default)]
    result: Value,
    error: Option<String>,
    #[serde(default)]
    message: String,
}
