"""Clients of AWS and of what speaks like it, through the one door out.

Comes in: a service, where it is and the keys to it. Comes out: a boto3 client whose every request goes out as any
upstream call does, so that an endpoint that somebody set is vetted like any other URL, ends in time, counts for its
host's circuit and is logged. Keys, endpoints and regions come from the caller alone: nothing of the machine's own AWS
settings is read, nor is its metadata service asked. Nothing is left behind.
"""

import io
from collections.abc import Iterator
from typing import Any, Final, Literal

import boto3
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.session import Session as Core

from workers.sync.upstream import Upstream, UpstreamFailed

ATTEMPTS: Final = 2
# Botocore asks for a go-ahead before a large body; ours is sent at once.
_NOT_SENT: Final = frozenset({"expect"})

Service = Literal["sqs", "s3"]


class _Raw(io.BytesIO):
    """A body that is here already, as botocore reads one."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """All of it."""
        yield self.read()


def client(
    service: Service,
    upstream: Upstream,
    *,
    region: str,
    access_key_id: str,
    secret_access_key: str,
    session_token: str | None = None,
    endpoint_url: str | None = None,
    timeout_seconds: float,
    max_bytes: int = 5_000_000,
) -> Any:
    """A client for one thread or many; its calls raise botocore's exceptions."""

    def send(request: Any, event_name: str, **_: object) -> AWSResponse:
        headers = {name: _text(value) for name, value in request.headers.items() if name.lower() not in _NOT_SENT}
        try:
            reply = upstream.exchange(
                f"{service}.{event_name.rpartition('.')[2]}",
                request.method,
                request.url,
                headers=headers,
                body=_bytes(request.body),
                timeout_seconds=timeout_seconds,
                max_bytes=max_bytes,
            )
        except UpstreamFailed as failure:
            raise HTTPClientError(error=failure) from failure
        found: Any = HeadersDict(reply.headers)  # what botocore itself makes, whatever the stub says
        return AWSResponse(request.url, reply.status, found, _Raw(reply.body))

    core = Core()
    core.set_config_variable("ignore_configured_endpoint_urls", True)
    made = boto3.Session(
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        aws_session_token=session_token,
        region_name=region,
        botocore_session=core,
    ).client(
        service,
        endpoint_url=endpoint_url,
        config=Config(
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            s3={"addressing_style": "path"},  # the one style that every S3-compatible server has
            request_checksum_calculation="when_required",  # the newer checksums only some of them have
        ),
    )
    # A handler that answers is the whole of the request: botocore's own connections are never opened.
    made.meta.events.register(f"before-send.{service}", send)  # type: ignore[arg-type]  # the stub knows no answers
    return made


def why(error: BotoCoreError | ClientError) -> str:
    """What went wrong, in words for people, and without anything secret."""
    if isinstance(error, ClientError):
        return f"it answered {error.response.get('Error', {}).get('Code', 'with an error')}"
    inner = error.kwargs.get("error") if isinstance(error, HTTPClientError) else None
    return inner.message if isinstance(inner, UpstreamFailed) else type(error).__name__


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: Any) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return bytes(body.read()) if hasattr(body, "read") else bytes(body)
