"""Facebook's Graph API for one page: it subscribes an app to fields, for who proves that the app's secret is theirs."""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs

from tests.doubles.served import Reply, Served

FIELDS = frozenset(
    ("messages", "messaging_postbacks", "feed", "leadgen", "message_reads", "message_deliveries", "messaging_optins")
)


class Facebook(Served):
    """A page that may subscribe one app."""

    def __init__(
        self,
        *,
        page_id: str = "1001",
        token: str = "page-token",  # noqa: S107  # of a page that is not there
        app_secret: str = "app-secret",  # noqa: S107  # the same
    ) -> None:
        super().__init__()
        self.page_id, self.token, self.app_secret = page_id, token, app_secret
        self.subscribed: set[str] = set()

    def answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token != self.token:
            return _error(401, "Error validating access token")
        proof = hmac.new(self.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if query.get("appsecret_proof") != proof:
            return _error(400, "Invalid appsecret_proof provided in the API argument")
        if path != f"/{self.page_id}/subscribed_apps":
            return _error(404, "Unsupported request")
        if method == "GET":
            shown = [{"id": "7", "subscribed_fields": sorted(self.subscribed)}] if self.subscribed else []
            return Reply(200, {"data": shown})
        fields = {field for value in parse_qs(body.decode()).get("subscribed_fields", []) for field in value.split(",")}
        if not fields or not fields <= FIELDS:
            return _error(400, "Param subscribed_fields must be one of the fields")
        self.subscribed = fields
        return Reply(200, {"success": True})


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"error": {"message": message, "type": "OAuthException"}})
