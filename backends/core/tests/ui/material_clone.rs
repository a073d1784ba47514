fn copy(material: keyward_core::Material) -> keyward_core::Material {
    material.clone()
}

fn main() {}
