-- Raw files, once for each content, and the revisions that they belong to.
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    bytes  BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE revisions (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    author       TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    committed_at INTEGER NOT NULL,
    read_at      INTEGER NOT NULL,
    accepted     INTEGER NOT NULL,
    errors       INTEGER NOT NULL,
    first_error  TEXT
);

CREATE TABLE revision_files (
    revision TEXT NOT NULL REFERENCES revisions (id) ON DELETE CASCADE,
    path     TEXT NOT NULL,
    digest   TEXT NOT NULL REFERENCES blobs (digest),
    PRIMARY KEY (revision, path)
) WITHOUT ROWID;
CREATE INDEX revision_files_by_digest ON revision_files (digest);

-- What is served now.
CREATE TABLE sites (
    name    TEXT PRIMARY KEY,
    subnets TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE services (
    name    TEXT PRIMARY KEY,
    domains TEXT NOT NULL,
    paths   TEXT NOT NULL,
    serving TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE backends (
    name        TEXT PRIMARY KEY,
    service     TEXT    NOT NULL,
    site        TEXT    NOT NULL,
    upstream    TEXT    NOT NULL,
    weight      INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    origin      TEXT    NOT NULL,
    verdict     TEXT    NOT NULL,
    in_rotation INTEGER NOT NULL,
    reason      TEXT
) WITHOUT ROWID;

-- What is known of each backend: verdict, counters, newest sample, availability by hour.
CREATE TABLE health (
    backend    TEXT PRIMARY KEY,
    verdict    TEXT    NOT NULL,
    since      INTEGER,
    passes     INTEGER NOT NULL,
    fails      INTEGER NOT NULL,
    last_at    INTEGER,
    latency_us INTEGER,
    outcome    TEXT,
    hours      TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE transitions (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    backend TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    before  TEXT    NOT NULL,
    after   TEXT    NOT NULL,
    reason  TEXT    NOT NULL
);
CREATE INDEX transitions_by_backend ON transitions (backend, seq);

-- Every configuration that was rendered for an edge, and every pass that was made over one.
CREATE TABLE renders (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    edge       TEXT    NOT NULL,
    digest     TEXT    NOT NULL REFERENCES blobs (digest),
    revision   TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    at         INTEGER NOT NULL
);
CREATE INDEX renders_by_edge ON renders (edge, seq);
CREATE INDEX renders_by_digest ON renders (digest);

CREATE TABLE applies (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    edge        TEXT    NOT NULL,
    digest      TEXT    NOT NULL,
    revision    TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    trigger     TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    message     TEXT,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL
);
CREATE INDEX applies_by_edge ON applies (edge, seq);
