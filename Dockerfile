# Two stages: the first has what building needs, the second runs its result as a user who may write to /data alone.
FROM python:3.13-slim AS build
RUN python -m venv /venv
WORKDIR /app
# Without the embedded servers and the development tools: docker-compose.yml brings real servers.
COPY requirements-run.lock ./
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-run.lock
COPY pyproject.toml README.md LICENSE celeryconfig.py Procfile ./
COPY shared shared
COPY web web
COPY workers workers
COPY cli cli
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e . \
    && /venv/bin/python -m compileall -q shared web workers cli

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin crossdock \
    && install -d -o crossdock -g crossdock /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CROSSDOCK_DATA_DIR=/data \
    CROSSDOCK_LOG_JSON=true
USER crossdock
VOLUME /data
# The ingress, the console and Flower.
EXPOSE 8080 8081 5555
CMD ["crossdock", "--help"]
