//! Reads a JavaScript value, as `JSON.parse` makes them, into what `serde` describes.

use std::fmt::Display;

use js_sys::{Array, JsString, Object, Reflect};
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected as Found, VariantAccess, Visitor,
};
use wasm_bindgen::{JsCast, JsValue};

use crate::Unexpected;

/// Integers that a number holds exactly are below this: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// One value to be read.
pub(crate) struct Reader(pub JsValue);

impl Reader {
    fn text(&self) -> Result<String, Unexpected> {
        self.0.as_string().ok_or(Unexpected)
    }
}

impl Error for Unexpected {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }

    // The default implementations format all that there is to say.
    fn invalid_type(_: Found<'_>, _: &dyn Expected) -> Self {
        Self
    }

    fn invalid_value(_: Found<'_>, _: &dyn Expected) -> Self {
        Self
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    fn missing_field(_: &'static str) -> Self {
        Self
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

/// Methods that read a value of one kind.
macro_rules! read {
    ($($method:ident)* => |$reader:ident, $visitor:ident| $read:expr) => {
        $(
            fn $method<V: Visitor<'de>>(self, $visitor: V) -> Result<V::Value, Unexpected> {
                let $reader = self;
                $read
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Reader {
    type Error = Unexpected;

    read!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 => |reader, visitor| {
            visitor.visit_i64(integer(&reader.0)?)
        }
    );
    read!(deserialize_f32 deserialize_f64 => |reader, visitor| {
        visitor.visit_f64(reader.0.as_f64().ok_or(Unexpected)?)
    });
    read!(deserialize_bool => |reader, visitor| {
        visitor.visit_bool(reader.0.as_bool().ok_or(Unexpected)?)
    });
    read!(deserialize_str deserialize_string deserialize_char deserialize_identifier
        deserialize_bytes deserialize_byte_buf => |reader, visitor| {
            visitor.visit_string(reader.text()?)
        }
    );
    read!(deserialize_seq => |reader, visitor| {
        let items = reader.0.dyn_ref::<Array>().ok_or(Unexpected)?;
        visitor.visit_seq(Items { items, next: 0 })
    });
    read!(deserialize_map => |reader, visitor| {
        let entries = Object::entries(reader.0.dyn_ref().ok_or(Unexpected)?);
        visitor.visit_map(Entries { entries, next: 0, value: JsValue::UNDEFINED })
    });
    read!(deserialize_option => |reader, visitor| {
        if reader.0.is_undefined() || reader.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(reader)
        }
    });
    read!(deserialize_unit deserialize_ignored_any => |_reader, visitor| visitor.visit_unit());
    // Nothing that we write describes itself only.
    read!(deserialize_any => |_reader, _visitor| Err(Unexpected));

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        if !self.0.is_object() {
            return Err(Unexpected);
        }
        visitor.visit_map(Fields { object: self.0, names: names.iter(), value: JsValue::UNDEFINED })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        visitor.visit_enum(Name(self.text()?))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is an integer, and small enough")]
fn integer(value: &JsValue) -> Result<i64, Unexpected> {
    let number = value.as_f64().ok_or(Unexpected)?;
    if number.trunc() == number && number.abs() <= EXACT {
        Ok(number as i64)
    } else {
        Err(Unexpected)
    }
}

/// The items of an array.
struct Items<'a> {
    items: &'a Array,
    next: u32,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Unexpected;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unexpected> {
        if self.next >= self.items.length() {
            return Ok(None);
        }
        let item = self.items.get(self.next);
        self.next += 1;
        seed.deserialize(Reader(item)).map(Some)
    }
}

/// The properties of an object by the names that a struct knows.
struct Fields {
    object: JsValue,
    names: std::slice::Iter<'static, &'static str>,
    value: JsValue,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Unexpected;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unexpected> {
        for name in self.names.by_ref() {
            let value =
                Reflect::get(&self.object, &JsString::from(*name)).map_err(|_| Unexpected)?;
            if !value.is_undefined() {
                self.value = value;
                return seed.deserialize((*name).into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Unexpected> {
        seed.deserialize(Reader(std::mem::take(&mut self.value)))
    }
}

/// All properties of an object.
struct Entries {
    entries: Array,
    next: u32,
    value: JsValue,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Unexpected;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unexpected> {
        if self.next >= self.entries.length() {
            return Ok(None);
        }
        let entry = Array::from(&self.entries.get(self.next));
        self.next += 1;
        self.value = entry.get(1);
        seed.deserialize(Reader(entry.get(0))).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Unexpected> {
        seed.deserialize(Reader(std::mem::take(&mut self.value)))
    }
}

/// An enum's variant that has no fields; others are not written by us.
struct Name(String);

impl<'de> EnumAccess<'de> for Name {
    type Error = Unexpected;
    type Variant = NoFields;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, NoFields), Unexpected> {
        Ok((seed.deserialize(StringDeserializer::<Unexpected>::new(self.0))?, NoFields))
    }
}

struct NoFields;

impl<'de> VariantAccess<'de> for NoFields {
    type Error = Unexpected;

    fn unit_variant(self) -> Result<(), Unexpected> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Unexpected> {
        Err(Unexpected)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Unexpected> {
        Err(Unexpected)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Unexpected> {
        Err(Unexpected)
    }
}
