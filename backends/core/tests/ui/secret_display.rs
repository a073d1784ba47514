fn main() {
    println!("{}", keyward_core::SecretValue::from("x"));
}
