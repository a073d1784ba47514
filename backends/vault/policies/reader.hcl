# A service: reads its own keys, and what is said about them. Writes nothing.
path "secret/data/keyward/records/production/messaging/*" {
  capabilities = ["read"]
}
path "secret/data/keyward/keys/production/messaging/*" {
  capabilities = ["read"]
}
