//! Everything that Chromium writes to its consoles: the pages' and the workers'.
//!
//! Neither WebDriver's log nor BiDi's tells a service worker's messages reliably, so
//! this listens where the browser's own tools do: a DevTools connection that attaches
//! to every page and worker as it comes and asks for what was logged before, too.
//!
//! A worker with tools attached is not stopped for idleness; see
//! [`crate::Visitor::stop_worker`] for a test that needs it stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::PATIENCE;
use crate::console::{Entry, Kind, Origin};

/// A connection to a browser's tools that keeps what is logged.
pub struct Console {
    entries: Arc<Mutex<Vec<Entry>>>,
    orders: mpsc::UnboundedSender<Order>,
}

/// What the task behind a [`Console`] is told.
enum Order {
    /// Say when everybody has answered a question.
    Settle(oneshot::Sender<()>),
    /// The workers have been stopped: those that start again are heard of.
    WorkersStopped,
}

impl Console {
    /// Attaches to the browser whose tools listen at `url`.
    pub async fn attach(url: &str) -> Result<Self> {
        let (socket, _) = tokio_tungstenite::connect_async(url)
            .await
            .context("the browser's tools cannot be reached")?;
        let entries = Arc::default();
        let (orders, incoming) = mpsc::unbounded_channel();
        let listener = Listener {
            socket,
            entries: Arc::clone(&entries),
            targets: HashMap::new(),
            settling: Vec::new(),
            next_id: 0,
        };
        tokio::spawn(listener.run(incoming));
        let console = Self { entries, orders };
        console.settle().await?;
        Ok(console)
    }

    /// What has been logged so far, by everybody who has not left.
    pub async fn entries(&self) -> Result<Vec<Entry>> {
        self.settle().await?;
        Ok(lock(&self.entries).clone())
    }

    /// The workers have been stopped, so they answer nothing until they start again.
    pub fn workers_stopped(&self) {
        // If the browser has hung up there is nobody to wait for either.
        let _ = self.orders.send(Order::WorkersStopped);
    }

    /// Waits until each page and running worker has answered a question: everything that it
    /// logged before that has arrived then.
    async fn settle(&self) -> Result<()> {
        let (done, settled) = oneshot::channel();
        self.orders.send(Order::Settle(done)).ok().context("the browser's tools have hung up")?;
        timeout(PATIENCE, settled)
            .await
            .context("a page or worker does not answer the browser's tools")?
            .context("the browser's tools have hung up")
    }
}

/// The task behind a [`Console`].
struct Listener {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    entries: Arc<Mutex<Vec<Entry>>>,
    /// Attached pages and workers by the id of the session with them.
    targets: HashMap<String, Target>,
    settling: Vec<Settling>,
    next_id: u64,
}

/// A page or a worker.
struct Target {
    origin: Origin,
    /// A stopped worker, of which nothing has been heard since.
    asleep: bool,
}

/// Somebody who waits for the answers to these questions: id of the question, session.
struct Settling {
    open: Vec<(u64, Option<String>)>,
    done: oneshot::Sender<()>,
}

impl Listener {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let attach = json!({
            "autoAttach": true,
            "waitForDebuggerOnStart": false,
            "flatten": true,
            "filter": [{"type": "page"}, {"type": "iframe"}, {"type": "service_worker"}, {"type": "worker"}],
        });
        self.send(None, "Target.setAutoAttach", attach).await;
        loop {
            tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.hear(&text).await,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
                order = orders.recv() => match order {
                    Some(Order::Settle(done)) => self.ask_everybody(done).await,
                    Some(Order::WorkersStopped) => self.let_workers_sleep(),
                    None => return,
                },
            }
        }
    }

    async fn ask_everybody(&mut self, done: oneshot::Sender<()>) {
        // The browser itself first: it has then announced every page and worker.
        let mut open = vec![(self.send(None, "Browser.getVersion", json!({})).await, None)];
        let awake = self.targets.iter().filter(|(_, target)| !target.asleep);
        for session in awake.map(|(session, _)| session.clone()).collect::<Vec<_>>() {
            let id =
                self.send(Some(&session), "Runtime.evaluate", json!({"expression": "0"})).await;
            open.push((id, Some(session)));
        }
        self.settling.push(Settling { open, done });
    }

    fn let_workers_sleep(&mut self) {
        let mut asleep = Vec::new();
        for (session, target) in &mut self.targets {
            if target.origin == Origin::Worker {
                target.asleep = true;
                asleep.push(session.clone());
            }
        }
        self.answered(|(_, asked)| asked.as_ref().is_some_and(|it| asleep.contains(it)));
    }

    async fn hear(&mut self, text: &str) {
        let Ok(message) = serde_json::from_str::<Incoming>(text) else { return };
        let speaker = message.session_id.as_ref().and_then(|it| self.targets.get_mut(it));
        if let Some(target) = speaker {
            target.asleep = false;
        }
        if let Some(id) = message.id {
            return self.answered(|(open, _)| *open == id);
        }
        match message.method.as_str() {
            "Target.attachedToTarget" => self.attached(&message.params).await,
            "Target.detachedFromTarget" => {
                if let Some(session) = message.params["sessionId"].as_str() {
                    self.targets.remove(session);
                    self.answered(|(_, asked)| asked.as_deref() == Some(session));
                }
            }
            method => {
                let origin = message.session_id.and_then(|it| Some(self.targets.get(&it)?.origin));
                let entry = origin.and_then(|origin| entry(origin, method, &message.params));
                lock(&self.entries).extend(entry);
            }
        }
    }

    async fn attached(&mut self, params: &Value) {
        let Some(session) = params["sessionId"].as_str() else { return };
        let origin = match params["targetInfo"]["type"].as_str() {
            Some("page" | "iframe") => Origin::Page,
            _ => Origin::Worker,
        };
        self.targets.insert(session.to_owned(), Target { origin, asleep: false });
        // Both begin with what was logged before.
        self.send(Some(session), "Runtime.enable", json!({})).await;
        self.send(Some(session), "Log.enable", json!({})).await;
    }

    /// Crosses out questions, and tells those who have none left.
    fn answered(&mut self, answered: impl Fn(&(u64, Option<String>)) -> bool) {
        for settling in &mut self.settling {
            settling.open.retain(|question| !answered(question));
        }
        for settled in self.settling.extract_if(.., |it| it.open.is_empty()) {
            // Nobody may be waiting any longer.
            let _ = settled.done.send(());
        }
    }

    async fn send(&mut self, session: Option<&str>, method: &str, params: Value) -> u64 {
        self.next_id += 1;
        let mut command = json!({"id": self.next_id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        // A socket that is gone ends the loop at its next turn.
        let _ = self.socket.send(Message::text(command.to_string())).await;
        self.next_id
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming {
    id: Option<u64>,
    #[serde(default)]
    method: String,
    #[serde(default)]
    params: Value,
    session_id: Option<String>,
}

/// The console entry that an event of the tools stands for, if it does.
fn entry(origin: Origin, event: &str, params: &Value) -> Option<Entry> {
    match event {
        "Runtime.consoleAPICalled" => Some(Entry {
            origin,
            kind: Kind::Console,
            level: text(&params["type"]),
            text: params["args"].as_array()?.iter().map(argument).collect::<Vec<_>>().join(" "),
            url: text(&params["stackTrace"]["callFrames"][0]["url"]),
        }),
        "Runtime.exceptionThrown" => {
            let details = &params["exceptionDetails"];
            let thrown = &details["exception"];
            Some(Entry {
                origin,
                kind: Kind::Uncaught,
                level: "error".to_owned(),
                text: format!("{}: {}", text(&details["text"]), argument(thrown)),
                url: text(&details["url"]),
            })
        }
        "Log.entryAdded" => {
            let entry = &params["entry"];
            let kind = match entry["source"].as_str() {
                Some("network") => Kind::Network,
                _ => Kind::Browser,
            };
            Some(Entry {
                origin,
                kind,
                level: text(&entry["level"]),
                text: text(&entry["text"]),
                url: text(&entry["url"]),
            })
        }
        _ => None,
    }
}

/// A logged value as a person would read it.
fn argument(value: &Value) -> String {
    match (&value["value"], value["description"].as_str()) {
        (_, Some(description)) => description.to_owned(),
        (Value::String(text), None) => text.clone(),
        (other, None) => other.to_string(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
