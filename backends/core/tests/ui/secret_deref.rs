fn main() {
    let _: &[u8] = &keyward_core::SecretValue::from("x");
}
