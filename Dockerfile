# Two stages: the first has pip and leaves a virtual environment, the second runs it as a user who owns nothing.
FROM python:3.13-slim AS build
WORKDIR /app
RUN python -m venv /venv
COPY requirements.lock pyproject.toml ./
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY celeryconfig.py Procfile README.md LICENSE ./
COPY shared shared
COPY web web
COPY workers workers
COPY cli cli
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin crossdock \
    && install -d -o crossdock -g crossdock /app /data
COPY --from=build /venv /venv
WORKDIR /app
COPY celeryconfig.py Procfile ./
COPY workers/flowerconfig.py workers/flowerconfig.py
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 CROSSDOCK_DATA_DIR=/data CROSSDOCK_LOG_JSON=true
USER crossdock
VOLUME /data
# Ingress, console, Flower.
EXPOSE 8080 8081 5555
CMD ["crossdock", "--help"]
