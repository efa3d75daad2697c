//! JavaScript's values as trees.

use dcdn_protocol::plain::Tree;
use js_sys::{Array, Object};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// An object by its properties. Those that we read and write come from `JSON.parse`, from
    /// another context or from here, so none of them throws.
    type Properties;

    #[wasm_bindgen(method, structural, indexing_getter)]
    fn get(this: &Properties, name: &str) -> JsValue;

    #[wasm_bindgen(method, structural, indexing_setter)]
    fn set(this: &Properties, name: &str, value: JsValue);
}

/// A JavaScript value.
pub(crate) struct Value(pub JsValue);

impl Tree for Value {
    fn text(&self) -> Option<String> {
        self.0.as_string()
    }

    fn number(&self) -> Option<f64> {
        self.0.as_f64()
    }

    fn flag(&self) -> Option<bool> {
        self.0.as_bool()
    }

    fn items(&self) -> Option<Vec<Self>> {
        Some(self.0.dyn_ref::<Array>()?.iter().map(Self).collect())
    }

    fn entries(&self) -> Option<Vec<(String, Self)>> {
        let entry = |entry: JsValue| {
            let entry: Array = entry.unchecked_into();
            (entry.get(0).as_string().unwrap_or_default(), Self(entry.get(1)))
        };
        Some(Object::entries(self.0.dyn_ref()?).iter().map(entry).collect())
    }

    fn is_object(&self) -> bool {
        self.0.is_object()
    }

    fn property(&self, name: &str) -> Option<Self> {
        if !self.is_object() {
            return None;
        }
        let value = self.0.unchecked_ref::<Properties>().get(name);
        (!value.is_undefined() && !value.is_null()).then_some(Self(value))
    }

    fn nothing() -> Self {
        Self(JsValue::NULL)
    }

    fn of_text(text: &str) -> Self {
        Self(text.into())
    }

    fn of_number(number: f64) -> Self {
        Self(number.into())
    }

    fn of_flag(flag: bool) -> Self {
        Self(flag.into())
    }

    fn of_items(items: Vec<Self>) -> Self {
        let array = Array::new();
        for Self(item) in items {
            array.push(&item);
        }
        Self(array.into())
    }

    fn object() -> Self {
        Self(Object::new().into())
    }

    fn set(&mut self, name: &str, Self(value): Self) {
        self.0.unchecked_ref::<Properties>().set(name, value);
    }
}
