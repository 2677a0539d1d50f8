"""SCRAM-SHA-256 towards a target (RFC 5802, RFC 7677; PostgreSQL manual, "SASL Authentication")."""

# not compiled: runs once a login; raises with `from None`, which keeps its context once compiled
from __future__ import annotations

from typing import Final

import scramp

from checkrein.core.errors import ProtocolError, Unavailable
from checkrein.core.identity import Secret
from checkrein.core.limits import SCRAM_ITERATIONS
from checkrein.core.side import Side

PLAIN: Final = "SCRAM-SHA-256"
BOUND: Final = "SCRAM-SHA-256-PLUS"


class Scram:
    """One SCRAM exchange: `first()`, `final(challenge)`, `verify(signature)`, in this order.

    With a channel binding (`tls-server-end-point`) and a server that offers it, SCRAM-SHA-256-PLUS is used; without the
    offer the client says that it could have, so that a stripped offer is noticed by the server. `nonce` is printable
    bytes from the caller, or empty to let the library draw one. Raises Unavailable when the server offers neither
    mechanism, ProtocolError when it breaks the exchange, asks for more than SCRAM_ITERATIONS, or cannot prove itself.
    """

    def __init__(self, offered: tuple[str, ...], password: Secret, binding: bytes, nonce: bytes = b"") -> None:
        self.mechanism = BOUND if binding and BOUND in offered else PLAIN
        if self.mechanism not in offered:
            raise Unavailable("the target offers no SCRAM-SHA-256")
        try:
            self._client = scramp.ScramClient(
                [self.mechanism],
                "*",  # the server takes the user from the start-up packet
                password.reveal().decode("utf-8"),
                channel_binding=("tls-server-end-point", binding) if binding else None,
                c_nonce=nonce.decode("ascii") if nonce else None,
            )
        except (scramp.ScramException, UnicodeDecodeError):
            raise Unavailable("the profile's password cannot be prepared for SCRAM (RFC 4013)") from None

    def first(self) -> bytes:
        """Return the client-first message."""
        return str(self._client.get_client_first()).encode()

    def final(self, challenge: bytes) -> bytes:
        """Take the server-first message, return the client-final message."""
        try:
            text = challenge.decode("ascii")
            self._client.set_server_first(text)
            # Before the key is derived: the cost of that is what a hostile server would set.
            if int(self._client.iterations) > SCRAM_ITERATIONS:
                raise ProtocolError(f"the target asks for more than {SCRAM_ITERATIONS} iterations", Side.TARGET)
            return str(self._client.get_client_final()).encode()
        except (scramp.ScramException, UnicodeDecodeError):
            raise ProtocolError("the target's SCRAM challenge is malformed", Side.TARGET) from None

    def verify(self, signature: bytes) -> None:
        """Take the server-final message; a server that does not know the password cannot make it."""
        try:
            self._client.set_server_final(signature.decode("ascii"))
        except (scramp.ScramException, UnicodeDecodeError):
            raise ProtocolError("the target did not prove that it knows the password", Side.TARGET) from None
