//! A headless Chromium as a visitor of the demo, steered through its DevTools socket.
//!
//! The end-to-end tests have a driver for this; a person who only wants to see the demo
//! should not need to install one.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use crate::interrupt::{Interrupt, POLL};
use crate::server::{apart, end};

/// Shared with the end-to-end tests.
const ARGUMENTS: &str = include_str!("../../tests/chromium.args");

/// How often a profile's removal is tried.
const REMOVALS: u32 = 20;

/// Of pictures, in percent: photographs and text alike are good to look at.
const QUALITY: u8 = 78;

/// Makes a page of the demo hold all of its content; resolves to a [`Holding`].
const HOLD: &str = include_str!("hold.js");

/// A browser with a profile of its own and one page. Ends with the value.
pub struct Browser {
    page: Page,
    _process: Process,
}

/// How a page is looked at.
#[derive(Clone, Copy)]
pub struct View {
    /// In CSS pixels.
    pub width: u32,
    pub height: u32,
    /// Pixels of the picture for one of these.
    pub scale: f64,
    pub dark: bool,
}

/// What a visitor's page holds.
#[derive(Deserialize)]
pub struct Holding {
    /// Resources held completely.
    pub resources: u32,
    /// Bytes of them.
    pub bytes: u64,
}

impl Browser {
    /// Starts one.
    pub fn start(program: &Path, as_root: bool, interrupt: &Interrupt) -> Result<Self> {
        let mut process = Process::start(program, as_root)?;
        let tools = interrupt.wait_for(|| process.tools())?;
        let page = Page::open(&tools, interrupt.clone())?;
        Ok(Self { page, _process: process })
    }

    /// Visits the demo until the browser holds all of its content.
    pub fn hold(&mut self, url: &str) -> Result<Holding> {
        // The first visit installs the worker, the second is served through it.
        self.page.navigate(url)?;
        self.page.evaluate("window.dcdn?.ready")?;
        self.page.navigate(url)?;
        let holding = self.page.evaluate(HOLD)?;
        serde_json::from_value(holding).context("the demo page gave no account of what it holds")
    }

    /// Opens a page, waits for what an expression promises, and takes a picture of what is seen.
    pub fn picture(&mut self, url: &str, view: View, until: &str) -> Result<Vec<u8>> {
        let page = &mut self.page;
        let View { width, height, scale, dark } = view;
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": false});
        page.call("Emulation.setDeviceMetricsOverride", &metrics)?;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        page.call("Emulation.setEmulatedMedia", &json!({"features": features}))?;
        page.call("Emulation.setScrollbarsHidden", &json!({"hidden": true}))?;
        page.navigate(url)?;
        page.evaluate(until)?;
        let format = json!({"format": "jpeg", "quality": QUALITY});
        let taken = page.call("Page.captureScreenshot", &format)?;
        let data = taken["data"].as_str().context("no picture")?;
        Ok(BASE64.decode(data.as_bytes())?)
    }
}

/// The process and its profile, which is removed when the process has ended.
struct Process {
    process: Child,
    profile: TempDir,
}

impl Process {
    fn start(program: &Path, as_root: bool) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("dcdn-peer-").tempdir()?;
        let mut command = Command::new(program);
        command
            .args(arguments())
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(as_root.then_some("--no-sandbox"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        apart(&mut command);
        let process = command.spawn().with_context(|| format!("failed: {command:?}"))?;
        Ok(Self { process, profile })
    }

    /// The URL of the DevTools socket, which the browser writes into its profile.
    fn tools(&mut self) -> Result<Option<String>> {
        if let Some(status) = self.process.try_wait()? {
            bail!("the browser ended ({status})");
        }
        let written = fs::read_to_string(self.profile.path().join("DevToolsActivePort"));
        let text = written.unwrap_or_default();
        let lines = text.split_once('\n');
        Ok(lines.map(|(port, path)| format!("ws://127.0.0.1:{port}{}", path.trim())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.process);
        // The browser's helpers end when they see it gone, and write until then.
        for _ in 0..REMOVALS {
            if fs::remove_dir_all(self.profile.path()).is_ok() {
                return;
            }
            thread::sleep(POLL);
        }
    }
}

fn arguments() -> impl Iterator<Item = &'static str> {
    ARGUMENTS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A page, over the browser's socket.
struct Page {
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last_id: u64,
    interrupt: Interrupt,
}

impl Page {
    fn open(tools: &str, interrupt: Interrupt) -> Result<Self> {
        let address = tools.trim_start_matches("ws://").split('/').next().unwrap_or_default();
        let stream = TcpStream::connect(address)?;
        let (socket, _) = tungstenite::client(tools, stream)
            .map_err(|problem| anyhow::anyhow!("the browser's tools do not answer: {problem}"))?;
        // Waiting for an answer is interrupted by Ctrl-C.
        socket.get_ref().set_read_timeout(Some(POLL))?;
        let mut page = Self { socket, session: None, last_id: 0, interrupt };
        let target = page.call("Target.createTarget", &json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = page.call("Target.attachToTarget", &attach)?;
        page.session = attached["sessionId"].as_str().map(str::to_owned);
        Ok(page)
    }

    /// Opens a URL and waits for the page's `load` event.
    fn navigate(&mut self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", &json!({"url": url}))?;
        let problem = answer["errorText"].as_str();
        ensure!(problem.is_none(), "opening {url}: {}", problem.unwrap_or_default());
        self.evaluate(
            "new Promise((done) => document.readyState === 'complete' \
               ? done() : addEventListener('load', () => done()))",
        )?;
        Ok(())
    }

    /// The value of an expression, a promise's once it is resolved.
    fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", &params)?;
        let problem = &answer["exceptionDetails"]["exception"]["description"];
        ensure!(problem.is_null(), "in the page: {}", problem.as_str().unwrap_or_default());
        Ok(answer["result"]["value"].take())
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        self.socket.send(Message::text(command.to_string()))?;
        loop {
            self.interrupt.check()?;
            let message = match self.socket.read() {
                Ok(Message::Text(text)) => serde_json::from_str::<Answer>(&text)?,
                Ok(_) => continue,
                Err(tungstenite::Error::Io(error)) if is_timeout(error.kind()) => continue,
                Err(error) => return Err(error).context("the browser is gone"),
            };
            if message.id == Some(self.last_id) {
                ensure!(message.error.is_null(), "{method}: {}", message.error["message"]);
                return Ok(message.result);
            }
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    id: Option<u64>,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Value,
}

/// What a read that took longer than its time limit fails with, by platform.
fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
