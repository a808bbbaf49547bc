-- The catalog's first shape. No primary keys, foreign keys or unique indexes: DuckDB has replayed its log wrongly
-- around them after a crash (docs/architecture.md), and the store is the only writer and keeps rows unique itself.
CREATE TABLE runs (
    id VARCHAR NOT NULL, digest VARCHAR NOT NULL, service VARCHAR, test VARCHAR, phase VARCHAR, branch VARCHAR,
    "commit" VARCHAR, version VARCHAR, environment VARCHAR, exit_code INTEGER, labels VARCHAR NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL, started_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE, duration_s DOUBLE PRECISION, duration_source VARCHAR,
    services VARCHAR NOT NULL, requests BIGINT NOT NULL, points BIGINT NOT NULL, k6_version VARCHAR, script_hash VARCHAR
);
CREATE TABLE artefacts (
    run_id VARCHAR NOT NULL, name VARCHAR NOT NULL, kind VARCHAR NOT NULL, digest VARCHAR NOT NULL,
    bytes BIGINT NOT NULL, lines BIGINT NOT NULL, points BIGINT NOT NULL, malformed_lines BIGINT NOT NULL,
    first_malformed_line BIGINT, dropped_points BIGINT NOT NULL, truncated VARCHAR, collapsed_tags VARCHAR NOT NULL
);
CREATE TABLE metrics (
    run_id VARCHAR NOT NULL, name VARCHAR NOT NULL, type VARCHAR NOT NULL, contains VARCHAR NOT NULL,
    submetrics VARCHAR NOT NULL, stats VARCHAR
);
CREATE TABLE series (
    run_id VARCHAR NOT NULL, id BIGINT NOT NULL, metric VARCHAR NOT NULL, tags VARCHAR NOT NULL,
    n BIGINT NOT NULL, sum DOUBLE PRECISION NOT NULL, min DOUBLE PRECISION NOT NULL, max DOUBLE PRECISION NOT NULL,
    nonzero BIGINT NOT NULL, first_at TIMESTAMP WITH TIME ZONE NOT NULL, last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last DOUBLE PRECISION NOT NULL
);
CREATE TABLE thresholds (
    run_id VARCHAR NOT NULL, metric VARCHAR NOT NULL, source VARCHAR NOT NULL, ok BOOLEAN, abort_on_fail BOOLEAN NOT NULL
);
CREATE TABLE summary_values (
    run_id VARCHAR NOT NULL, metric VARCHAR NOT NULL, stat VARCHAR NOT NULL, value DOUBLE PRECISION NOT NULL
);
CREATE TABLE measurements (
    run_id VARCHAR NOT NULL, service VARCHAR, sli VARCHAR NOT NULL, stat VARCHAR NOT NULL, include VARCHAR NOT NULL,
    rule_version INTEGER NOT NULL,
    n BIGINT NOT NULL, "count" BIGINT, value DOUBLE PRECISION, unit VARCHAR NOT NULL, ci_low DOUBLE PRECISION,
    ci_high DOUBLE PRECISION, ci_method VARCHAR, value_ok DOUBLE PRECISION, n_ok BIGINT, problem VARCHAR
);
CREATE TABLE verdicts (
    run_id VARCHAR NOT NULL, phase VARCHAR NOT NULL, config_digest VARCHAR NOT NULL, rule_version INTEGER NOT NULL,
    verdict VARCHAR NOT NULL, judged_at TIMESTAMP WITH TIME ZONE NOT NULL, document VARCHAR NOT NULL
);
CREATE TABLE slo_configs (
    digest VARCHAR NOT NULL, source VARCHAR NOT NULL, seen_at TIMESTAMP WITH TIME ZONE NOT NULL, document VARCHAR NOT NULL
);
