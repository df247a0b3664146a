"""Documents are written to a folder and to a bucket of a real S3 server on this machine, whole or not at all."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from uuid import UUID

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer
from pydantic import SecretStr
from sqlalchemy import Connection

from shared import documents, queues
from shared.circuits import CIRCUIT_FAILURES
from shared.clock import utc_now
from shared.errors import SettingsInvalid
from shared.ids import new_id
from shared.settings import Settings, load
from shared.upstream_work import Kind
from shared.valkey import Client
from tests.workers.sync.conftest import SHOP, Rig
from workers.privacy.erase import Step, erase
from workers.sync.document_store import remove, write
from workers.sync.upstream import Upstream, UpstreamFailed

KEY = "AKIAEXAMPLE"
ACCOUNT = UUID("0195c1a2-7f00-7a11-8b22-c33d44e55f66")
HOME = f"users/{ACCOUNT}"
OTHER = UUID("0195c1a2-7f00-7a11-8b22-c33d44e55f67")


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
            "allow_http_destinations": True,
            "allowed_destination_cidrs": "127.0.0.0/8",
        }
    )


@pytest.fixture
def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def store(bucket: Settings, queue: Client) -> Upstream:
    return Upstream(bucket, queue)


def another(store: Upstream, queue: Client, **settings: object) -> Upstream:
    """The same way out under other settings."""
    return Upstream(store.settings.model_copy(update=settings), queue)


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


def test_a_document_is_written_over_the_one_before_in_the_bucket(store: Upstream) -> None:
    write(store, f"{HOME}/shop.json", '{"a":1}', account_id=ACCOUNT)
    write(store, f"{HOME}/shop.json", '{"a":"ü"}', account_id=ACCOUNT)
    assert held(store.settings, f"crossdock/{HOME}/shop.json") == ('{"a":"ü"}'.encode(), "application/json")


def test_a_document_that_was_removed_is_gone_and_removing_it_again_is_no_failure(store: Upstream) -> None:
    write(store, f"{HOME}/a.json", "{}", account_id=ACCOUNT)
    remove(store, f"{HOME}/a.json", account_id=ACCOUNT)
    remove(store, f"{HOME}/a.json", account_id=ACCOUNT)
    with pytest.raises(ClientError):
        held(store.settings, f"crossdock/{HOME}/a.json")


def test_a_bucket_that_is_not_there_is_a_failure_that_passes(store: Upstream, queue: Client) -> None:
    with pytest.raises(UpstreamFailed, match="NoSuchBucket") as caught:
        write(another(store, queue, documents_bucket="missing"), f"{HOME}/a.json", "{}", account_id=ACCOUNT)
    assert (caught.value.code, caught.value.is_final) == ("store_failed", False)


@pytest.mark.parametrize(
    ("closed", "why"),
    [({"allowed_destination_cidrs": "10.0.0.0/8"}, "loopback"), ({"allow_http_destinations": False}, "https")],
)
def test_a_store_at_an_address_that_is_not_allowed_is_never_asked(
    store: Upstream, queue: Client, closed: dict[str, object], why: str
) -> None:
    shut = another(store, queue, **closed)
    with pytest.raises(UpstreamFailed, match=why) as caught:
        write(shut, f"{HOME}/secret.json", "{}", account_id=ACCOUNT)
    assert caught.value.code == "store_failed"
    with pytest.raises(UpstreamFailed, match=why):
        remove(shut, f"{HOME}/secret.json", account_id=ACCOUNT)
    with pytest.raises(ClientError):
        held(store.settings, f"crossdock/{HOME}/secret.json")


def test_nothing_of_the_machines_own_aws_settings_leads_elsewhere(
    store: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = http://127.0.0.1:1\nregion = eu-central-1\n")
    with monkeypatch.context() as machine:
        machine.setenv("AWS_CONFIG_FILE", str(config))
        machine.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            machine.setenv(name, "http://127.0.0.1:1")
        write(store, f"{HOME}/a.json", "{}", account_id=ACCOUNT)
    assert held(store.settings, f"crossdock/{HOME}/a.json")[0] == b"{}"


def test_a_dead_store_is_left_alone_as_any_dead_host_is(store: Upstream, queue: Client, free_port: int) -> None:
    dead = another(store, queue, documents_s3_url=f"http://127.0.0.1:{free_port}")
    with pytest.raises(UpstreamFailed, match="did not answer"):
        write(dead, f"{HOME}/a.json", "{}", account_id=ACCOUNT)
    circuit = queues.circuit(f"127.0.0.1:{free_port}")
    assert int(queue.get(circuit) or 0) == 2  # as often as it was tried
    queue.set(circuit, CIRCUIT_FAILURES)
    with pytest.raises(UpstreamFailed, match="again and again"):
        write(dead, f"{HOME}/a.json", "{}", account_id=ACCOUNT)


def test_a_bucket_without_its_keys_is_a_problem_at_the_start() -> None:
    with pytest.raises(SettingsInvalid, match="documents_s3_key_id"):
        load(documents_bucket="shops")


def test_a_document_is_written_over_the_one_before_in_the_folder(
    settings: Settings, queue: Client, tmp_path: Path
) -> None:
    there = Upstream(settings.model_copy(update={"documents_folder": tmp_path / "out"}), queue)
    write(there, f"{HOME}/shop.json", "{}", account_id=ACCOUNT)
    write(there, f"{HOME}/shop.json", '{"a":1}', account_id=ACCOUNT)
    assert [path.name for path in (tmp_path / "out" / HOME).iterdir()] == ["shop.json"]
    assert (tmp_path / "out" / HOME / "shop.json").read_text() == '{"a":1}'


@pytest.mark.parametrize(
    "path",
    [
        "../secrets.json",
        f"users/{OTHER}/a.json",
        f"{HOME}/../{OTHER}/a.json",
        f"{HOME}/x:1/../../../{OTHER}/shopify/victim.myshopify.com/a.json",
        f"{HOME}/./a.json",
        f"{HOME}//a.json",
        f"{HOME}/..\\{OTHER}\\a.json",
        f"{HOME}/a\n.json",
        f"{HOME}/a\0.json",
        f"{HOME}x/a.json",
    ],
)
def test_a_path_that_is_none_of_the_accounts_own_is_refused_everywhere(
    store: Upstream, queue: Client, tmp_path: Path, path: str
) -> None:
    there = another(store, queue, documents_folder=tmp_path / "out")
    with pytest.raises(UpstreamFailed) as caught:
        write(there, path, "{}", account_id=ACCOUNT)
    assert (caught.value.code, caught.value.is_final) == ("path_refused", True)
    with pytest.raises(UpstreamFailed):
        remove(there, path, account_id=ACCOUNT)
    assert list(tmp_path.rglob("*.json")) == []
    with pytest.raises(ClientError):
        held(store.settings, f"crossdock/{path}")
    with pytest.raises(ValueError, match="none of the account's own"):
        documents.put(cast("Connection", None), account_id=ACCOUNT, path=path, body="{}", now=utc_now())


def test_a_link_that_leads_to_another_accounts_folder_is_not_followed(
    settings: Settings, queue: Client, tmp_path: Path
) -> None:
    there = Upstream(settings.model_copy(update={"documents_folder": tmp_path}), queue)
    write(there, f"users/{OTHER}/shopify/a.json", "theirs", account_id=OTHER)
    (tmp_path / HOME).mkdir()
    (tmp_path / HOME / "shopify").symlink_to(tmp_path / "users" / str(OTHER) / "shopify")
    with pytest.raises(UpstreamFailed) as caught:
        write(there, f"{HOME}/shopify/a.json", "mine", account_id=ACCOUNT)
    assert caught.value.code == "store_failed"
    with pytest.raises(UpstreamFailed):
        remove(there, f"{HOME}/shopify/a.json", account_id=ACCOUNT)
    assert (tmp_path / "users" / str(OTHER) / "shopify" / "a.json").read_text() == "theirs"


def test_a_shop_that_was_added_before_its_name_was_looked_at_is_asked_nothing_and_writes_nothing(
    rig: Rig, tmp_path: Path
) -> None:
    rig.set(documents_folder=tmp_path / "out")
    rig.execute(
        "UPDATE integrations SET external_id = :name",
        name=f"{rig.shopify.url.split('/')[2]}/../../../{OTHER}/shopify/victim.myshopify.com",
    )
    rig.ask(Kind.REGISTRATION)
    failed = rig.do(Kind.SYNC)
    assert (failed["state"], failed["error_code"], failed["due_at"]) == ("failed", "tenant_malformed", None)
    assert rig.standing(Kind.REGISTRATION)["error_code"] == "tenant_malformed"
    assert (rig.shopify.answered, rig.rows("SELECT path FROM documents")) == ([], [])
    assert not (tmp_path / "out").exists()


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
    while erase(rig.context, request, now=rig.now) is not Step.DONE:
        pass
    assert rig.rows("SELECT * FROM documents") == []
    assert rig.rows("SELECT counts FROM erasures")[0]["counts"]["documents"] == 2
    for path in paths:
        assert not (tmp_path / "out" / path).exists()
        with pytest.raises(ClientError):
            held(rig.context.settings, f"crossdock/{path}")
