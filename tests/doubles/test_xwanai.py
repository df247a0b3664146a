"""The double refuses what xwanai would."""

import pytest
import requests

from tests.doubles.served import Fault
from tests.doubles.xwanai import Xwanai

CUSTOMER = b'{"customer_id": "17"}'


@pytest.mark.parametrize(
    ("key", "content_type", "body", "status"),
    [
        ("right", "application/json", CUSTOMER, 201),
        ("wrong", "application/json", CUSTOMER, 401),
        ("right", "text/plain", CUSTOMER, 415),
        ("right", "application/json", b"{", 400),
        ("right", "application/json", b'{"customer_id": 17}', 422),
    ],
)
def test_only_a_customer_with_the_key_is_taken(key: str, content_type: str, body: bytes, status: int):
    with Xwanai(key="right") as api:
        headers = {"X-API-Key": key, "Content-Type": content_type}
        assert requests.post(api.url("/api/customers/sync"), body, headers=headers, timeout=5).status_code == status
        assert list(api.customers) == (["17"] if status == 201 else [])


def test_a_fault_after_the_deed_hides_a_customer_that_is_there():
    with Xwanai(key="right") as api:
        headers = {"X-API-Key": "right", "Content-Type": "application/json"}
        api.faults.append(Fault(500, after=True))
        assert requests.post(api.url("/api/customers/sync"), CUSTOMER, headers=headers, timeout=5).status_code == 500
        assert requests.post(api.url("/api/customers/sync"), CUSTOMER, headers=headers, timeout=5).status_code == 200
        assert requests.delete(api.url("/api/customers/17"), headers=headers, timeout=5).status_code == 204
        assert requests.delete(api.url("/api/customers/17"), headers=headers, timeout=5).status_code == 404
