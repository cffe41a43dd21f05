-- A row has two certificates, and WITHOUT ROWID keeps no more than a quarter of a page of each in its tree: the rest of every
-- row took a page of its own (14 KB for each card, of which nothing was used).
CREATE TABLE key_origins_in_rows (
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
) STRICT;

INSERT INTO key_origins_in_rows (public_key, card, card_key, origin, statement, issuer, root, at)
SELECT public_key, card, card_key, origin, statement, issuer, root, at FROM key_origins ORDER BY card, public_key;

DROP TABLE key_origins;

ALTER TABLE key_origins_in_rows RENAME TO key_origins;

CREATE INDEX key_origins_by_card ON key_origins (card);
