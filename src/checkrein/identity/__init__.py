"""Who is asking: verified claims of OIDC tokens, and what they map to. Pure: keys and time come as arguments.

`keys` reads key sets, `tokens` a JWT and its signature, `claims` checks what it claims, `mapping` makes a Principal.
"""
