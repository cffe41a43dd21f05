-- Who may do what at the desk: roles bound to the key of one card, which a challenge proves (domain/operator.rs). Who was
-- an operator stays here, because the log and approvals name them.
CREATE TABLE operators (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    person INTEGER NOT NULL REFERENCES people (id),
    serial BLOB NOT NULL REFERENCES certificates (serial),
    key_hash BLOB NOT NULL CHECK (length(key_hash) = 32),
    roles TEXT NOT NULL,
    added_at TEXT NOT NULL,
    removed_at TEXT
) STRICT;

CREATE UNIQUE INDEX one_operator_per_person ON operators (person) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX one_operator_per_key ON operators (key_hash) WHERE removed_at IS NULL;

-- Acts for which a second operator is needed, asked for and answered (domain/approval.rs).
CREATE TABLE approvals (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    act TEXT NOT NULL,
    details TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    why TEXT NOT NULL,
    requester INTEGER NOT NULL REFERENCES operators (id),
    state TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    pending INTEGER NOT NULL CHECK (pending IN (0, 1)),
    snapshot TEXT NOT NULL
) STRICT;

CREATE INDEX approvals_by_digest ON approvals (digest, pending);
CREATE INDEX approvals_by_state ON approvals (pending, id);

-- What the desk has agreed on, by name.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
