"""The policy enforcement point: one order, in one place (I12): parse, decide, ask, journal, forward, mask, journal.

A generator of the same steps as a session's; no I/O. Imports only `core`; policy, masking, journal and approvals are
passed in through `ports`.
"""
