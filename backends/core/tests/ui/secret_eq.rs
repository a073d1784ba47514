fn main() {
    let _ = keyward_core::SecretValue::from("x") == keyward_core::SecretValue::from("x");
}
