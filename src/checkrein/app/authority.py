"""The gateway's own certificate where none is configured: a private CA under `data/tls`, and a leaf signed by it."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from checkrein.recording.files import private_folder, write_durably

CA_DAYS: Final = 3650
LEAF_DAYS: Final = 397
RENEW_DAYS: Final = 30
"""A leaf with less than this left is made anew at start."""


class Certificate:
    """Paths of a certificate chain, its key, and the CA that clients must trust."""

    def __init__(self, cert: Path, key: Path, ca: Path) -> None:
        self.cert = cert
        self.key = key
        self.ca = ca


def ensure(folder: Path, hosts: tuple[str, ...]) -> Certificate:
    """Return the gateway's certificate for these hosts (and localhost), made if need be. Raises OSError, ValueError."""
    private_folder(folder)
    found = Certificate(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    names = tuple(dict.fromkeys(("localhost", "127.0.0.1", "::1", socket.gethostname(), *hosts)))
    ca_key = folder / "ca.key"
    if not found.ca.exists() or not ca_key.exists():
        _make_ca(found.ca, ca_key)
        found.cert.unlink(missing_ok=True)
    if not found.key.exists() or not found.cert.exists() or _worn(found.cert, names):
        _make_leaf(found, ca_key, names)
    return found


def _make_ca(cert: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Checkrein private CA")])
    built = (
        _builder(name, name, private.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    write_durably(key, _pem(private))
    write_durably(cert, built.public_bytes(serialization.Encoding.PEM))


def _make_leaf(found: Certificate, ca_key: Path, names: tuple[str, ...]) -> None:
    authority = x509.load_pem_x509_certificate(found.ca.read_bytes())
    signer = serialization.load_pem_private_key(ca_key.read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{ca_key} is not the key that was made for the private CA")
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "checkrein")])
    built = (
        _builder(subject, authority.subject, private.public_key(), LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    write_durably(found.key, _pem(private))
    write_durably(found.cert, built.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _worn(cert: Path, names: tuple[str, ...]) -> bool:
    found = x509.load_pem_x509_certificate(cert.read_bytes())
    left = found.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    held = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    missing = [name for name in names if _name(name) not in held]
    return left < datetime.timedelta(days=RENEW_DAYS) or bool(missing)
