-- Small things by name, such as the revision that `sites`, `services` and `backends` are of.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Contents of inventory files, each once.
CREATE TABLE blobs (
    id     INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    bytes  BLOB NOT NULL
) STRICT;

-- One row for each time that the newest revision became another one; a revision that comes back has two.
CREATE TABLE revisions (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL,
    author       TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    committed_at INTEGER NOT NULL,
    read_at      INTEGER NOT NULL,
    accepted     INTEGER NOT NULL CHECK (accepted IN (0, 1)),
    errors       INTEGER NOT NULL,
    first_error  TEXT    NOT NULL
) STRICT;
CREATE INDEX revisions_accepted ON revisions (seq) WHERE accepted = 1;

-- A file belongs to the revisions from `first_seq` to `last_seq`, or up to the newest one where that is NULL. A commit
-- changes few files, so it adds few rows: 500 revisions of 30,000 files would be 15 million rows with one row for each
-- file of each revision.
CREATE TABLE revision_files (
    path      TEXT    NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER,
    blob      INTEGER NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (path, first_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX revision_files_blob ON revision_files (blob);

-- What is served now.
CREATE TABLE sites (
    name    TEXT PRIMARY KEY,
    subnets TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE services (
    name    TEXT PRIMARY KEY,
    domains TEXT NOT NULL,
    paths   TEXT NOT NULL,
    state   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE backends (
    name        TEXT PRIMARY KEY,
    service     TEXT    NOT NULL REFERENCES services (name),
    site        TEXT    NOT NULL REFERENCES sites (name),
    upstream    TEXT    NOT NULL,
    weight      INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    origin      TEXT    NOT NULL,
    verdict     TEXT    NOT NULL,
    in_rotation INTEGER NOT NULL CHECK (in_rotation IN (0, 1)),
    reason      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX backends_service ON backends (service);
CREATE INDEX backends_site ON backends (site);

-- What is known of each backend. It is written before and after a backend is in `backends`, so it refers to nothing.
-- `hours` is a JSON list of [hour since 1970, passes, fails], oldest first.
CREATE TABLE health (
    backend         TEXT PRIMARY KEY,
    verdict         TEXT    NOT NULL,
    since           INTEGER,
    passes          INTEGER NOT NULL,
    fails           INTEGER NOT NULL,
    last_at         INTEGER,
    last_latency_ns INTEGER,
    last_outcome    TEXT,
    hours           TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE transitions (
    id      INTEGER PRIMARY KEY,
    backend TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    before  TEXT    NOT NULL,
    after   TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;
CREATE INDEX transitions_backend ON transitions (backend, id);
CREATE INDEX transitions_at ON transitions (at);

-- Rendered configurations, each once, and the edges that they were rendered for.
CREATE TABLE configs (
    digest TEXT PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;

CREATE TABLE renders (
    id         INTEGER PRIMARY KEY,
    edge       TEXT    NOT NULL,
    digest     TEXT    NOT NULL REFERENCES configs (digest),
    revision   TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    UNIQUE (edge, digest)
) STRICT;
CREATE INDEX renders_edge ON renders (edge, id);
CREATE INDEX renders_digest ON renders (digest);

CREATE TABLE applies (
    id          INTEGER PRIMARY KEY,
    edge        TEXT    NOT NULL,
    digest      TEXT    NOT NULL,
    revision    TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    "trigger"   TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    message     TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL
) STRICT;
CREATE INDEX applies_edge ON applies (edge, id);
CREATE INDEX applies_served ON applies (edge, id) WHERE outcome IN ('applied', 'unchanged');
