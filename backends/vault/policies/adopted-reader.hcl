# On top of a reader whose keys were adopted at legacy/app: reads them there. Whose value it is, the journal of the path and
# the material of the versions say.
path "secret/data/legacy/app" {
  capabilities = ["read"]
}
path "secret/data/keyward/adopted/secret/legacy/app" {
  capabilities = ["read"]
}
path "secret/data/keyward/pending/production/messaging/*" {
  capabilities = ["read"]
}
