-- How often a backend went down lately (thousandths of a flip, as of a moment), and until when it is held down for it.
ALTER TABLE health ADD COLUMN flap_score INTEGER NOT NULL DEFAULT 0;
ALTER TABLE health ADD COLUMN flap_at INTEGER;
ALTER TABLE health ADD COLUMN held_until INTEGER;
