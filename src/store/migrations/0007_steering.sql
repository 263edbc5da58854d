-- What operators did about the source: `suspend`, `rollback`, `resume` or `allow`, and the revision that it was about. The
-- last of the first three says whether the source is followed.
CREATE TABLE steps (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    act      TEXT    NOT NULL,
    revision TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    taken_by TEXT    NOT NULL
) STRICT;
