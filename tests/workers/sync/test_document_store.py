"""Documents are written to a folder and to a bucket of a real S3 server on this machine, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from shared.ids import new_id
from shared.settings import Settings
from shared.upstream_work import Kind
from tests.workers.sync.conftest import SHOP, Rig
from workers.privacy.erase import erase
from workers.sync.document_store import write
from workers.sync.upstream import UpstreamFailed

KEY = "AKIAEXAMPLE"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(settings: Settings, s3_url: str) -> Settings:
    client = boto3.client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key="s"
    )
    client.create_bucket(Bucket="shops")
    client.close()
    return settings.model_copy(
        update={
            "documents_bucket": "shops",
            "documents_prefix": "crossdock/",
            "documents_s3_url": s3_url,
            "documents_s3_key_id": KEY,
            "documents_s3_secret": SecretStr("s"),
        }
    )


def held(settings: Settings, key: str) -> tuple[bytes, str]:
    client = boto3.client(
        "s3",
        endpoint_url=settings.documents_s3_url,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key="s",
    )
    found = client.get_object(Bucket="shops", Key=key)
    body = found["Body"].read()
    client.close()
    return body, found["ContentType"]


def test_a_document_is_written_over_the_one_before_in_the_bucket(bucket: Settings) -> None:
    write(bucket, "users/1/shop.json", '{"a":1}')
    write(bucket, "users/1/shop.json", '{"a":"ü"}')
    assert held(bucket, "crossdock/users/1/shop.json") == ('{"a":"ü"}'.encode(), "application/json")


def test_a_bucket_that_is_not_there_is_a_failure_that_passes(bucket: Settings) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        write(bucket.model_copy(update={"documents_bucket": "missing"}), "a.json", "{}")
    assert (caught.value.code, caught.value.is_final) == ("store_failed", False)


def test_a_document_is_written_over_the_one_before_in_the_folder(settings: Settings, tmp_path: Path) -> None:
    there = settings.model_copy(update={"documents_folder": tmp_path / "out"})
    write(there, "users/1/shop.json", "{}")
    write(there, "users/1/shop.json", '{"a":1}')
    assert [path.name for path in (tmp_path / "out" / "users" / "1").iterdir()] == ["shop.json"]
    assert (tmp_path / "out" / "users" / "1" / "shop.json").read_text() == '{"a":1}'


def test_a_path_that_leads_out_of_the_folder_is_refused(settings: Settings, tmp_path: Path) -> None:
    there = settings.model_copy(update={"documents_folder": tmp_path / "out"})
    with pytest.raises(UpstreamFailed):
        write(there, "../secrets.json", "{}")
    assert not (tmp_path / "secrets.json").exists()


def test_a_sync_writes_both_documents_to_folder_and_bucket(rig: Rig, bucket: Settings, tmp_path: Path) -> None:
    rig.set(
        documents_folder=tmp_path / "out",
        **{
            name: getattr(bucket, name)
            for name in Settings.model_fields
            if name.startswith(("documents_b", "documents_s", "documents_p"))
        },
    )
    rig.shop.add_products(1)
    paths = rig.do(Kind.SYNC)["result"]["documents"]
    assert paths == [f"users/{rig.account}/shopify/{SHOP}/shop_{name}.json" for name in ("metadata", "products")]
    for path in paths:
        [row] = rig.rows(f"SELECT body FROM documents WHERE path = '{path}'")
        assert (tmp_path / "out" / path).read_text() == row["body"]
        assert held(rig.context.settings, f"crossdock/{path}")[0].decode() == row["body"]


def test_a_store_that_fails_leaves_the_sync_to_be_finished_without_reading_again(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    rig.set(documents_folder=tmp_path / "out")
    rig.shop.add_products(1)
    failed = rig.do(Kind.SYNC)
    assert (failed["state"], failed["error_code"]) == ("failed", "store_failed")
    rig.shop.calls.clear()
    (tmp_path / "out").unlink()
    rig.now = failed["due_at"]
    rig.run()
    assert rig.standing(Kind.SYNC)["state"] == "done"
    assert rig.shop.calls == []


def test_a_shop_that_is_erased_whole_leaves_no_document_anywhere(rig: Rig, bucket: Settings, tmp_path: Path) -> None:
    rig.set(
        documents_folder=tmp_path / "out",
        **{
            name: getattr(bucket, name)
            for name in Settings.model_fields
            if name.startswith("documents_") and name != "documents_folder"
        },
    )
    rig.shop.add_products(1)
    paths = rig.do(Kind.SYNC)["result"]["documents"]
    request = new_id()
    rig.execute(
        "INSERT INTO erasures (id, account_id, state, provider, tenant, subject, requested_at, due_at) "
        "VALUES (:id, :account, 'requested', 'shopify', :shop, '*', now(), now())",
        id=str(request),
        account=str(rig.account),
        shop=SHOP,
    )
    while not erase(rig.context, request, now=rig.now):
        pass
    assert rig.rows("SELECT * FROM documents") == []
    assert rig.rows("SELECT counts FROM erasures")[0]["counts"]["documents"] == 2
    for path in paths:
        assert not (tmp_path / "out" / path).exists()
        with pytest.raises(ClientError):
            held(rig.context.settings, f"crossdock/{path}")
