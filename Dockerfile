# Two stages: the packages are installed where pip may write, the image that runs holds no installer's leftovers.
FROM python:3.12-slim AS packages
COPY requirements/runtime.lock /tmp/runtime.lock
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes --no-deps --only-binary :all: -r /tmp/runtime.lock

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin orcestator \
 && mkdir -p /data/logs \
 && chown -R orcestator /data
COPY --from=packages /venv /venv
COPY orcestator /app/orcestator
RUN /venv/bin/python -m compileall -q /app/orcestator
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1
USER 10001
# Relative paths of the settings (logs/traffic.log, a database) end up here.
WORKDIR /data
VOLUME /data/logs
# 8000 the API, 8001 Prometheus metrics.
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + (os.environ.get('OR_PORT') or '8000') + '/ready', timeout=3)"]
# A key or OR_ALLOW_ANONYMOUS=true has to be given on purpose: seen from inside a container nobody is "this machine".
CMD ["python", "-m", "orcestator", "up"]
