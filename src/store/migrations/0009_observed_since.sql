-- When the first of the results was counted that `hours` goes on from; none in what was written before, which knows the hour.
ALTER TABLE health ADD COLUMN counted_since INTEGER;
