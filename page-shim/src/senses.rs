//! What the browser tells of the visitor's device and line, asked when it matters.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_events::EventListener;
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::browser;
use crate::manners::Surroundings;
use crate::task::Task;

/// Watches what cannot be asked for at any time.
#[derive(Debug)]
pub struct Senses {
    hidden_since: Rc<Cell<Option<f64>>>,
    /// The browser's `BatteryManager`, whose properties are always current.
    battery: Rc<RefCell<JsValue>>,
    _visibility: Option<EventListener>,
    _asking: Task,
}

impl Senses {
    /// Starts to watch.
    pub fn watch() -> Self {
        let hidden_since = Rc::new(Cell::new(None));
        let visibility = browser::window().ok().map(|window| {
            let document = get(&window, "document");
            let changed = Rc::clone(&hidden_since);
            changed.set(is_hidden(&document).then(browser::now));
            let target: web_sys::EventTarget = document.clone().unchecked_into();
            EventListener::new(&target, "visibilitychange", move |_| {
                changed.set(is_hidden(&document).then(browser::now));
            })
        });
        let battery = Rc::new(RefCell::new(JsValue::UNDEFINED));
        let found = Rc::clone(&battery);
        let asking = Task::spawn(async move {
            if let Some(manager) = battery_manager().await {
                found.replace(manager);
            }
        });
        Self { hidden_since, battery, _visibility: visibility, _asking: asking }
    }

    /// How things are now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    pub fn surroundings(&self) -> Surroundings {
        let connection = browser::window()
            .map(|window| get(&window.navigator(), "connection"))
            .unwrap_or_default();
        let battery = self.battery.borrow();
        let charge = get(&battery, "level").as_f64();
        let on_battery = get(&battery, "charging").as_bool() == Some(false);
        let hidden_ms = self.hidden_since.get().map_or(0.0, |since| browser::now() - since);
        Surroundings {
            saves_data: get(&connection, "saveData").is_truthy(),
            cellular: get(&connection, "type").as_string().as_deref() == Some("cellular"),
            battery_percent: charge.filter(|_| on_battery).map(|level| (level * 100.0) as u8),
            background_seconds: (hidden_ms / 1000.0) as u32,
        }
    }
}

fn is_hidden(document: &JsValue) -> bool {
    get(document, "visibilityState").as_string().as_deref() == Some("hidden")
}

/// Chromium has one; others do not tell.
async fn battery_manager() -> Option<JsValue> {
    let navigator = browser::window().ok()?.navigator();
    let ask: Function = get(&navigator, "getBattery").dyn_into().ok()?;
    let asked: Promise = ask.call0(&navigator).ok()?.dyn_into().ok()?;
    JsFuture::from(asked).await.ok()
}

/// A property, `undefined` if there is none.
fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or_default()
}
