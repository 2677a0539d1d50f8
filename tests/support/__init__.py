"""What tests share: real servers that are started for a test run, and helpers to talk to them."""
