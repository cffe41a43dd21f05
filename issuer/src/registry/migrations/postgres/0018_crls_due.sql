-- Authorities of which certificates were revoked, held or released since their CRLs were signed last; the revision grows with
-- every such change, so that CRLs that were signed before one do not count for it.
CREATE TABLE crls_due (
    authority TEXT NOT NULL REFERENCES authorities (name),
    generation BIGINT NOT NULL,
    since TEXT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (authority, generation)
);
