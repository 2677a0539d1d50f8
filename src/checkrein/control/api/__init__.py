"""The control API: JSON over HTTP on loopback and on a socket in the data folder. One file a subject."""
