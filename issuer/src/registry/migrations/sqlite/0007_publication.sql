-- Publication: where things are published, and what of it has not been done yet. A row of the outbox is written in the
-- transaction of the change that it makes known; it names what is to be brought into the state of the registry, so that
-- doing it twice does no harm and changes that follow each other are done at once.
CREATE TABLE publication_targets (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    place TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL,
    added_at TEXT NOT NULL,
    -- Certificates that expired before this were taken out.
    swept_until TEXT NOT NULL,
    reached_at TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    retry_at TEXT,
    trouble TEXT
) STRICT;

-- The subject is a mail address in lower case, or the name of an authority. The revision grows with every change that
-- comes before the row is done: who did an older one leaves the row.
CREATE TABLE publication_outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    target INTEGER NOT NULL REFERENCES publication_targets (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('address', 'authority')),
    subject TEXT NOT NULL,
    revision INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    retry_at TEXT,
    trouble TEXT,
    UNIQUE (target, kind, subject)
) STRICT;

CREATE INDEX certificates_by_mail ON certificates (lower(mail)) WHERE mail IS NOT NULL;

-- The newest CRL of each partition, and the newest deltas, by the name of their file; the complete one of all is in crls.
CREATE TABLE crl_parts (
    authority TEXT NOT NULL REFERENCES authorities (name),
    file TEXT NOT NULL,
    number INTEGER NOT NULL,
    crl BLOB NOT NULL,
    PRIMARY KEY (authority, file)
) STRICT;
