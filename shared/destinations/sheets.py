"""Google Sheets: a row for each event, appended in batches.

Comes in: parcels. Comes out: a token, a look at which rows are there already, an append, and a judgement for each
parcel. An append that was not answered may have happened: column A holds the delivery's id, and before a delivery is
repeated it is looked up there. Pure but for the memory of the token; nothing else is left behind.

Source: developers.google.com, Sheets API v4, "spreadsheets.values.append" and "Usage limits", read 2026-11.
"""

import re
from collections.abc import Callable, Generator, Mapping, MutableMapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import orjson

from shared.destinations.contract import (
    Answer,
    Batching,
    Destination,
    Judgement,
    Landing,
    Outgoing,
    Parcel,
    Quota,
    Verdict,
)
from shared.destinations.google_account import ServiceAccount, account_of, check_account, token_of, token_request
from shared.destinations.replies import USER_AGENT, judge_api
from shared.destinations.values import is_path, pick, plain

BATCH = 200  # rows in one conversation
REQUEST_BYTES = 1_000_000  # of rows; Google recommends 2 MB at most, and less is quicker to be rid of
LOOKUP_BYTES = 32_000_000  # a column of some 800,000 ids
CELL_CHARACTERS = 50_000
COLUMNS_MAX = 100
REQUESTS_PER_MINUTE = 60  # of one user in one project, for reading and for writing each
BUSY_SECONDS = 60.0  # the window of both limits
OK, UNAUTHORIZED, TOO_MANY_REQUESTS = 200, 401, 429
_EXACT = 2**53  # whole numbers beyond it are no longer exact in a cell
_SPREADSHEET = re.compile(r"[A-Za-z0-9_-]{10,200}")

Row = list[str | int | float | bool]


def converse(
    parcels: Sequence[Parcel], memory: MutableMapping[str, Any], clock: Callable[[], datetime]
) -> Generator[Outgoing, Answer, list[Landing]]:
    """Append a row for each of `parcels` that is not there yet."""
    landings: list[Landing | None] = [None] * len(parcels)
    rows = _rows(parcels, landings)

    def settle(places: Sequence[int], answer: Answer, judgement: Judgement) -> None:
        for place in places:
            landings[place] = Landing(answer, judgement)
            rows.pop(place, None)

    account = account_of(parcels[0].secrets[0])
    if rows and token_of(memory, now=clock()) is None:
        answer = yield token_request(account, now=clock())
        if not _remember(memory, account, answer, clock()):
            settle(list(rows), answer, _judge_token(answer, clock()))
    repeats = [place for place in rows if parcels[place].is_repeat]
    if repeats:
        answer = yield _lookup(parcels[0], memory)
        present = _present(answer)
        if present is None:
            settle(list(rows), answer, _judge(answer, memory, clock(), otherwise="sheet_unreadable"))
        else:
            there = [place for place in repeats if parcels[place].delivery_id in present]
            settle(there, answer, Judgement(Verdict.DELIVERED))
    while rows:
        places = _fitting(rows)
        answer = yield _append(parcels[0], memory, [rows[place] for place in places])
        if _appended(answer) == len(places):
            settle(places, answer, Judgement(Verdict.DELIVERED))
            continue
        # Whatever is amiss, it is so for the other rows too.
        settle(list(rows), answer, _judge(answer, memory, clock(), otherwise="rows_unconfirmed"))
    return [landing for landing in landings if landing is not None]


def check_settings(settings: Mapping[str, Any]) -> list[str]:
    """Problems with the settings: `spreadsheetId`, `sheet`, `columns` and `requestsPerMinute`."""
    known = ("spreadsheetId", "sheet", "columns", "requestsPerMinute")
    problems = [f"{name}: Google Sheets has no such setting." for name in settings if name not in known]
    spreadsheet = settings.get("spreadsheetId")
    if not isinstance(spreadsheet, str) or not _SPREADSHEET.fullmatch(spreadsheet):
        problems.append("spreadsheetId is the long id in the spreadsheet's address.")
    sheet = settings.get("sheet", "Sheet1")
    if not isinstance(sheet, str) or not 0 < len(sheet) <= 100:  # noqa: PLR2004  # as Google has it
        problems.append("sheet is the title of a sheet, 1 to 100 characters.")
    columns = settings.get("columns")
    if not isinstance(columns, list) or not 0 < len(columns) <= COLUMNS_MAX or not all(map(is_path, columns)):
        problems.append(f"columns is a list of 1 to {COLUMNS_MAX} paths into the event, e.g. data.user.email.")
    requests = settings.get("requestsPerMinute", REQUESTS_PER_MINUTE)
    if not isinstance(requests, int) or isinstance(requests, bool) or not 0 < requests <= 300:  # noqa: PLR2004
        problems.append("requestsPerMinute is 1 to 300.")
    return problems


def quotas(settings: Mapping[str, Any]) -> Mapping[str, Quota]:
    """How often one service account may read and write."""
    quota = Quota(settings.get("requestsPerMinute", REQUESTS_PER_MINUTE), 60.0)
    return {"reads": quota, "writes": quota}


def _rows(parcels: Sequence[Parcel], landings: list[Landing | None]) -> dict[int, Row]:
    """The rows by their parcel's place; a parcel whose row no sheet would take is landed."""
    rows: dict[int, Row] = {}
    for place, parcel in enumerate(parcels):
        row = _row(parcel)
        if any(isinstance(cell, str) and len(cell) > CELL_CHARACTERS for cell in row):
            landings[place] = Landing(None, Judgement(Verdict.DEAD, "cell_too_long"))
        elif len(orjson.dumps(row)) > REQUEST_BYTES:
            landings[place] = Landing(None, Judgement(Verdict.DEAD, "row_too_long"))
        else:
            rows[place] = row
    return rows


def _row(parcel: Parcel) -> Row:
    event = orjson.loads(parcel.body)
    return [parcel.delivery_id, *(_cell(pick(event, path)) for path in parcel.settings["columns"])]


def _cell(value: Any) -> str | int | float | bool:
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _EXACT):
        return value
    return plain(value, separator=", ")


def _fitting(rows: Mapping[int, Row]) -> list[int]:
    """The places of the first rows that fit in one request; at least one."""
    places: list[int] = []
    size = 0
    for place, row in rows.items():
        size += len(orjson.dumps(row))
        if places and size > REQUEST_BYTES:
            break
        places.append(place)
    return places


def _remember(memory: MutableMapping[str, Any], account: ServiceAccount, answer: Answer, now: datetime) -> bool:
    return answer.status == OK and account.remember(memory, _document(answer.body), now=now)


def _lookup(parcel: Parcel, memory: Mapping[str, Any]) -> Outgoing:
    where = _values(parcel, "A:A")
    return Outgoing(
        method="GET",
        url=f"{where}?majorDimension=COLUMNS&fields=values&prettyPrint=false",
        headers=_headers(memory),
        body=b"",
        quota="reads",
        reply_bytes=LOOKUP_BYTES,
    )


def _append(parcel: Parcel, memory: Mapping[str, Any], rows: Sequence[Row]) -> Outgoing:
    where = _values(parcel, f"A:{_letters(len(rows[0]))}")
    return Outgoing(
        method="POST",
        # RAW: what looks like a formula stays a text.
        url=f"{where}:append?valueInputOption=RAW&insertDataOption=INSERT_ROWS",
        headers=(("Content-Type", "application/json"), *_headers(memory)),
        body=orjson.dumps({"majorDimension": "ROWS", "values": rows}),
        quota="writes",
        reply_bytes=65_536,
    )


def _values(parcel: Parcel, columns: str) -> str:
    sheet = parcel.settings.get("sheet", "Sheet1").replace("'", "''")
    where = quote(f"'{sheet}'!{columns}", safe="")
    return f"{parcel.url.rstrip('/')}/v4/spreadsheets/{parcel.settings['spreadsheetId']}/values/{where}"


def _headers(memory: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return (("User-Agent", USER_AGENT), ("Authorization", f"Bearer {memory['token'][0]}"))


def _letters(number: int) -> str:
    """The name of a column, from 1: A, B, ..., Z, AA, ..."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _present(answer: Answer) -> frozenset[str] | None:
    """The ids in column A; None when they cannot be known."""
    if answer.status != OK:
        return None
    document = _document(answer.body)
    values = document.get("values", [])  # absent when the column is empty
    if not document and answer.body.strip() != b"{}":
        return None
    if not isinstance(values, list) or not all(isinstance(column, list) for column in values):
        return None
    return frozenset(str(cell) for column in values for cell in column)


def _appended(answer: Answer) -> int | None:
    """How many rows Google says that it appended; None when it says nothing of the kind."""
    updates = _document(answer.body).get("updates") if answer.status == OK else None
    rows = updates.get("updatedRows") if isinstance(updates, dict) else None
    return rows if isinstance(rows, int) else None


def _judge(answer: Answer, memory: MutableMapping[str, Any], now: datetime, *, otherwise: str) -> Judgement:
    """What a failure comes to. All but a rate limit is tried again: the sheet can be mended, and no row is at fault."""
    if answer.status == UNAUTHORIZED:
        memory.pop("token", None)
    judgement = judge_api(answer, now, busy_seconds=BUSY_SECONDS)
    if judgement.verdict is Verdict.LATER:
        return judgement
    return Judgement(Verdict.AGAIN, judgement.code or otherwise, judgement.retry_after_seconds)


def _judge_token(answer: Answer, now: datetime) -> Judgement:
    judgement = judge_api(answer, now, busy_seconds=BUSY_SECONDS)
    if judgement.verdict is Verdict.LATER:
        return judgement
    return Judgement(Verdict.AGAIN, "token_refused" if answer.status else judgement.code, judgement.retry_after_seconds)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


SHEETS: Final = Destination(
    name="sheets",
    title="Google Sheets",
    batching=Batching(BATCH, converse),
    quotas=quotas,
    check_settings=check_settings,
    check_credential=check_account,
    url="https://sheets.googleapis.com",
)
