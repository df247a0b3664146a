"""Where documents are written beside the database: a folder, an S3-compatible bucket, both or neither.

Comes in: a path and a text. Left behind: a file or object of that name, whole: the one before or this one. A process
that dies in the middle leaves the one before, and perhaps a draft that the next overwrites. The bucket is reached
through the one door out, like everything that somebody set: an address of one's own network has to be allowed.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError

from shared import documents
from shared.settings import Settings
from workers.sync import aws
from workers.sync.upstream import Upstream, UpstreamFailed

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

TIMEOUT_SECONDS: Final = 15.0
CONTENT_TYPE: Final = "application/json"


def write(upstream: Upstream, path: str, body: str, *, account_id: UUID) -> None:
    """Write the account's document wherever the settings say; over the one before.

    Raises:
        UpstreamFailed: `store_failed`: the folder or the bucket would not take it; or `path_refused`: the path is none
            of the account's own.
    """
    _check(path, account_id)
    settings = upstream.settings
    try:
        if settings.documents_folder is not None:
            _to_folder(_target(settings.documents_folder, path, account_id), body.encode())
        if settings.documents_bucket:
            _client(upstream).put_object(
                Bucket=settings.documents_bucket, Key=_key(settings, path), Body=body.encode(), ContentType=CONTENT_TYPE
            )
    except (OSError, BotoCoreError, ClientError) as error:
        raise _failed("written", error) from error


def remove(upstream: Upstream, path: str, *, account_id: UUID) -> None:
    """Remove the account's document from wherever the settings say; one that is not there is no failure.

    Raises:
        UpstreamFailed: `store_failed`: the folder or the bucket would not let it go; or `path_refused`, as for `write`.
    """
    _check(path, account_id)
    settings = upstream.settings
    try:
        if settings.documents_folder is not None:
            _target(settings.documents_folder, path, account_id).unlink(missing_ok=True)
        if settings.documents_bucket:
            _client(upstream).delete_object(Bucket=settings.documents_bucket, Key=_key(settings, path))
    except (OSError, BotoCoreError, ClientError) as error:
        raise _failed("removed", error) from error


def _check(path: str, account_id: UUID) -> None:
    if not documents.is_of(path, account_id):
        raise UpstreamFailed("path_refused", "The document's path is none of the account's own", is_final=True)


def _target(folder: Path, path: str, account_id: UUID) -> Path:
    # Links are followed here: one in an account's folder must not lead to another's.
    home, target = (folder / "users" / str(account_id)).resolve(), (folder / path).resolve()
    if not (home.is_relative_to(folder.resolve()) and target.is_relative_to(home)):
        raise OSError("the path leads out of the account's folder")
    return target


def _failed(word: str, error: OSError | BotoCoreError | ClientError) -> UpstreamFailed:
    reason = type(error).__name__ if isinstance(error, OSError) else f"with the bucket, {aws.why(error)}"
    return UpstreamFailed("store_failed", f"The documents cannot be {word}: {reason}")


def _key(settings: Settings, path: str) -> str:
    return f"{settings.documents_prefix}{path}"


def _to_folder(target: Path, body: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)


def _client(upstream: Upstream) -> "S3Client":
    settings = upstream.settings
    client: S3Client = aws.client(
        "s3",
        upstream,
        region=settings.documents_s3_region,
        access_key_id=settings.documents_s3_key_id,
        secret_access_key=settings.documents_s3_secret.get_secret_value(),
        endpoint_url=settings.documents_s3_url or None,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    return client
