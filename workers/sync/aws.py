"""Clients of AWS and of what speaks like it, through the one door out.

Comes in: a service, where it is and the keys to it. Comes out: a boto3 client whose every request goes through
`shared.egress`, so that an endpoint that somebody set is vetted like any other URL. Keys, endpoints and regions come
from the caller alone: nothing of the machine's own AWS settings is read. Nothing is left behind.
"""

import io
from collections.abc import Iterator
from typing import Any, Final, Literal

import boto3
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import HTTPClientError
from botocore.session import Session as Core

from shared.egress import networks_of
from shared.egress.calls import call
from shared.errors import EgressRefused
from shared.settings import Settings

ATTEMPTS: Final = 2

Service = Literal["sqs", "s3"]


class _Raw(io.BytesIO):
    """A body that is here already, as botocore reads one."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """All of it."""
        yield self.read()


def client(
    service: Service,
    settings: Settings,
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

    def send(request: Any, **_: object) -> AWSResponse:
        try:
            reply = call(
                request.method,
                request.url,
                headers={name: _text(value) for name, value in request.headers.items()},
                body=_bytes(request.body),
                timeout_seconds=timeout_seconds,
                max_bytes=max_bytes,
                allow_http=settings.allow_http_destinations,
                networks=networks_of(settings.allowed_networks()),
            )
        except (EgressRefused, OSError) as error:
            raise HTTPClientError(error=error) from error
        headers: Any = HeadersDict(reply.headers)  # what botocore itself makes, whatever the stub says
        return AWSResponse(request.url, reply.status, headers, _Raw(reply.body))

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
        config=Config(retries={"total_max_attempts": ATTEMPTS, "mode": "standard"}),
    )
    # A handler that answers is the whole of the request: botocore's own connections are never opened.
    made.meta.events.register(f"before-send.{service}", send)  # type: ignore[arg-type]  # the stub knows no answers
    return made


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: Any) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return bytes(body.read()) if hasattr(body, "read") else bytes(body)
