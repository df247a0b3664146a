"""What a source agrees on with a sender that has no documented scheme: a token in the path, or where it comes from."""

from dataclasses import replace
from typing import Any

import pytest

from shared.providers import schemes
from shared.providers.contract import Headers, Request
from shared.providers.registry import PROVIDERS
from shared.providers.schemes import Scheme
from tests.shared.providers.acting import OTHER, SECRET, USER, Actor, actor

BY_PATH: dict[str, dict[str, Any]] = {
    "selloship": {"verification": "path_token"},
    "myntra": {"verification": "path_token"},
    "manychat": {"verification": "path_token"},
    "generic": {"scheme": {"mode": "path_token"}, "topic": {"json": "type"}, "user": USER},
}
BY_ADDRESS: dict[str, dict[str, Any]] = {
    **{name: {"verification": "none_with_ip_allowlist", "addresses": ["203.0.113.0/24"]} for name in BY_PATH},
    "generic": {"scheme": {"mode": "none_with_ip_allowlist", "addresses": ["203.0.113.0/24"]}, "user": USER},
}


def under(name: str, settings: dict[str, Any]) -> Actor:
    act = actor(name)
    return replace(act, source=replace(act.source, settings=settings))


@pytest.mark.parametrize("name", BY_PATH)
def test_a_token_in_the_path_is_the_secret_and_nothing_else_is(name):
    act = under(name, BY_PATH[name])
    assert act.provider.check_settings(act.source.settings) == []
    assert act.provider.path_token(act.source)
    request = act.request(act.sample())
    assert request.beneath.startswith("/whsec_")
    assert SECRET.decode() not in str(request.headers.pairs())
    assert act.verify(request) is None
    assert act.verify(request, secrets=(OTHER, SECRET)) is None
    for made, secret, code in (
        (request, OTHER, "signature_mismatch"),
        (replace(request, beneath=""), SECRET, "signature_missing"),
        (replace(request, beneath="/"), SECRET, "signature_missing"),
        (replace(request, beneath="/é"), SECRET, "signature_mismatch"),
        (replace(request, beneath=f"/x{request.beneath}"), SECRET, "signature_mismatch"),
    ):
        refusal = act.verify(made, secrets=(secret,))
        assert refusal is not None
        assert (refusal.code, refusal.status) == (code, 401)
    assert act.verify(request, secrets=()) is not None


@pytest.mark.parametrize("name", BY_PATH)
def test_no_other_source_has_a_secret_in_its_path(name):
    assert not actor(name).provider.path_token(actor(name).source)
    # Where the settings do not hold together nobody knows, and so it is hidden.
    assert PROVIDERS[name].path_token(replace(actor(name).source, settings={"scheme": {"template": 5}}))


def test_a_secret_is_spelled_in_a_path_as_a_path_can_hold_it():
    scheme = Scheme(mode="path_token")
    secret = b"whsec_ab+/cd+/ef=="
    for spelled in ("whsec_ab-_cd-_ef", "whsec_ab+_cd-_ef==", "whsec_ab-_cd-_ef="):
        request = Request("POST", "/", Headers(), b"", beneath=f"/{spelled}")
        assert schemes.verify(scheme, request, (secret,), now=actor("selloship").sample().now) is None
    assert schemes.in_a_path(secret) == b"whsec_ab-_cd-_ef"


@pytest.mark.parametrize(("parts", "path"), [(1, "/a/[redacted]/b/c?d=/t/b/c"), (None, "/a/[redacted]?d=/t/b/c")])
def test_what_is_beneath_can_be_hidden_and_no_more(parts, path):
    request = Request("POST", "/a/t/b/c?d=/t/b/c", Headers(), b"", url="https://h.example/a/t/b/c?x", beneath="/t/b/c")
    hidden = request.without_beneath(parts=parts)
    assert hidden.path == path
    assert "/t/" not in hidden.url
    bare = Request("POST", "/a?b", Headers(), b"")
    assert bare.without_beneath(parts=parts) == bare


@pytest.mark.parametrize("name", BY_ADDRESS)
def test_where_it_comes_from_can_be_all_that_counts(name):
    act = under(name, BY_ADDRESS[name])
    assert act.provider.check_settings(act.source.settings) == []
    request = act.request(act.sample())
    assert act.verify(replace(request, remote_addr="203.0.113.9"), secrets=()) is None
    for address in ("198.51.100.1", "", "unix:"):
        refusal = act.verify(replace(request, remote_addr=address))
        assert refusal is not None
        assert (refusal.code, refusal.status) == ("address_refused", 403)


@pytest.mark.parametrize("name", BY_ADDRESS)
def test_a_source_with_neither_a_secret_nor_a_list_is_a_mistake(name):
    settings = BY_ADDRESS[name] | {"addresses": []}
    if name == "generic":
        settings = {"scheme": {"mode": "none_with_ip_allowlist"}}
    [problem] = PROVIDERS[name].check_settings(settings)
    assert "addresses: needed" in problem
    refusal = under(name, settings).verify(Request("POST", "/", Headers(), b"", remote_addr="203.0.113.9"))
    assert refusal is not None
    assert refusal.status == 503


def test_a_list_may_be_had_on_top_of_a_secret():
    act = under("selloship", {"addresses": ["203.0.113.0/24"]})
    request = act.request(act.sample())
    assert act.verify(replace(request, remote_addr="203.0.113.9")) is None
    refusal = act.verify(replace(request, remote_addr="198.51.100.1"))
    assert refusal is not None
    assert refusal.code == "address_refused"
    assert act.verify(replace(request, remote_addr="203.0.113.9"), secrets=(OTHER,)) is not None
