fn name(material: keyward_core::Material) {
    std::hash::Hash::hash(&material, &mut std::hash::DefaultHasher::new());
}

fn main() {}
