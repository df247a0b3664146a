"""Where documents are written beside the database: a folder, an S3-compatible bucket, both or neither.

Comes in: a path and a text. Left behind: a file or object of that name, whole: the one before or this one. A process
that dies in the middle leaves the one before, and perhaps a draft that the next overwrites.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.settings import Settings
from workers.sync.upstream import UpstreamFailed

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 15
CONTENT_TYPE: Final = "application/json"


def write(settings: Settings, path: str, body: str) -> None:
    """Write the document wherever the settings say; over the one before.

    Raises:
        UpstreamFailed: `store_failed`: the folder or the bucket would not take it.
    """
    try:
        if settings.documents_folder is not None:
            _to_folder(settings.documents_folder, path, body.encode())
        if settings.documents_bucket:
            _client(settings).put_object(
                Bucket=settings.documents_bucket,
                Key=f"{settings.documents_prefix}{path}",
                Body=body.encode(),
                ContentType=CONTENT_TYPE,
            )
    except (OSError, BotoCoreError, ClientError) as error:
        raise UpstreamFailed("store_failed", f"The documents cannot be written: {type(error).__name__}") from error


def remove(settings: Settings, path: str) -> None:
    """Remove the document from wherever the settings say; one that is not there is no failure.

    Raises:
        UpstreamFailed: `store_failed`: the folder or the bucket would not let it go.
    """
    try:
        if settings.documents_folder is not None:
            (settings.documents_folder / path).unlink(missing_ok=True)
        if settings.documents_bucket:
            key = f"{settings.documents_prefix}{path}"
            _client(settings).delete_object(Bucket=settings.documents_bucket, Key=key)
    except (OSError, BotoCoreError, ClientError) as error:
        raise UpstreamFailed("store_failed", f"The documents cannot be removed: {type(error).__name__}") from error


def _to_folder(folder: Path, path: str, body: bytes) -> None:
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise OSError("the path leads out of the folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)


def _client(settings: Settings) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=settings.documents_s3_url or None,
        region_name=settings.documents_s3_region,
        aws_access_key_id=settings.documents_s3_key_id or None,
        aws_secret_access_key=settings.documents_s3_secret.get_secret_value() or None,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": "path"},  # the one style that every S3-compatible server has
        ),
    )
