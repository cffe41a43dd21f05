-- The log also tells of what is no person, card, certificate or request: its topic, in words (domain/audit.rs).
ALTER TABLE events ADD COLUMN topic TEXT COLLATE "C";
ALTER TABLE events DROP CONSTRAINT events_check;
ALTER TABLE events ADD CONSTRAINT events_check CHECK (num_nonnulls(card, serial, person, request, topic) = 1);

CREATE INDEX events_by_topic ON events (topic, sequence) WHERE topic IS NOT NULL;

-- Public keys that sign checkpoints: SubjectPublicKeyInfo, named by its SHA-256 in hex.
CREATE TABLE audit_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    public_key BYTEA NOT NULL,
    since TEXT COLLATE "C" NOT NULL
);

-- What was signed about the log in the transaction of its newest events (domain/checkpoint.rs).
CREATE TABLE checkpoints (
    size BIGINT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
);
