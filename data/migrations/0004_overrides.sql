-- Who let a version through although the gate was shut. A record, as the decision is.
CREATE TABLE gate_overrides (
    gate_id VARCHAR NOT NULL, "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" TIMESTAMP WITH TIME ZONE NOT NULL
);
