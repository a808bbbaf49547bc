-- The outbox of messages about changes of state, each to one receiver, and the state that was told last of each subject.
-- A receiver is its name in slo.yaml: its address, which holds secrets, is never stored.
CREATE TABLE notifications (
    id VARCHAR NOT NULL, created_at TIMESTAMP WITH TIME ZONE NOT NULL, receiver VARCHAR NOT NULL,
    document VARCHAR NOT NULL, state VARCHAR NOT NULL, attempts INTEGER NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE, last_error VARCHAR
);
CREATE TABLE told_states (
    subject VARCHAR NOT NULL, state VARCHAR NOT NULL, "at" TIMESTAMP WITH TIME ZONE NOT NULL
);
