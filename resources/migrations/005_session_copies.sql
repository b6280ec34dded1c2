-- What several servers that use a session in turn know of each other's directories. Every row of a file says on whose
-- disk its facts are; what another one's disk has is kept when that changes, so that it can tell what was deleted or
-- written elsewhere since from what is new on its own disk.
ALTER TABLE power.session_files ADD COLUMN home uuid;
UPDATE power.session_files f SET home = h.home FROM power.session_homes h WHERE h.principal = f.principal AND h.session_id = f.session_id;
UPDATE power.session_files SET home = '00000000-0000-0000-0000-000000000000' WHERE home IS NULL;
ALTER TABLE power.session_files ALTER COLUMN home SET NOT NULL;

-- A file as it was on that disk when its row changed hands or was deleted elsewhere; gone when that server has followed.
CREATE TABLE power.session_copies (
    principal   text NOT NULL,
    session_id  text NOT NULL,
    home        uuid NOT NULL,
    path        text NOT NULL,
    path_key    text GENERATED ALWAYS AS (md5(path)) STORED,
    size        bigint NOT NULL,
    mode        int NOT NULL,
    sha256      text NOT NULL, -- refers to nothing: only for comparing
    modified_ns bigint NOT NULL,
    changed_ns  bigint NOT NULL,
    inode       bigint NOT NULL,
    since       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, session_id, home, path_key)
);
CREATE INDEX session_copies_since ON power.session_copies (since);
