-- What was true where a run ran, what may be overlooked for a while, and what gates decided, with all it rested on.
-- A gate's decision is a record: it stays when its runs are deleted.
ALTER TABLE runs ADD COLUMN facts VARCHAR;
CREATE TABLE gate_decisions (
    id VARCHAR NOT NULL, phase VARCHAR NOT NULL, version VARCHAR NOT NULL, environment VARCHAR, decision VARCHAR NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL, document VARCHAR NOT NULL, evidence VARCHAR NOT NULL
);
CREATE TABLE waivers (
    id VARCHAR NOT NULL, service VARCHAR, about VARCHAR NOT NULL, phase VARCHAR, version VARCHAR, owner VARCHAR NOT NULL,
    reason VARCHAR NOT NULL, created_at TIMESTAMP WITH TIME ZONE NOT NULL, expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE
);
