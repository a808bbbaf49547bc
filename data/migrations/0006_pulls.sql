-- What a Prometheus answered to questions about a run. The series of an answer are rows of `series` with the id of the
-- question in `pull`; those of k6 have none.
CREATE TABLE pulls (
    run_id VARCHAR NOT NULL, id VARCHAR NOT NULL, source VARCHAR NOT NULL, promql VARCHAR NOT NULL, step_s DOUBLE,
    service VARCHAR, name VARCHAR, "at" DOUBLE, state VARCHAR NOT NULL, start_at TIMESTAMP WITH TIME ZONE NOT NULL,
    end_at TIMESTAMP WITH TIME ZONE NOT NULL, pulled_at TIMESTAMP WITH TIME ZONE NOT NULL, problem VARCHAR,
    again BOOLEAN NOT NULL, warnings VARCHAR NOT NULL, place VARCHAR NOT NULL
);
ALTER TABLE series ADD COLUMN pull VARCHAR;
