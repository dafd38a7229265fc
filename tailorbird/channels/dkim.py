"""DKIM: a domain's signature on its mails (RFC 6376 with RSA, RFC 8463 with Ed25519).

Headers and body are signed in their relaxed form, so relays may fold and trim what they pass on.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tailorbird.errors import Invalid

SIGNED = (
    *(b"from", b"to", b"subject", b"date", b"message-id", b"reply-to", b"mime-version"),
    *(b"content-type", b"list-unsubscribe", b"list-unsubscribe-post"),
)
RSA_BITS_MIN = 1024  # verifiers take no shorter key (RFC 8301)
LINE = 70  # characters of a folded signature
SPACES = re.compile(rb"\t[ \t]*| [ \t]+")
TRAILING = re.compile(rb" +(?=\r\n|\Z)")
FOLD = re.compile(rb"\r\n(?=[ \t])")


@dataclass(frozen=True)
class Signer:
    """One key of one domain."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey

    def header(self, mail: bytes, now: float) -> bytes:
        """The DKIM-Signature header that goes in front of the mail."""
        head, _, body = mail.partition(b"\r\n\r\n")
        fields = _fields(head)
        kind = b"rsa" if isinstance(self.key, RSAPrivateKey) else b"ed25519"
        # From is listed once more than it is there: nobody can add a second one.
        names = b":".join([*(name for name, _ in fields), b"from"])
        who = b"d=%s; s=%s; t=%d" % (self.domain.encode(), self.selector.encode(), int(now))
        how = b"v=1; a=%s-sha256; c=relaxed/relaxed; %s;" % (kind, who)
        value = b"\r\n\t".join([how, b"h=%s;" % names, b"bh=%s;" % _digest(body), b"b="])
        unsigned = _relaxed(b"dkim-signature", value)
        signature = base64.b64encode(self._sign(b"".join(f for _, f in fields) + unsigned))
        lines = [signature[at : at + LINE] for at in range(0, len(signature), LINE)]
        return b"DKIM-Signature: " + value + b"\r\n\t".join(lines) + b"\r\n"

    def _sign(self, content: bytes) -> bytes:
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(hashlib.sha256(content).digest())


def signers(text: str) -> dict[str, Signer]:
    """The setting dkim_keys as signers by domain: example.com=selector:/path/private.pem,..."""
    found = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        domain, _, rest = part.partition("=")
        selector, _, path = rest.partition(":")
        if not (domain and selector and path):
            raise Invalid(f"dkim_keys: {part!r} has the form example.com=selector:/path/key.pem")
        name = domain.strip().lower()
        found[name] = Signer(name, selector.strip(), _load(Path(path.strip()).expanduser()))
    return found


def signer_for(keys: dict[str, Signer], domain: str) -> Signer | None:
    """The key of the domain, or of the nearest one above it."""
    name = domain.lower()
    while name:
        if name in keys:
            return keys[name]
        name = name.partition(".")[2]
    return None


def _load(path: Path) -> RSAPrivateKey | Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise Invalid(f"dkim_keys: {path}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Invalid(f"dkim_keys: {path} is not a private key in PEM without password") from None
    if isinstance(key, RSAPrivateKey) and key.key_size >= RSA_BITS_MIN:
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise Invalid(f"dkim_keys: {path} is neither an RSA key of {RSA_BITS_MIN} bits nor Ed25519")


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """(name, relaxed form) of the headers to sign, in the order in which they are signed."""
    found: dict[bytes, bytes] = {}
    for line in FOLD.sub(b"", head).split(b"\r\n"):
        name, _, value = line.partition(b":")
        found[name.strip().lower()] = value
    return [(name, _relaxed(name, found[name]) + b"\r\n") for name in SIGNED if name in found]


def _relaxed(name: bytes, value: bytes) -> bytes:
    """RFC 6376 3.4.2."""
    return name + b":" + SPACES.sub(b" ", FOLD.sub(b"", value)).strip()


def _digest(body: bytes) -> bytes:
    """RFC 6376 3.4.4 and 3.7."""
    if b"  " in body or b"\t" in body:
        body = SPACES.sub(b" ", body)
    if b" \r\n" in body or body.endswith(b" "):
        body = TRAILING.sub(b"", body)
    body = body.rstrip(b"\r\n")
    return base64.b64encode(hashlib.sha256(body + b"\r\n" if body else b"").digest())
