"""Refusals in each service's own words: error kind -> code and status, and the form of the reply.

Codes a service's model declares take their HTTP status from the model. Sources: the models; IAM
guide "Troubleshoot Signature Version 4 requests"; S3 API reference "Error responses"; the common
errors pages of each service.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import orjson

from tailorbird import errors
from tailorbird.gateway.wire import Malformed, Refused, Reply
from tailorbird.gateway.wire.model import Model, Shape
from tailorbird.gateway.wire.xml_out import DECLARATION

NOT_IMPLEMENTED = 501

Said = tuple[str, int]  # code and HTTP status
Kinds = dict[type[errors.TailorbirdError], Said]


class UnknownOperation(errors.NotFound):
    """No operation of the service has this method and path, target or action."""


class BodyTooLarge(errors.TooLarge):
    """The request's body is over the service's limit."""


COMMON: Kinds = {
    errors.Denied: ("AccessDeniedException", 403),
    errors.Throttled: ("ThrottlingException", 429),
    errors.NotBuilt: ("NotImplemented", NOT_IMPLEMENTED),
    errors.Unavailable: ("ServiceUnavailableException", 503),
    UnknownOperation: ("UnknownOperationException", 404),
    BodyTooLarge: ("RequestEntityTooLargeException", 413),
    errors.TailorbirdError: ("InternalFailure", 500),
}

PINPOINT: Kinds = COMMON | {
    errors.NotFound: ("NotFoundException", 404),
    errors.Conflict: ("ConflictException", 409),
    errors.AlreadyExists: ("BadRequestException", 400),
    errors.Invalid: ("BadRequestException", 400),
    errors.TooLarge: ("PayloadTooLargeException", 413),
    errors.Denied: ("ForbiddenException", 403),
    errors.Throttled: ("TooManyRequestsException", 429),
    errors.LimitExceeded: ("BadRequestException", 400),
    UnknownOperation: ("NotFoundException", 404),
    BodyTooLarge: ("PayloadTooLargeException", 413),
}

PERSONALIZE: Kinds = COMMON | {
    errors.NotFound: ("ResourceNotFoundException", 400),
    errors.Conflict: ("ResourceInUseException", 400),
    errors.AlreadyExists: ("ResourceAlreadyExistsException", 400),
    errors.Invalid: ("InvalidInputException", 400),
    errors.Denied: ("AccessDeniedException", 400),
    errors.Throttled: ("ThrottlingException", 400),
    errors.LimitExceeded: ("LimitExceededException", 400),
    Malformed: ("SerializationException", 400),
    UnknownOperation: ("UnknownOperationException", 400),
}

PERSONALIZE_RUNTIME: Kinds = PERSONALIZE | {
    errors.NotFound: ("ResourceNotFoundException", 404),
    errors.Denied: ("AccessDeniedException", 403),
    errors.Throttled: ("ThrottlingException", 429),
    UnknownOperation: ("UnknownOperationException", 404),
}

PERSONALIZE_EVENTS: Kinds = PERSONALIZE_RUNTIME | {
    errors.Conflict: ("ResourceInUseException", 409),
    errors.AlreadyExists: ("ResourceInUseException", 409),
}

LAMBDA: Kinds = COMMON | {
    errors.NotFound: ("ResourceNotFoundException", 404),
    errors.Conflict: ("ResourceConflictException", 409),
    errors.InUse: ("ResourceInUseException", 400),
    errors.Invalid: ("InvalidParameterValueException", 400),
    errors.TooLarge: ("RequestTooLargeException", 413),
    errors.Throttled: ("TooManyRequestsException", 429),
    errors.LimitExceeded: ("CodeStorageExceededException", 400),
    errors.Unavailable: ("ServiceException", 500),
    Refused: ("ValidationException", 400),
    Malformed: ("InvalidRequestContentException", 400),
    BodyTooLarge: ("RequestEntityTooLargeException", 413),
}

LOGS: Kinds = COMMON | {
    errors.NotFound: ("ResourceNotFoundException", 400),
    errors.Conflict: ("OperationAbortedException", 400),
    errors.AlreadyExists: ("ResourceAlreadyExistsException", 400),
    errors.Invalid: ("InvalidParameterException", 400),
    errors.Denied: ("AccessDeniedException", 400),
    errors.Throttled: ("ThrottlingException", 400),
    errors.LimitExceeded: ("LimitExceededException", 400),
    Malformed: ("SerializationException", 400),
    UnknownOperation: ("UnknownOperationException", 400),
}

CLOUDWATCH: Kinds = LOGS | {
    errors.NotFound: ("ResourceNotFound", 404),
    errors.Invalid: ("InvalidParameterValue", 400),
    errors.LimitExceeded: ("LimitExceeded", 400),
}

IAM: Kinds = COMMON | {
    errors.NotFound: ("NoSuchEntity", 404),
    errors.Conflict: ("DeleteConflict", 409),
    errors.AlreadyExists: ("EntityAlreadyExists", 409),
    errors.Invalid: ("ValidationError", 400),
    errors.Denied: ("AccessDenied", 403),
    errors.Throttled: ("Throttling", 400),
    errors.LimitExceeded: ("LimitExceeded", 409),
    errors.Unavailable: ("ServiceUnavailable", 503),
    Malformed: ("MalformedInput", 400),
    UnknownOperation: ("InvalidAction", 400),
    BodyTooLarge: ("RequestEntityTooLarge", 413),
}

S3: Kinds = COMMON | {
    errors.NotFound: ("NoSuchKey", 404),
    errors.Conflict: ("OperationAborted", 409),
    errors.AlreadyExists: ("BucketAlreadyExists", 409),
    errors.Invalid: ("InvalidArgument", 400),
    errors.TooLarge: ("EntityTooLarge", 400),
    errors.Denied: ("AccessDenied", 403),
    errors.Throttled: ("SlowDown", 503),
    errors.LimitExceeded: ("TooManyBuckets", 400),
    errors.Unavailable: ("ServiceUnavailable", 503),
    errors.TailorbirdError: ("InternalError", 500),
    Malformed: ("MalformedXML", 400),
    UnknownOperation: ("MethodNotAllowed", 405),
    BodyTooLarge: ("EntityTooLarge", 400),
}

TABLES: dict[str, Kinds] = {
    "pinpoint": PINPOINT,
    "personalize": PERSONALIZE,
    "personalize-runtime": PERSONALIZE_RUNTIME,
    "personalize-events": PERSONALIZE_EVENTS,
    "lambda": LAMBDA,
    "logs": LOGS,
    "cloudwatch": CLOUDWATCH,
    "sts": IAM,
    "iam": IAM,
    "s3": S3,
}

# A mistyped member is a value error to most services; these read it as a body they cannot parse.
MISTYPED: dict[str, Said] = {
    "lambda": ("InvalidRequestContentException", 400),
    "s3": ("MalformedXML", 400),
}

# All that the models of Personalize's ListSchemas and ListDatasetGroups know.
BAD_TOKEN: Said = ("InvalidNextTokenException", 400)

INTERNAL: dict[str, str] = {
    "pinpoint": "InternalServerErrorException",
    "lambda": "ServiceException",
    "s3": "InternalError",
}

# Whose members (message or Message, Type, RequestID) an error outside the model is written with.
USUAL: dict[str, str] = {"pinpoint": "BadRequestException", "lambda": "ResourceConflictException"}

# Services whose texts write a member's path with small first letters, and those whose refusals
# come without "1 validation error detected".
LOWER_PATHS = frozenset({"lambda", "iam", "sts", "logs"})
PLAIN_TEXTS = frozenset({"pinpoint", "s3"})

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# What `access.sigv4` calls a refused signature -> what the JSON services and S3 call it. The query
# services use the neutral words themselves.
SIGNATURE_JSON = {
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "RequestExpired": "InvalidSignatureException",
    "ExpiredToken": "ExpiredTokenException",
    "XAmzContentSHA256Mismatch": "InvalidSignatureException",
}
SIGNATURE_S3 = {
    "MissingAuthenticationToken": "AccessDenied",
    "IncompleteSignature": "AuthorizationHeaderMalformed",
    "InvalidClientTokenId": "InvalidAccessKeyId",
    "RequestExpired": "RequestTimeTooSkewed",
}
SIGNATURE_QUERY = {"RequestExpired": "SignatureDoesNotMatch"}
SIGNATURE_STATUS = {"XAmzContentSHA256Mismatch": 400, "AuthorizationHeaderMalformed": 400}


@dataclass(frozen=True)
class Refusal:
    """A refusal as one service says it."""

    status: int
    code: str
    message: str
    members: dict[str, Any]  # what else the model's error shape carries


def refusal(model: Model, error: errors.TailorbirdError) -> Refusal:
    """The service's own code, status and message for one of our errors."""
    code, status = _kind(model.name, error)
    if error.code is not None:
        signature = isinstance(error, errors.Denied) and error.code in SIGNATURE_JSON
        code = _signature_code(model, error.code) if signature else error.code
        if signature:
            status = SIGNATURE_STATUS.get(code, 403)
    shape = _error_shape(model, code)
    if shape is not None:
        said = shape.get("error", {})
        code = said.get("code", code)
        if model.protocol != "json":
            status = said.get("httpStatusCode", status)
    return Refusal(status, code, _message(model, error), error.members)


def unserved(error: errors.TailorbirdError) -> Refusal:
    """A refusal of a request whose service is not known or not served."""
    code, status = _nearest(COMMON, error)
    return Refusal(status, error.code or code, error.message, {})


def internal(model: Model | None) -> Refusal:
    """What a client hears when the mistake is ours; the traceback is in the log."""
    code = INTERNAL.get(model.name, "InternalFailure") if model else "InternalFailure"
    return Refusal(500, code, "Tailorbird failed on this request; its log has the traceback", {})


def reply(model: Model, said: Refusal, request_id: str, *, head: bool = False) -> Reply:
    """A refusal in the service's own form, without the headers every reply has."""
    if head:
        return Reply(said.status, [], b"")
    return FORMS[model.protocol](model, said, request_id)


def reply_unserved(said: Refusal, headers: dict[str, str], request_id: str) -> Reply:
    """A refusal where no service is known, in the form that the client's own request is in."""
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return _cbor(said)
    if "x-amz-target" in headers:
        return _json(None, said, request_id)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return _query(None, said, request_id)
    return _rest_json(None, said, request_id)


def _json(model: Model | None, said: Refusal, request_id: str) -> Reply:
    version = model.metadata.get("jsonVersion", "1.1") if model else "1.1"
    content_type = f"application/x-amz-json-{version}".encode()
    body = {"__type": said.code, "message": said.message} | said.members
    headers = [(b"content-type", content_type), (b"x-amzn-errortype", said.code.encode())]
    return Reply(said.status, headers, orjson.dumps(body))


def _rest_json(model: Model | None, said: Refusal, request_id: str) -> Reply:
    own = _member_names(model, said.code) if model else {}
    body: dict[str, Any] = {own.get("message", "message"): said.message} | said.members
    if "type" in own:
        body[own["type"]] = "User" if said.status < 500 else "Service"
    if "requestid" in own:
        body[own["requestid"]] = request_id
    headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", said.code.encode())]
    return Reply(said.status, headers, orjson.dumps(body))


def _query(model: Model | None, said: Refusal, request_id: str) -> Reply:
    fault = "Sender" if said.status < 500 else "Receiver"
    namespace = model.metadata.get("xmlNamespace", "") if model else ""
    text = (
        f'<ErrorResponse xmlns="{namespace}"><Error>'
        f"<Type>{fault}</Type><Code>{escape(said.code)}</Code>"
        f"<Message>{_xml_text(said.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Reply(said.status, [(b"content-type", b"text/xml")], text.encode())


def _rest_xml(model: Model, said: Refusal, request_id: str) -> Reply:
    more = "".join(f"<{k}>{_xml_text(str(v))}</{k}>" for k, v in said.members.items())
    text = (
        f"{DECLARATION}<Error><Code>{escape(said.code)}</Code>"
        f"<Message>{_xml_text(said.message)}</Message>{more}"
        f"<RequestId>{request_id}</RequestId></Error>"
    )
    return Reply(said.status, [(b"content-type", b"application/xml")], text.encode())


def _cbor(said: Refusal) -> Reply:
    """The two members every error of Smithy's RPC v2 has, as one CBOR map (RFC 8949)."""
    texts = [t.encode() for t in ("__type", said.code, "message", said.message)]
    body = b"\xa2" + b"".join(b"\x7a" + len(t).to_bytes(4, "big") + t for t in texts)
    headers = [(b"content-type", b"application/cbor"), (b"smithy-protocol", b"rpc-v2-cbor")]
    return Reply(said.status, headers, body)


FORMS: dict[str, Callable[[Model, Refusal, str], Reply]] = {
    "json": _json,
    "rest-json": _rest_json,
    "query": _query,
    "rest-xml": _rest_xml,
}


def _kind(service: str, error: errors.TailorbirdError) -> Said:
    """Code and status by the nearest of the error's kinds that the service's table has."""
    if isinstance(error, Refused) and error.mistyped and service in MISTYPED:
        return MISTYPED[service]
    if isinstance(error, Refused) and service == "personalize" and error.path == ["nextToken"]:
        return BAD_TOKEN
    return _nearest(TABLES[service], error)


def _nearest(table: Kinds, error: errors.TailorbirdError) -> Said:
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def _signature_code(model: Model, code: str) -> str:
    words = {"query": SIGNATURE_QUERY, "rest-xml": SIGNATURE_S3}
    return words.get(model.protocol, SIGNATURE_JSON).get(code, code)


def _message(model: Model, error: errors.TailorbirdError) -> str:
    if not isinstance(error, Refused):
        return error.message
    text = error.text(lower=model.name in LOWER_PATHS)
    if error.mistyped or model.name in PLAIN_TEXTS:
        return text
    return f"1 validation error detected: {text}"


@cache
def _error_shape(model: Model, code: str) -> Shape | None:
    """The model's error shape of that name, or with that code on the wire."""
    for name, shape in model.shapes.items():
        if shape.get("exception") and code in (name, shape.get("error", {}).get("code")):
            return shape
    return None


@cache
def _member_names(model: Model, code: str) -> dict[str, str]:
    """An error's members by lower-case name; a code the model does not declare has the members of
    the service's most usual error."""
    shape = _error_shape(model, code) or _error_shape(model, USUAL.get(model.name, ""))
    return {name.lower(): name for name in (shape or {}).get("members", {})}


def _xml_text(text: str) -> str:
    """Text for XML 1.0: control characters it cannot hold become question marks."""
    return escape(NOT_XML.sub("?", text))
