# A tool that looks after owners, dates and rotation: lists and reads every record, and no value.
path "secret/metadata/keyward/records/*" {
  capabilities = ["list"]
}
path "secret/data/keyward/records/*" {
  capabilities = ["read"]
}
