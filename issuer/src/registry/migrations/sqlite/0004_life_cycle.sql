-- The life cycle: states that are found by index, requests, plans, and a log whose events hold each other together.
-- What is computed (keys of search, snapshots, hashes) is filled in by the program right after this, in one transaction:
-- registry/adoption.rs reads legacy_events and drops it.

-- A search key is the text in lower case and Normalization Form C, so that both databases compare alike.
ALTER TABLE people ADD COLUMN employed_until TEXT;
ALTER TABLE people ADD COLUMN left_at TEXT;
ALTER TABLE people ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN mail_key TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN staff_id_key TEXT;

CREATE INDEX people_by_name ON people (name_key, id);
CREATE INDEX people_by_mail ON people (mail_key, id);
CREATE INDEX people_by_staff_id ON people (staff_id_key, id) WHERE staff_id_key IS NOT NULL;

-- Later words of names, and what people were called before: a search finds them by their beginnings too.
CREATE TABLE people_words (
    word TEXT NOT NULL,
    person INTEGER NOT NULL REFERENCES people (id),
    PRIMARY KEY (word, person)
) STRICT, WITHOUT ROWID;

CREATE INDEX people_words_by_person ON people_words (person);

-- Names, addresses and identifiers, those of before too, by any three characters in a row; rowid is the person.
CREATE VIRTUAL TABLE people_text
    USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1');

-- The snapshot is the state as its events tell it; the columns beside it are what it is found by.
ALTER TABLE cards ADD COLUMN state TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE cards ADD COLUMN since TEXT NOT NULL DEFAULT '';
ALTER TABLE cards ADD COLUMN live INTEGER NOT NULL DEFAULT 0 CHECK (live IN (0, 1, 2));
ALTER TABLE cards ADD COLUMN snapshot TEXT NOT NULL DEFAULT '{}';

-- The holder now stays after the card's end; live is 1 while somebody has the card, 2 while it is being made for somebody.
DROP INDEX one_live_card_per_person;
CREATE UNIQUE INDEX one_live_card_per_person ON cards (holder, live) WHERE live > 0;
CREATE INDEX cards_by_holder ON cards (holder, id) WHERE holder IS NOT NULL;
CREATE INDEX cards_by_state ON cards (state, id);

ALTER TABLE certificates ADD COLUMN state TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE certificates ADD COLUMN snapshot TEXT NOT NULL DEFAULT '{}';
ALTER TABLE certificates ADD COLUMN subject_key TEXT NOT NULL DEFAULT '';

CREATE INDEX certificates_of_nobody ON certificates (not_before) WHERE holder IS NULL;

CREATE TABLE requests (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('renewal', 'replacement', 'revocation')),
    holder INTEGER NOT NULL REFERENCES people (id),
    card INTEGER REFERENCES cards (id),
    why TEXT NOT NULL,
    state TEXT NOT NULL,
    since TEXT NOT NULL,
    pending INTEGER NOT NULL CHECK (pending IN (0, 1)),
    snapshot TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_pending_request_of_a_kind ON requests (holder, kind) WHERE pending = 1;
CREATE INDEX requests_by_state ON requests (pending, id);

-- The audit log, each event with the hash of the one before (domain/audit.rs).
DROP INDEX events_by_card;
DROP INDEX events_by_serial;
ALTER TABLE events RENAME TO legacy_events;

CREATE TABLE events (
    sequence INTEGER NOT NULL PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    card INTEGER REFERENCES cards (id),
    serial BLOB REFERENCES certificates (serial),
    person INTEGER REFERENCES people (id),
    request INTEGER REFERENCES requests (id),
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    CHECK ((card IS NOT NULL) + (serial IS NOT NULL) + (person IS NOT NULL) + (request IS NOT NULL) = 1)
) STRICT;

CREATE INDEX events_by_card ON events (card, sequence) WHERE card IS NOT NULL;
CREATE INDEX events_by_serial ON events (serial, sequence) WHERE serial IS NOT NULL;
CREATE INDEX events_by_person ON events (person, sequence) WHERE person IS NOT NULL;
CREATE INDEX events_by_request ON events (request, sequence) WHERE request IS NOT NULL;
CREATE INDEX events_by_time ON events (at);

-- Where the log ends. Whoever writes an event holds this row.
CREATE TABLE event_chain (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

INSERT INTO event_chain (only_row, sequence, hash) VALUES (1, 0, zeroblob(32));

-- The plan of an attempt, and its steps in the order in which they were written down.
CREATE TABLE plans (
    card INTEGER NOT NULL REFERENCES cards (id),
    attempt INTEGER NOT NULL,
    plan TEXT NOT NULL,
    PRIMARY KEY (card, attempt)
) STRICT;

ALTER TABLE journal RENAME TO legacy_journal;

CREATE TABLE journal (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    card INTEGER NOT NULL REFERENCES cards (id),
    attempt INTEGER NOT NULL,
    step TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('intended', 'confirmed')),
    at TEXT NOT NULL,
    detail TEXT,
    UNIQUE (card, attempt, step, phase)
) STRICT;

INSERT INTO journal (card, attempt, step, phase, at)
    SELECT card, attempt, step, phase, at FROM legacy_journal ORDER BY rowid;

DROP TABLE legacy_journal;
