-- Only when no release that writes moods runs any more.
ALTER TABLE notes DROP COLUMN IF EXISTS mood;
