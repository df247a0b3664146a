"""The ceilings: the bare Flask view on the ingress's own server, and Valkey taking what an ingress gives it.

Nothing is left behind. `app` is the bare view: it reads the body and answers as the ingress does, and does no more. It
is served as WSGI, the fastest way that Flask has there.
"""

import os
import time
from pathlib import Path

from flask import Flask, request

from bench.figures import rate_within
from bench.load import Load
from bench.rig import send
from bench.samples import Target, body
from bench.stack import Stack, free_port, wait_for_port
from web.serve import BACKLOG, MOST_CONNECTIONS

TARGET = Target("bare", "bare.myshopify.com", "0123456789abcdef")
CONNECTIONS = 64

app = Flask(__name__)


@app.post("/api/webhooks/bare")
def take_in() -> tuple[bytes, int, dict[str, str]]:
    """The least that a view can do."""
    request.get_data(cache=False)
    return b'{"received":true,"id":"0"}', 200, {"Content-Type": "application/json"}


def granian(target: str, port: int, *, workers: int, threads: int) -> str:
    """The command that serves a WSGI app with the ingress's server and its limits."""
    return (
        f"granian --interface wsgi --host 127.0.0.1 --port {port} --workers {workers} --blocking-threads {threads} "
        f"--http 1 --backlog {BACKLOG} --backpressure {MOST_CONNECTIONS} --no-ws --log-level warning {target}"
    )


def bare_view(stack: Stack, *, seconds: float) -> float:
    """Requests a second that the bare view answers, closed loop."""
    port, settings = free_port(), stack.settings
    stack.run(
        "bare",
        granian("bench.ceiling:app", port, workers=settings.ingress_workers, threads=settings.ingress_threads),
    )
    try:
        wait_for_port(port)
        load = Load(
            port=port,
            record="",
            targets=[TARGET],
            count=1000,
            cycle=True,
            seconds=seconds + 1,
            connections=CONNECTIONS,
        )
        done = [sent.answered for sent in send(stack.folder, load) if sent.status == 200]
    finally:
        stack.stop("bare")
    start = min(done) + 1_000_000_000
    return rate_within(done, start, max(done))


def raw_append(stack: Stack, *, seconds: float) -> float:
    """XADDs a second of one client with one message each, `appendfsync always`."""
    fields = {"b": body(1, customers=1), "r": bytes(400), "s": bytes(36), "i": bytes(16), "t": "0"}
    with stack.client as client:
        done, start = 0, time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            client.xadd("bench:ceiling", fields)
            done += 1
        client.delete("bench:ceiling")
    return done / elapsed


def fsync_ms(folder: Path, *, times: int = 200) -> float:
    """What one small fsync costs on the disk of `folder`, in ms."""
    path = folder / "fsync.probe"
    with path.open("wb", buffering=0) as file:
        start = time.monotonic()
        for _ in range(times):
            file.write(bytes(1024))
            os.fsync(file.fileno())
        spent = time.monotonic() - start
    path.unlink()
    return spent / times * 1000
