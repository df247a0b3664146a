"""What a trial says would be told, the drain tells."""

import pytest
from sqlalchemy import Engine, select

from shared.db.tables import events, messages
from shared.directory import Listing
from shared.ids import new_id
from shared.providers import samples
from shared.trials import judge
from tests import envelopes
from tests.shared.providers.acting import CASES, NOW, actor
from tests.workers import rows
from workers.inbound.process import process
from workers.inbound.reading import Inbound


@pytest.mark.parametrize("case", CASES)
def test_what_a_trial_says_of_a_first_message_is_what_the_drain_makes_of_it(engine: Engine, case: str) -> None:
    act = actor(case)
    account_id = rows.account(engine)
    source_id = rows.source(engine, account_id, provider=act.provider.name, settings=dict(act.source.settings))
    listing = Listing(act.source, str(account_id), active=True, tenants=None, allowed_topics=None, rate_per_second=0)
    payloads = list(samples.stored(act.provider.name))
    assert payloads
    for payload in payloads:
        request = act.request(act.sample(topic=payload.topic, body=payload.body))
        trial = judge(act.provider, listing, request, now=NOW)
        # What Amazon signs with stands at an address, and a trial fetches nothing.
        assert trial.genuine != act.signs_inside
        with engine.connect() as connection:
            process(connection, [Inbound(new_id(), source_id, NOW, request)], listings={source_id: listing}, now=NOW)
            message = connection.execute(select(messages)).mappings().one()
            told = connection.execute(select(events.c.body).order_by(events.c.id)).scalars().all()
            connection.rollback()
        assert (trial.state, trial.reason) == (message["state"], message["reason"])
        assert (trial.topic, trial.tenant, trial.delivery_id, trial.occurred_at) == (
            message["topic"],
            message["tenant"],
            message["delivery_key"],
            message["occurred_at"],
        )
        assert [event for change in trial.changes for event in change["events_if_new"]] == [
            envelopes.read(body)["event"] for body in told
        ]
