//! `serde_json`'s values as trees, where there is no browser.

use serde_json::{Map, Value};

use super::Tree;

impl Tree for Value {
    fn text(&self) -> Option<String> {
        self.as_str().map(str::to_owned)
    }

    fn number(&self) -> Option<f64> {
        self.as_f64()
    }

    fn flag(&self) -> Option<bool> {
        self.as_bool()
    }

    fn items(&self) -> Option<Vec<Self>> {
        self.as_array().cloned()
    }

    fn entries(&self) -> Option<Vec<(String, Self)>> {
        let entries = self.as_object()?.iter();
        Some(entries.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    fn is_object(&self) -> bool {
        matches!(self, Self::Object(_) | Self::Array(_))
    }

    fn property(&self, name: &str) -> Option<Self> {
        self.get(name).filter(|value| !value.is_null()).cloned()
    }

    fn nothing() -> Self {
        Self::Null
    }

    fn of_text(text: &str) -> Self {
        Self::String(text.to_owned())
    }

    /// Whole numbers are written as such.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "only what comes back the same is whole"
    )]
    fn of_number(number: f64) -> Self {
        let whole = number as i64;
        if whole as f64 == number { whole.into() } else { number.into() }
    }

    fn of_flag(flag: bool) -> Self {
        Self::Bool(flag)
    }

    fn of_items(items: Vec<Self>) -> Self {
        Self::Array(items)
    }

    fn object() -> Self {
        Self::Object(Map::new())
    }

    fn set(&mut self, name: &str, value: Self) {
        if let Self::Object(properties) = self {
            properties.insert(name.to_owned(), value);
        }
    }
}
