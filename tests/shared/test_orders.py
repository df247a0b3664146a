"""Orders carry no clock's word, and those that nobody takes do not pile up."""

import orjson
import pytest
import redis

from shared import orders, queues

DOWN = "unix:///nonexistent/valkey.sock?db=0"


def test_an_order_never_expires_whatever_the_clock_of_who_takes_it(settings, queue):
    assert orders.send(settings, queues.DRAIN, 3)
    headers = orjson.loads(queue.rpop(queues.INBOUND_QUEUE))["headers"]
    assert headers["task"] == queues.DRAIN
    assert headers["expires"] is None
    assert headers["eta"] is None


@pytest.mark.parametrize(("name", "most"), orders.MOST_WAITING.items())
def test_a_queue_that_nobody_empties_holds_a_bounded_number_of_orders(settings, queue, name, most):
    task = {queues.INBOUND_QUEUE: queues.DRAIN, queues.DELIVERY_QUEUE: queues.DISPATCH}.get(name)
    task = task or {queues.SYNC_QUEUE: queues.TICK, queues.UPSTREAM_QUEUE: queues.UPSTREAM_WORK}[name]
    queue.rpush(name, *["an order"] * (most - 1))
    assert [orders.send(settings, task) for _ in range(3)] == [True, False, False]
    assert queue.llen(name) == most
    queue.rpop(name)
    assert orders.send(settings, task)


def test_the_inbound_queue_has_room_for_an_order_of_every_shard():
    assert orders.MOST_WAITING[queues.INBOUND_QUEUE] > queues.MOST_SHARDS


def test_a_broker_that_is_down_is_no_error_to_who_sends_and_one_to_who_asks(settings):
    down = settings.model_copy(update={"redis_url": DOWN})
    assert not orders.send(down, queues.DISPATCH)
    with pytest.raises(redis.RedisError):
        orders.has_room(down, queues.DISPATCH)
