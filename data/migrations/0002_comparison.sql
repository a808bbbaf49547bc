-- What later runs are compared with: profiles of measurements, whether runs can be believed and what they were made of,
-- and what people decided about them. Everything but decisions can be made again; those lie beside the blocks, too.
ALTER TABLE measurements ADD COLUMN profile VARCHAR;
CREATE TABLE assessments (
    run_id VARCHAR NOT NULL, rule_version INTEGER NOT NULL, doubt VARCHAR, shape VARCHAR NOT NULL
);
CREATE TABLE decisions (
    run_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" TIMESTAMP WITH TIME ZONE NOT NULL
);
