"""TLS towards targets, and channel bindings."""

from __future__ import annotations

import hashlib
import ssl

from cryptography import x509

from checkrein.core.target import Target, TargetTls


def target_context(tls: TargetTls) -> ssl.SSLContext:
    """Return the client context for a target's TLS mode (libpq's words). Raises OSError when a file cannot be read."""
    context = ssl.create_default_context(cafile=tls.ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if tls.mode in ("verify-ca", "verify-full") else ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key or None)
    return context


def server_context(cert: str, key: str) -> ssl.SSLContext:
    """Return the listener's context. Raises OSError when a file cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context


def end_point_binding(certificate: bytes) -> bytes:
    """Return `tls-server-end-point` of a DER certificate (RFC 5929 section 4.1); empty when it has none."""
    algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    if algorithm is None:
        return b""
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate).digest()


def server_name(target: Target) -> str:
    """Return the name that the target's certificate must carry."""
    return target.host
