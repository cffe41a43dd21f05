-- The log also tells of what is no person, card, certificate or request: its topic, in words (domain/audit.rs). A CHECK
-- cannot be changed, so the table is made anew under its own name.
DROP INDEX events_by_card;
DROP INDEX events_by_serial;
DROP INDEX events_by_person;
DROP INDEX events_by_request;
DROP INDEX events_by_time;
ALTER TABLE events RENAME TO narrow_events;

CREATE TABLE events (
    sequence INTEGER NOT NULL PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    card INTEGER REFERENCES cards (id),
    serial BLOB REFERENCES certificates (serial),
    person INTEGER REFERENCES people (id),
    request INTEGER REFERENCES requests (id),
    topic TEXT,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    CHECK (
        (card IS NOT NULL) + (serial IS NOT NULL) + (person IS NOT NULL) + (request IS NOT NULL) + (topic IS NOT NULL) = 1
    )
) STRICT;

INSERT INTO events (sequence, at, actor, card, serial, person, request, kind, detail, previous, hash)
    SELECT sequence, at, actor, card, serial, person, request, kind, detail, previous, hash
    FROM narrow_events ORDER BY sequence;

DROP TABLE narrow_events;

CREATE INDEX events_by_card ON events (card, sequence) WHERE card IS NOT NULL;
CREATE INDEX events_by_serial ON events (serial, sequence) WHERE serial IS NOT NULL;
CREATE INDEX events_by_person ON events (person, sequence) WHERE person IS NOT NULL;
CREATE INDEX events_by_request ON events (request, sequence) WHERE request IS NOT NULL;
CREATE INDEX events_by_topic ON events (topic, sequence) WHERE topic IS NOT NULL;
CREATE INDEX events_by_time ON events (at);

-- Public keys that sign checkpoints: SubjectPublicKeyInfo, named by its SHA-256 in hex.
CREATE TABLE audit_keys (
    id TEXT NOT NULL PRIMARY KEY,
    public_key BLOB NOT NULL,
    since TEXT NOT NULL
) STRICT;

-- What was signed about the log in the transaction of its newest events (domain/checkpoint.rs).
CREATE TABLE checkpoints (
    size INTEGER NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;
