use serde::Serialize;

fn show(material: keyward_core::Material) {
    let _ = material.serialize(serde_json::value::Serializer);
}

fn main() {}
