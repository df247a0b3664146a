"""The pages that a shop's owner sees while connecting: what went wrong and what to do, or how far it has come.

Pure; every value is escaped, and nothing is left behind.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from shared.clock import to_json

_FRAME: Final = Markup("""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <style nonce="{nonce}">
    body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem;
      color: #1b1f24; }}
    h1 {{ font-size: 1.4rem; }} code {{ background: #f0f2f4; padding: .1em .3em; border-radius: 3px; }}
    table {{ border-collapse: collapse; width: 100%; }} th, td {{ text-align: left; padding: .3rem .6rem .3rem 0;
      border-bottom: 1px solid #dde2e7; vertical-align: top; }} .quiet {{ color: #5b6570; }}
    @media (prefers-color-scheme: dark) {{ body {{ background: #14181c; color: #e4e8ec; }}
      code {{ background: #262d34; }} th, td {{ border-color: #333c45; }} .quiet {{ color: #9aa6b1; }} }}
  </style>
</head>
<body>
{body}
</body>
</html>
""")
_AGAIN: Final = "Open the connection link of your shop again, in this browser, and finish within ten minutes."
_OPERATOR: Final = "Tell whoever runs this Crossdock: "
# code -> (what happened, what to do)
ADVICE: Final[Mapping[str, tuple[str, str]]] = {
    "shop_malformed": (
        "That is not the address of a Shopify shop.",
        "Use the shop's own address, which ends in .myshopify.com, e.g. /shopify/acme.myshopify.com/login.",
    ),
    "not_set_up": (
        "Shops cannot connect to this Crossdock yet.",
        _OPERATOR + "set CROSSDOCK_SHOPIFY_CLIENT_ID to the app's client id.",
    ),
    "shop_not_found": (
        "Nobody has let this shop in.",
        _OPERATOR + "add it with `crossdock integrations add SOURCE SHOP`, and open this link again.",
    ),
    "source_not_found": (
        "What this shop was to join is not there any more.",
        _OPERATOR + "the Shopify source is gone, switched off or has no secret that can be opened.",
    ),
    "source_ambiguous": (
        "Several sources here would take this shop, and nobody may choose for you which.",
        "Open the link that you were given by whom you want to let in: it has ?source=PATH at its end. If it has not: "
        + _OPERATOR
        + "give the link with ?source= and the path of the source that the shop is to join.",
    ),
    "integration_disabled": (
        "This shop was switched off here.",
        _OPERATOR + "switch the integration on again first.",
    ),
    "nul_refused": ("This link cannot be read.", "Copy the connection link of your shop again, and open it."),
    "query_malformed": ("Shopify's answer cannot be read.", _AGAIN),
    "state_missing": ("This browser did not begin this connection, or it took too long.", _AGAIN),
    "state_mismatch": ("This answer belongs to another connection than the one begun here.", _AGAIN),
    "state_used": ("This connection was finished already, or took longer than ten minutes.", _AGAIN),
    "shop_mismatch": ("Shopify answered for another shop than the one asked for.", _AGAIN),
    "hmac_mismatch": (
        "The answer is not signed by the app.",
        _OPERATOR + "the source's newest secret must be the client secret of the app with this client id.",
    ),
    "callback_expired": (
        "The answer is too old.",
        _AGAIN + " If it happens again, the clock of this Crossdock's machine is wrong.",
    ),
    "code_missing": ("The shop did not agree.", _AGAIN + " Then choose “Install app”."),
    "exchange_refused": (
        "Shopify did not accept the answer a second time.",
        _AGAIN + " If it happens again, the source's newest secret is not the app's client secret.",
    ),
    "exchange_failed": ("Shopify could not be reached just now.", "Wait a minute. " + _AGAIN),
    "circuit_open": (
        "Shopify failed several times in a row, and is left alone for a minute.",
        "Wait a minute. " + _AGAIN,
    ),
    "unavailable": ("This Crossdock cannot answer just now.", "Wait a minute. " + _AGAIN),
    "internal": ("Something failed on our side.", _AGAIN + " If it happens again: " + _OPERATOR + "the log has it."),
    "session_missing": ("This page belongs to the browser that connected the shop, for an hour.", _AGAIN),
}
_KINDS: Final = {
    "registration": "Webhooks registered",
    "trial": "Webhook test",
    "sync": "Products read",
    "inquiry": "What was left open asked for",
}
_UNKNOWN: Final = ("That did not work.", _AGAIN)


def problem_page(code: str, *, nonce: str) -> str:
    """The page of what went wrong, with what to do about it."""
    happened, do = ADVICE.get(code, _UNKNOWN)
    body = Markup("<h1>{}</h1>\n<p>{}</p>\n<p class=quiet>Code: <code>{}</code></p>").format(happened, do, code)
    return _FRAME.format(title=happened, nonce=nonce, body=body)


def shop_page(
    shop: str,
    *,
    account: Mapping[str, Any],
    source: str,
    missing_scopes: Sequence[str],
    work: Sequence[Mapping[str, Any]],
    registrations: Sequence[Mapping[str, Any]],
    nonce: str,
) -> str:
    """How far the connection of a shop has come, and whom it has let in."""
    parts = [
        Markup("<h1>{} is connected</h1>").format(shop),
        Markup(
            "<p>It belongs to the account <b>{}</b> (<code>{}</code>) now, by its source <code>{}</code>. If that is "
            "not whom you meant to let in, uninstall the app in your shop.</p>"
        ).format(account["title"], account["slug"], source),
    ]
    if missing_scopes:
        parts.append(
            Markup("<p>It did not grant <code>{}</code>; what needs it will be refused.</p>").format(
                ", ".join(missing_scopes)
            )
        )
    parts.append(_table(("Step", "State", "Last done", "What is wrong"), [_step(row) for row in work]))
    if registrations:
        rows = [(row["topic"], row["state"], row["note"]) for row in registrations]
        parts.append(Markup("<h2>Webhooks</h2>"))
        parts.append(_table(("Topic", "State", "Note"), rows))
    parts.append(Markup("<p class=quiet>Load this page again to see how it goes on. You may close it.</p>"))
    return _FRAME.format(title=f"{shop} is connected", nonce=nonce, body=Markup("\n").join(parts))


def _step(row: Mapping[str, Any]) -> tuple[Any, ...]:
    finished, left_out = row["finished_at"], row["result"].get("leftOut", {}).get("count", 0)
    wrong = row["error"] or (f"{left_out} could not be taken in" if left_out else "")
    return (_KINDS.get(row["kind"], row["kind"]), row["state"], to_json(finished) if finished else "", wrong)


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in names)
    lines = [
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format("" if cell is None else cell) for cell in row)
        )
        for row in rows
    ]
    return Markup("<table>\n<tr>{}</tr>\n{}\n</table>").format(head, Markup("\n").join(lines))
