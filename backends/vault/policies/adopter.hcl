# On top of a rotator: finds what lies under legacy/, adopts it, and rotates it there.
path "secret/metadata/" {
  capabilities = ["list"]
}
path "secret/metadata/legacy/*" {
  capabilities = ["read", "list"]
}
path "secret/data/legacy/*" {
  capabilities = ["create", "read", "update"]
}
path "secret/metadata/keyward/adopted/*" {
  capabilities = ["create", "update"]
}
