-- Classes of readers: who may read documents of a class, up to which classification (RFC 2634 section 3.2).
CREATE TABLE reader_classes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    policy TEXT NOT NULL
) STRICT;

CREATE TABLE reader_class_members (
    class INTEGER NOT NULL REFERENCES reader_classes (id),
    person INTEGER NOT NULL REFERENCES people (id),
    clearance INTEGER NOT NULL CHECK (clearance BETWEEN 0 AND 5),
    PRIMARY KEY (class, person)
) STRICT;

-- A number is taken before its list is signed and is never used again.
CREATE TABLE reader_class_lists (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    issued_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;
