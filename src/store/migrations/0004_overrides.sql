-- What operators decided, for as long as it holds: about `backend:api-dijon-1` or `site:dijon`. It may be about what the
-- inventory does not have (any more), so it refers to nothing.
CREATE TABLE overrides (
    target TEXT PRIMARY KEY,
    action TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    set_by TEXT    NOT NULL,
    set_at INTEGER NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
