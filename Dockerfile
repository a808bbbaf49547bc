# syntax=docker/dockerfile:1

FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY LICENSE phasegate *.py ./
COPY .streamlit .streamlit
COPY api api
COPY data data
COPY examples/nightbff examples/nightbff
COPY ingest ingest
COPY pages pages
COPY reports reports
COPY slo slo
# The image runs with a read-only root: what Python would cache beside the sources is made now.
RUN .venv/bin/python -m compileall -q -x '^\./\.venv/' .


FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin phasegate \
    && install --directory --owner 10001 --group 10001 /var/lib/phasegate
WORKDIR /app
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PHASEGATE_HOME=/var/lib/phasegate
VOLUME /var/lib/phasegate
USER 10001:10001
EXPOSE 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/api/v1/healthz', timeout=4)"]
ENTRYPOINT ["./phasegate"]
CMD ["serve", "--host", "0.0.0.0"]
