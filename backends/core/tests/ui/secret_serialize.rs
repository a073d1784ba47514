use serde::Serialize;

fn main() {
    let _ = keyward_core::SecretValue::from("x").serialize(serde_json::value::Serializer);
}
