fn show(material: keyward_core::Material) {
    println!("{material}");
}

fn main() {}
