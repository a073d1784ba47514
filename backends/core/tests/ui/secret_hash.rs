fn main() {
    let value = keyward_core::SecretValue::from("x");
    std::hash::Hash::hash(&value, &mut std::hash::DefaultHasher::new());
}
