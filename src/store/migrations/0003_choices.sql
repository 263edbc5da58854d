-- What a plan chose for a service: a tier (`site:dijon`, `tag:ssd`) or a backend (`backend:api-dijon-1`).
ALTER TABLE services ADD COLUMN choice TEXT;
