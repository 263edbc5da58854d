-- What happened to layers as a whole: about `site:dijon`, `tunnel:dijon` or `prober`. What happened to backends is in
-- `transitions`.
CREATE TABLE events (
    id       INTEGER PRIMARY KEY,
    subject  TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    before   TEXT    NOT NULL,
    after    TEXT    NOT NULL,
    cause    TEXT    NOT NULL,
    backends INTEGER NOT NULL
) STRICT;
CREATE INDEX events_subject ON events (subject, id);
CREATE INDEX events_at ON events (at);
