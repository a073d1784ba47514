fn same(a: keyward_core::Material, b: keyward_core::Material) -> bool {
    a == b
}

fn main() {}
