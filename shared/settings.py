"""Settings: one class, read once from the environment at the edge of each process and passed down.

Every name is `CROSSDOCK_` + the field's name in capitals, but for `DATABASE_URL` and `REDIS_URL`. An unknown
`CROSSDOCK_*` name is an error, so that a misspelt one cannot be silently ignored. Nothing is left behind.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared import queues
from shared.errors import SettingsInvalid

PREFIX = "CROSSDOCK_"


class Settings(BaseSettings):
    """All that can be set. `docs/settings.md` is generated from this class."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    # Where things are.
    database_url: str = Field(
        "", validation_alias="DATABASE_URL", description="PostgreSQL 18 to use. Empty: the embedded one is started."
    )
    redis_url: str = Field(
        "",
        validation_alias="REDIS_URL",
        description="Valkey or Redis to use; it must run with appendonly and appendfsync always. Empty: embedded.",
    )
    data_dir: Path = Field(Path("var"), description="Folder of the embedded servers' data, keys and reports.")
    encryption_keys: SecretStr = Field(
        SecretStr(""),
        description="Comma separated base64 keys of 32 bytes that secrets are encrypted with; the first encrypts, all "
        "decrypt. Empty: one is made in data_dir on first start.",
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="The least level logged.")
    log_json: bool = Field(False, description="Log lines as JSON rather than for eyes.")

    # Listening.
    ingress_host: str = Field("127.0.0.1", description="Address the ingress listens on.")
    ingress_port: int = Field(8080, ge=1, le=65535, description="Port the ingress listens on.")
    ingress_workers: int = Field(2, ge=1, le=64, description="Processes of the ingress server.")
    ingress_threads: int = Field(
        16, ge=1, le=256, description="Threads in each ingress process, for what takes long: large bodies, refusals."
    )
    public_url: str = Field(
        "", description="The ingress as providers see it, e.g. https://hooks.example.com; used where a URL is signed."
    )
    trusted_proxy_cidrs: str = Field(
        "",
        description="Comma separated networks of the TLS proxies before the ingress, e.g. 10.0.0.0/8: of what comes "
        "from them the client's address is the one in X-Forwarded-For. Empty: whoever connects is the client.",
    )
    console_host: str = Field("127.0.0.1", description="Address the admin API listens on.")
    console_port: int = Field(8081, ge=1, le=65535, description="Port the admin API listens on.")
    flower_host: str = Field("127.0.0.1", description="Address Flower listens on.")
    flower_port: int = Field(5555, ge=1, le=65535, description="Port Flower listens on.")
    flower_user: str = Field("", description="Flower's basic-auth user; needed when flower_host is not loopback.")
    flower_password: SecretStr = Field(SecretStr(""), description="Flower's basic-auth password.")

    # Taking in.
    inbox_shards: int = Field(
        4,
        ge=1,
        le=queues.MOST_SHARDS,
        description="Streams the inbox is split into; order holds within one. After a change the old ones are drained "
        "as well, beside the new: meanwhile only a record's own version keeps old from overwriting new.",
    )
    inbox_batch: int = Field(200, ge=1, le=1000, description="Messages one transaction of the drain takes.")
    inbox_max_length: int = Field(
        1_000_000, ge=1000, description="Messages a shard may hold undrained; past it the ingress answers 503."
    )
    max_body_bytes: int = Field(5_000_000, ge=1024, le=50_000_000, description="Largest body taken in; past it 413.")
    body_timeout_seconds: float = Field(
        30.0, gt=0, le=600, description="Longest wait for a request's body, however slowly it comes; then 408."
    )
    queue_timeout_seconds: float = Field(2.0, gt=0, le=10, description="Longest wait for the queue; then 503.")
    refusals_kept: int = Field(
        10_000, ge=0, le=1_000_000, description="Refused requests kept for a look, newest first."
    )
    sns_stand_in: Path | None = Field(
        None,
        description="Folder of a stand-in for Amazon SNS, whose messages are believed beside Amazon's; for `simulate`, "
        "the demo and tests, never where real webhooks come in.",
    )

    # Shipping out.
    delivery_in_flight: int = Field(100, ge=1, le=1000, description="Requests one dispatcher keeps in flight.")
    subscription_in_flight: int = Field(10, ge=1, le=1000, description="Requests in flight to one subscription.")
    request_timeout_seconds: float = Field(30.0, gt=0, le=60, description="Longest timeout a subscription may set.")
    dispatch_run_seconds: float = Field(20.0, gt=0, description="How long one dispatch order works before the next.")
    soft_time_limit_seconds: float = Field(60.0, gt=0, description="Celery's soft time limit of every task.")
    lease_seconds: float = Field(90.0, gt=0, description="How long a claimed delivery is its dispatcher's own.")
    visibility_timeout_seconds: float = Field(
        300.0, gt=0, description="After this an unacknowledged order is repeated."
    )
    circuit_failures: int = Field(5, ge=1, description="Straight failures that pause a subscription.")
    circuit_pause_seconds: float = Field(30.0, gt=0, description="First pause; it doubles with each failed probe.")
    circuit_pause_max_seconds: float = Field(900.0, gt=0, description="Longest pause between probes.")
    disable_after: int = Field(20, ge=1, description="Default of disableAfter: straight failures that disable.")
    disable_after_seconds: float = Field(
        86_400.0, ge=0, description="Default of disableAfterSeconds: they must span at least this."
    )
    allow_http_destinations: bool = Field(False, description="Let subscriptions use http:// URLs.")
    allowed_destination_cidrs: str = Field(
        "",
        description="Comma separated networks that are reachable though private, e.g. 10.1.0.0/16 for internal CRMs.",
    )
    shutdown_grace_seconds: float = Field(6.0, gt=0, le=300, description="Time in-flight requests get on SIGTERM.")

    # Calling providers.
    console_url: str = Field(
        "",
        description="The console as browsers see it, e.g. https://console.example.com; a shop's owner is sent back "
        "to it. Empty: where the console listens.",
    )
    shopify_client_id: str = Field(
        "", description="Client id of the Shopify app that shops connect to; its secret is the source's newest secret."
    )
    shopify_scopes: str = Field(
        "read_customers,read_customer_merge,read_orders,read_fulfillments,read_products,read_inventory,read_locations,"
        "read_discounts",
        pattern=r"^[a-z_]+(,[a-z_]+)*$",
        description="Comma separated scopes that a shop is asked for.",
    )
    shopify_expiring_tokens: bool = Field(
        True,
        description="Ask a shop for a token of an hour and one to renew it with: every app may, and public apps must, "
        "those made since April 2026 and from 2027 on all. Off: one that never ends. It counts for shops that connect "
        "from then on.",
    )
    shopify_api_version: str = Field(
        "2026-10", pattern=r"^(\d{4}-(01|04|07|10)|unstable)$", description="Version of Shopify's API that is called."
    )
    shopify_url: str = Field(
        "https://{shop}",
        pattern=r"^https?://\S*\{shop\}\S*$",
        description="Where a shop's own pages and API are; {shop} is its domain. Only doubles need another.",
    )
    robaws_url: str = Field(
        "https://app.robaws.com", pattern=r"^https?://\S+$", description="Robaws' API. Only doubles need another."
    )
    facebook_url: str = Field(
        "https://graph.facebook.com/v23.0",
        pattern=r"^https?://\S+$",
        description="Facebook's Graph API with its version.",
    )
    upstream_timeout_seconds: float = Field(15.0, gt=0, le=20, description="Longest wait for a provider's reply.")
    upstream_max_bytes: int = Field(20_000_000, ge=1024, description="Largest reply of a provider that is read.")
    sync_debounce_seconds: float = Field(
        30.0,
        ge=0,
        description="After a product's webhook its shop is read anew once, so many seconds later; an edited order too.",
    )
    reconcile_hours: float = Field(
        24.0, gt=0, description="A shop is read anew, and its registrations are checked, this long after the last time."
    )

    documents_folder: Path | None = Field(
        None, description="Folder that documents read of providers are written to as well. Empty: none."
    )
    documents_bucket: str = Field(
        "", description="S3-compatible bucket that documents read of providers are written to as well. Empty: none."
    )
    documents_prefix: str = Field("", description="What the names of documents in the bucket begin with.")
    documents_s3_url: str = Field(
        "",
        description="The bucket's endpoint; in one's own network allowed_destination_cidrs has to open its address. "
        "Empty: Amazon's own.",
    )
    documents_s3_region: str = Field("us-east-1", description="The bucket's region.")
    documents_s3_key_id: str = Field("", description="Access key of the bucket; a bucket needs one.")
    documents_s3_secret: SecretStr = Field(SecretStr(""), description="Secret of that access key.")

    # Keeping.
    keep_messages_days: int = Field(14, ge=1, description="Days raw messages are kept.")
    keep_events_days: int = Field(30, ge=1, description="Days events and attempts are kept.")
    keep_deliveries_days: int = Field(90, ge=1, description="Days finished deliveries are kept.")
    keep_keys_days: int = Field(14, ge=2, description="Days a provider's delivery id is remembered as seen.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only arguments and the environment count; there is no file to forget about."""
        return init_settings, env_settings

    @field_validator("sns_stand_in", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        # An empty path would be the present folder, and whoever can write there could act as Amazon.
        return None if value == "" else value

    @model_validator(mode="after")
    def _limits_hang_together(self) -> Self:
        problems = []
        ladder = [
            ("request_timeout_seconds", self.request_timeout_seconds),
            ("soft_time_limit_seconds", self.soft_time_limit_seconds),
            ("lease_seconds", self.lease_seconds),
            ("visibility_timeout_seconds", self.visibility_timeout_seconds),
        ]
        for (low, low_value), (high, high_value) in pairwise(ladder):
            if not low_value < high_value:
                problems.append(f"{low} ({low_value:g}) must be less than {high} ({high_value:g})")
        if self.dispatch_run_seconds + self.request_timeout_seconds >= self.soft_time_limit_seconds:
            problems.append("dispatch_run_seconds + request_timeout_seconds must be less than soft_time_limit_seconds")
        for name in ("allowed_destination_cidrs", "trusted_proxy_cidrs"):
            try:
                _networks(getattr(self, name))
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if {"0.0.0.0/0", "::/0"} & {part.strip() for part in self.trusted_proxy_cidrs.split(",")}:
            problems.append("trusted_proxy_cidrs: with everybody trusted, anybody says who they are")
        if self.flower_host not in ("127.0.0.1", "::1", "localhost") and not (
            self.flower_user and self.flower_password.get_secret_value()
        ):
            problems.append("flower_host is not loopback, so flower_user and flower_password must be set")
        if self.documents_bucket and not (self.documents_s3_key_id and self.documents_s3_secret.get_secret_value()):
            problems.append("documents_bucket is set, so documents_s3_key_id and documents_s3_secret must be")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def console_address(self) -> str:
        """The console as browsers see it, without a slash at the end."""
        return (self.console_url or f"http://{self.console_host}:{self.console_port}").rstrip("/")

    def allowed_networks(self) -> list[str]:
        """The networks of `allowed_destination_cidrs`, each checked and normalised."""
        return _networks(self.allowed_destination_cidrs)

    def trusted_proxies(self) -> list[str]:
        """The networks of `trusted_proxy_cidrs`, each checked and normalised."""
        return _networks(self.trusted_proxy_cidrs)


def _networks(cidrs: str) -> list[str]:
    return [str(ip_network(part.strip())) for part in cidrs.split(",") if part.strip()]


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """The `CROSSDOCK_*` names of the environment that no setting has."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def load(**overrides: object) -> Settings:
    """Settings from the environment, `overrides` on top.

    Raises:
        SettingsInvalid: with every problem in one text, one a line.
    """
    problems = [f"{name}: no such setting" for name in unknown_names(os.environ)]
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            where = ".".join(str(part) for part in item["loc"]) or "settings"
            problems.append(f"{where}: {item['msg'].removeprefix('Value error, ')}")
        settings = None
    if problems or settings is None:
        raise SettingsInvalid("\n".join(problems))
    return settings


@lru_cache(maxsize=1)
def current() -> Settings:
    """The settings of this process, read on first use. Only the edges call this."""
    return load()
