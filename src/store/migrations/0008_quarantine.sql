-- The services of an accepted revision that stayed as they were served before, or out: a JSON list. Its files are those that
-- were served then. And the same of each edge, for what its Caddy refused.
ALTER TABLE revisions ADD COLUMN quarantine TEXT NOT NULL DEFAULT '[]';
CREATE TABLE edge_quarantine (
    edge     TEXT NOT NULL,
    service  TEXT NOT NULL,
    since    INTEGER NOT NULL,
    revision TEXT NOT NULL,
    kept     TEXT,
    refused  TEXT NOT NULL,
    message  TEXT NOT NULL,
    PRIMARY KEY (edge, service)
) STRICT, WITHOUT ROWID;
