from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.egress import check_url, networks_of
from shared.egress.addresses import why_refused
from shared.egress.urls import target_of
from shared.errors import EgressRefused

REFUSED = {
    "0.0.0.0": "unspecified",  # noqa: S104  # refused, not bound
    "10.1.2.3": "private",
    "100.64.0.1": "carrier-grade NAT",
    "100.100.100.200": "carrier-grade NAT",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "cloud metadata",
    "169.254.169.254": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "reserved",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarking",
    "224.0.0.1": "multicast",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:a9fe:a9fe": "link-local",
    "::127.0.0.1": "reserved",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "link-local",
    "64:ff9b:1::1": "local NAT64",
    "100::1": "reserved",
    "2001::1": "Teredo",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "3fff::1": "documentation",
    "5f00::1": "reserved",
    "fc00::1": "private",
    "fd00:ec2::254": "private",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "reserved",
    "ff02::1": "multicast",
    "nonsense": "not an address",
}


@pytest.mark.parametrize(("address", "why"), REFUSED.items())
def test_special_addresses_are_refused_by_name(address: str, why: str):
    assert why_refused(address) == why


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "172.15.255.255", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_public_addresses_pass(address: str):
    assert why_refused(address) is None


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_address_is_judged_alike_in_every_disguise(address: IPv4Address):
    plain = why_refused(str(address))
    assert why_refused(str(IPv6Address(0xFFFF_0000_0000 + int(address)))) == plain
    assert why_refused(str(IPv6Address((0x64FF9B << 96) + int(address)))) == plain
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert plain is not None


def test_the_allow_list_opens_what_it_names_and_no_more():
    networks = networks_of(["10.1.0.0/16", "fd00:1::/32"])
    assert why_refused("10.1.9.9", networks) is None
    assert why_refused("::ffff:10.1.9.9", networks) is None
    assert why_refused("fd00:1::5", networks) is None
    assert why_refused("10.2.0.1", networks) == "private"
    assert why_refused("169.254.169.254", networks) == "link-local"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/", "scheme_refused"),
        ("ftp://example.com/", "scheme_refused"),
        ("file:///etc/passwd", "scheme_refused"),
        ("//example.com/", "scheme_refused"),
        ("https://", "url_malformed"),
        ("https:///path", "url_malformed"),
        ("https://user:pass@example.com/", "url_malformed"),
        ("https://exa mple.com/", "url_malformed"),
        ("https://example.com\\@127.0.0.1/", "url_malformed"),
        ("https://example.com/\r\nX: y", "url_malformed"),
        ("https://example..com/", "url_malformed"),
        ("https://example.com:99999/", "url_malformed"),
        ("https://[::1/", "url_malformed"),
        ("https://127.1/", "url_malformed"),
        ("https://0x7f.0.0.1/", "url_malformed"),
        ("https://2130706433/", "url_malformed"),
        ("https://0177.0.0.1/", "url_malformed"),
        ("https://" + "a" * 3000 + ".com/", "url_malformed"),
        ("https://example.com:25/", "port_refused"),
        ("https://example.com:0/", "port_refused"),
        ("https://127.0.0.1/", "address_refused"),
        ("https://[::ffff:169.254.169.254]/", "address_refused"),
        ("https://localhost/", "address_refused"),
        ("https://nowhere.invalid/", "host_unresolvable"),
    ],
)
def test_a_url_that_would_never_be_sent_to_is_refused_with_its_code(url: str, code: str):
    with pytest.raises(EgressRefused) as refusal:
        check_url(url, allow_http=False, networks=[])
    assert refusal.value.code == code
    assert refusal.value.message


@pytest.mark.parametrize(
    "url",
    ["https://1.1.1.1/hook", "https://example.com:8443/a?b=c#d", "https://bücher.example/", "HTTPS://EXAMPLE.COM/"],
)
def test_ordinary_urls_pass_without_asking_the_network(url: str):
    check_url(url, allow_http=False, networks=[], resolve=False)


def test_http_passes_only_where_it_is_allowed():
    check_url("http://10.1.0.1/", allow_http=True, networks=["10.1.0.0/16"])


@pytest.mark.parametrize(
    ("url", "host", "header"),
    [
        ("https://faß.de/x", "xn--fa-hia.de", "xn--fa-hia.de"),  # not fass.de, which is somebody else's
        ("https://σς.example/", "xn--3xab.example", "xn--3xab.example"),
        ("https://MÜNCHEN.example:8443/", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example:8443"),
        ("http://crm.example:80/", "crm.example", "crm.example"),
        ("https://crm.example:80/", "crm.example", "crm.example:80"),
        ("https://[2606:4700::1111]:8443/", "2606:4700::1111", "[2606:4700::1111]:8443"),
    ],
)
def test_the_host_that_is_told_is_the_one_that_is_connected_to(url: str, host: str, header: str):
    target = target_of(url, allow_http=True)
    assert (target.host, target.host_header) == (host, header)


@pytest.mark.parametrize("url", ["https://[v1.x]/", "https://a\u200db.example/", "https://xn--.ü.example/"])
def test_a_host_that_is_no_name_is_refused_when_it_is_set(url: str):
    with pytest.raises(EgressRefused) as refused:
        target_of(url, allow_http=False)
    assert refused.value.code == "url_malformed"
