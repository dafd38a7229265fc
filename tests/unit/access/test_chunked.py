"""Bodies in signed and unsigned chunks: the worked examples of the S3 API reference."""

from collections.abc import Iterable

import pytest

from tailorbird.access.chunked import ChunkedBody
from tailorbird.access.sigv4 import Seed, _signing_key
from tailorbird.errors import Denied, Invalid, TailorbirdError

KEY = _signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
SCOPE = b"20130524/us-east-1/s3/aws4_request"
DATE = b"20130524T000000Z"
# "Transferring payload in multiple chunks", example; then the one with trailing headers.
PLAIN = Seed(KEY, DATE, SCOPE, b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
TRAILED = Seed(
    KEY, DATE, SCOPE, b"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
)
CONTENT = b"a" * 66_560
PLAIN_BODY = (
    b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
    + b"a" * 65_536
    + b"\r\n"
    + b"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
    + b"a" * 1_024
    + b"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n"
    + b"\r\n"
)
TRAILED_BODY = (
    b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
    + b"a" * 65_536
    + b"\r\n"
    + b"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
    + b"a" * 1_024
    + b"\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
    + b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    + b"x-amz-trailer-signature:"
    + b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)
UNSIGNED_BODY = b"5\r\nhello\r\n3\r\n wo\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"


def unpack(pieces: Iterable[bytes], seed: Seed | None) -> tuple[bytes, dict[str, str]]:
    body = ChunkedBody(seed)
    content = b"".join(out for piece in pieces for out in body.feed(piece))
    body.finish()
    return content, body.trailers


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 1_000, 65_536, 1_000_000])
def test_signed_chunks_are_read_however_they_arrive(size: int) -> None:
    assert unpack(cut(PLAIN_BODY, size), PLAIN) == (CONTENT, {})


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_a_signed_trailer_is_read(size: int) -> None:
    trailers = {"x-amz-checksum-crc32c": "sOO8/Q=="}
    assert unpack(cut(TRAILED_BODY, size), TRAILED) == (CONTENT, trailers)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_unsigned_chunks_are_read(size: int) -> None:
    trailers = {"x-amz-checksum-crc32": "AAAAAA=="}
    assert unpack(cut(UNSIGNED_BODY, size), None) == (b"hello wo", trailers)


@pytest.mark.parametrize(
    ("body", "seed", "kind"),
    [
        (PLAIN_BODY.replace(b"aaaa\r\n400", b"aaab\r\n400"), PLAIN, Denied),
        (PLAIN_BODY.replace(b"ad80", b"ad81"), PLAIN, Denied),
        (PLAIN_BODY.replace(b";chunk-signature=0055", b";x=0055"), PLAIN, Denied),
        (PLAIN_BODY, TRAILED, Denied),
        (TRAILED_BODY.replace(b"sOO8", b"sOO9"), TRAILED, Denied),
        (TRAILED_BODY.replace(b"x-amz-trailer-signature", b"x-other"), TRAILED, Denied),
        (PLAIN_BODY[:-3], PLAIN, Invalid),
        (PLAIN_BODY[:60_000], PLAIN, Invalid),
        (b"", None, Invalid),
        (b"zz\r\nhello\r\n0\r\n\r\n", None, Invalid),
        (b"-5\r\nhello\r\n0\r\n\r\n", None, Invalid),
        (b"4\r\nhello\r\n0\r\n\r\n", None, Invalid),
        (b"5" * 9_000, None, Invalid),
    ],
)
def test_a_changed_or_broken_body_is_refused(
    body: bytes, seed: Seed | None, kind: type[TailorbirdError]
) -> None:
    with pytest.raises(kind):
        unpack(cut(body, 1_000), seed)
