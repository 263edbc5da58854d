-- What the health is of: a hash of the address that is probed and of what is asked there. NULL where it is not known, as in
-- rows of before.
ALTER TABLE health ADD COLUMN target TEXT;
