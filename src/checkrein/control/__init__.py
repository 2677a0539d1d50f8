"""The policy administration point: people's side of the gateway. Never imports the data plane or a protocol."""
