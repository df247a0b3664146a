"""The three lines of a first start leave nothing behind that a stranger could use. (tests/cli/test_up.py runs them.)"""

import re

from cli.first_start import first_webhook
from cli.stack import Addresses

ADDRESSES = Addresses(ingress="http://i", console="http://c", flower="http://f", pid=1)


def secret_of(lines):
    [made] = re.findall(r'"secrets":\["([^"]+)"\]', lines[0])
    [signed_with] = re.findall(r"-hmac (\S+)", lines[2])
    assert made == signed_with
    return made


def test_the_first_sources_secret_is_made_anew_for_each_reader():
    secrets = {secret_of(first_webhook(ADDRESSES, "cdk_x")) for _ in range(3)}
    assert len(secrets) == 3
    assert all(re.fullmatch(r"[0-9a-f]{48}", secret) for secret in secrets)


def test_the_first_source_takes_no_path_that_a_provider_is_known_by():
    made, _, posted = first_webhook(ADDRESSES, "cdk_x")
    assert '"path":"first"' in made
    assert "http://i/api/webhooks/first " in posted
