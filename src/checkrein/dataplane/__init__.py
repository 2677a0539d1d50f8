"""The only asyncio on the data path: accepts, dials, relays. Thin and dumb: it knows no message of any protocol."""
