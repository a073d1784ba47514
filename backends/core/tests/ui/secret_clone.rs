fn main() {
    let _ = keyward_core::SecretValue::from("x").clone();
}
