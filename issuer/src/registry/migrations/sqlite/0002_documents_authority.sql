-- One more authority: for the certificates of services around documents. A CHECK cannot be changed, so the table is made
-- anew under its own name; certificates, revocations and CRLs refer to its rows, which are all there again at the end.
PRAGMA defer_foreign_keys = ON;

CREATE TEMPORARY TABLE kept_authorities AS SELECT rowid AS place, name, certificate FROM authorities;

DROP TABLE authorities;

CREATE TABLE authorities (
    name TEXT NOT NULL PRIMARY KEY CHECK (name IN ('root', 'people', 'servers', 'documents')),
    certificate BLOB NOT NULL
) STRICT;

INSERT INTO authorities (name, certificate) SELECT name, certificate FROM kept_authorities ORDER BY place;

DROP TABLE kept_authorities;
