# A rotator: writes records, stages, publishes, withdraws and retires.
path "secret/config" {
  capabilities = ["read"]
}
path "secret/data/keyward/*" {
  capabilities = ["create", "read", "update"]
}
path "secret/metadata/keyward/records/*" {
  capabilities = ["create", "update", "list"]
}
path "secret/metadata/keyward/keys/*" {
  capabilities = ["create", "read", "update"]
}
path "secret/metadata/keyward/pending/*" {
  capabilities = ["read", "list", "delete"]
}
path "secret/destroy/keyward/keys/*" {
  capabilities = ["update"]
}
