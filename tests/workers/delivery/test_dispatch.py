from tests.doubles.crm import Crm
from tests.workers.delivery.conftest import Desk


def test_what_is_due_is_delivered_signed_and_written_down(desk: Desk, crm: Crm):
    subscription = desk.subscribe(crm.url())
    ids = desk.owe(subscription, count=30)

    counts = desk.dispatch()

    assert counts["delivered"] == 30
    assert [each.problem for each in crm.received] == [None] * 30
    assert desk.states(subscription) == {"delivered": 30}
    (attempt,) = desk.attempts(ids[0])
    assert (attempt.number, attempt.verdict, attempt.status) == (1, "delivered", 200)
    assert attempt.response_excerpt == '{"received": true}'
    lane = desk.lane(subscription)
    assert (lane.success_count, lane.failed_count, lane.last_delivery_status) == (30, 0, "success")
