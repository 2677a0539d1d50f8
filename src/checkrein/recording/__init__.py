"""Journals and evidence: append-only files a session, their hash chain, signatures, verification, replay and export.

`chain` and `journal` write; `segments` closes files; `recovery` signs what a crash left; `verify` checks (and imports
nothing of ours); `replay`, `service` and `export` read. The layout on disk is in docs/recording.md.
"""
