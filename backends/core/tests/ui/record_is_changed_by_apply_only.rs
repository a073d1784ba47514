fn promote(mut record: keyward_core::KeyRecord) {
    record.0.versions.clear();
}

fn main() {}
