-- Several keys and certificates of one authority. The row in authorities is the key that signs certificates now, with its
-- newest certificate; here are all that it has had, cross-certificates among them. Keys are counted: an authority has one
-- row for each only when it has had more than one.
CREATE TABLE authority_keys (
    authority TEXT NOT NULL REFERENCES authorities (name),
    generation INTEGER NOT NULL CHECK (generation > 0),
    key_identifier BLOB NOT NULL UNIQUE,
    -- The newest certificate of this key.
    certificate BLOB NOT NULL,
    PRIMARY KEY (authority, generation)
) STRICT;

-- Earlier certificates of a key, and certificates that others gave it or that it gave others.
CREATE TABLE authority_certificates (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    authority TEXT NOT NULL REFERENCES authorities (name),
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('earlier', 'given', 'received')),
    certificate BLOB NOT NULL,
    UNIQUE (authority, generation, kind, certificate)
) STRICT;

ALTER TABLE certificates ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE revocations ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
