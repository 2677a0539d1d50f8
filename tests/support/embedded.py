"""`python -m tests.support.embedded FOLDER`: the embedded issuer alone, under uvicorn, on a port of its own."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from checkrein.control.issuer.keyring import Keyring
from checkrein.control.issuer.members import Member, Members
from checkrein.control.issuer.router import EmbeddedIssuer, issuer_router
from checkrein.core.identity import Secret

MEMBERS = (Member("bot", ("support",), "bot"), Member("anna", ("oncall",), "anna"))


def main() -> None:
    """Serve until terminated; the first line says where."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/issuer"
    members = Members(MEMBERS, lambda reference: Secret(f"{reference}-secret"))
    ring = Keyring.open(Path(sys.argv[1]), 900.0, time.time())
    app = FastAPI()
    app.include_router(issuer_router(EmbeddedIssuer(url, members, ring, 900.0)))
    print(f"issuer at {url}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])


if __name__ == "__main__":
    main()
