-- Where the key of a certificate came from, and what the card said of it: by the SHA-256 of its SubjectPublicKeyInfo, so
-- that a renewed certificate of the same key has it too. Statement, issuer and root are certificates in DER.
CREATE TABLE key_origins (
    public_key BLOB NOT NULL PRIMARY KEY CHECK (length(public_key) = 32),
    card INTEGER NOT NULL REFERENCES cards (id),
    card_key TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('attested', 'attested by an emulated card', 'generated', 'injected')),
    statement BLOB,
    issuer BLOB,
    root BLOB,
    at TEXT NOT NULL,
    CHECK ((statement IS NULL) = (origin IN ('generated', 'injected'))),
    CHECK ((statement IS NULL) = (issuer IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX key_origins_by_card ON key_origins (card);

-- What is done to a card after it was issued: begun once, gone on with until it is done. run counts who goes on with it:
-- whoever began earlier is overtaken. A plan is JSON without secrets.
CREATE TABLE operations (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    card INTEGER NOT NULL REFERENCES cards (id),
    kind TEXT NOT NULL CHECK (kind IN ('renewal', 'unblock', 'wipe')),
    plan TEXT NOT NULL,
    run INTEGER NOT NULL,
    begun_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;

CREATE UNIQUE INDEX one_open_operation_of_a_card ON operations (card) WHERE ended_at IS NULL;
CREATE INDEX operations_by_card ON operations (card, id);

-- The journal of an operation, as that of personalisation.
CREATE TABLE operation_steps (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    operation INTEGER NOT NULL REFERENCES operations (id),
    step TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('intended', 'confirmed')),
    at TEXT NOT NULL,
    detail TEXT,
    UNIQUE (operation, step, phase)
) STRICT;

-- Requests for a remote unblock that were answered: each once. The identifier is the request's own, random.
CREATE TABLE remote_unblocks (
    nonce BLOB NOT NULL PRIMARY KEY CHECK (length(nonce) = 16),
    card INTEGER NOT NULL REFERENCES cards (id),
    puk_version INTEGER NOT NULL,
    answered_at TEXT NOT NULL,
    confirmed_at TEXT
) STRICT, WITHOUT ROWID;
