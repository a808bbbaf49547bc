-- Of each pair of queries for an error budget, by their digest: how many events were good in the five minutes before
-- `until_s` (seconds since 1970, UTC), and how many there were. A row without numbers was asked for, and there were none.
CREATE TABLE budget_buckets (
    digest VARCHAR NOT NULL, until_s BIGINT NOT NULL, good DOUBLE PRECISION, total DOUBLE PRECISION
);
