-- Up to which event the checkpoint went that was published in a directory: one that is no longer there is missed.
ALTER TABLE publication_targets ADD COLUMN checkpoint BIGINT;
