//! Values that hold secrets, and are wiped when they are dropped.

use std::{fmt, ops::Deref};

use serde_json::Value;
use zeroize::Zeroize;

/// A JSON value whose texts are overwritten when it is dropped. Debug shows nothing.
pub(super) struct Wiped(pub(super) Value);

impl Deref for Wiped {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites each text; keys are the template's own words.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(entries) => entries.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_is_overwritten_however_deep() {
        let mut value = json!({ "a": ["one", { "b": "two" }], "c": "three", "d": 1 });
        wipe(&mut value);
        assert_eq!(value, json!({ "a": ["", { "b": "" }], "c": "", "d": 1 }));
        assert_eq!(format!("{:?}", Wiped(json!("hunter2"))), "[secret]");
    }
}
