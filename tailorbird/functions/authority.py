"""The house's own certificate authority: functions trust it, so that addresses written into code
(`https://api.segment.io`, `https://personalize.us-east-1.amazonaws.com`) can lead here."""

from __future__ import annotations

import datetime
import os
import ssl
import tempfile
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
LEAF_DAYS = 397
NAME = "Tailorbird functions"
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


class Authority:
    """Signs certificates for any host name; its key is made on first use and stays put."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._key, self._certificate = _load_or_make(folder)
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())

    @property
    def pem(self) -> str:
        """The authority's own certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def bundle(self) -> str:
        """The machine's authorities and this one."""
        for name in SYSTEM_BUNDLES:
            if Path(name).exists():
                return Path(name).read_text() + "\n" + self.pem
        return self.pem

    def context(self, host: str) -> ssl.SSLContext:
        """A server context that shows a certificate for the host."""
        with self._lock:
            context = self._contexts.get(host)
            if context is None:
                context = self._contexts[host] = self._make_context(host)
            return context

    def _make_context(self, host: str) -> ssl.SSLContext:
        pem = self._leaf(host).public_bytes(serialization.Encoding.PEM) + _private(self._leaf_key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile(dir=self._folder) as file:
            file.write(pem)
            file.flush()
            context.load_cert_chain(file.name)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _leaf(self, host: str) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        issuer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            _builder(subject, self._certificate.subject, LEAF_DAYS)
            .public_key(self._leaf_key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(usage, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )


def _load_or_make(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    file = folder / "authority.pem"
    if not file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        text = _self_signed(key).public_bytes(serialization.Encoding.PEM) + _private(key)
        fd, staging = tempfile.mkstemp(dir=folder)
        with os.fdopen(fd, "wb") as new:
            new.write(text)
        try:
            os.link(staging, file)
        except FileExistsError:  # another process was first: its authority is the one
            pass
        finally:
            Path(staging).unlink()
    held = file.read_bytes()
    key_read = serialization.load_pem_private_key(held, None)
    assert isinstance(key_read, ec.EllipticCurvePrivateKey)
    return key_read, x509.load_pem_x509_certificate(held)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    return (
        _builder(name, name, CA_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
