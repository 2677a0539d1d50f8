"""The embedded OIDC issuer: discovery, key set, client credentials. For those without an identity provider.

`keyring` holds the signing keys, `members` who may have a token, `router` is the HTTP of it.
"""
