-- Up Migration
ALTER TABLE orders ADD COLUMN note text;
ALTER TABLE orders ALTER COLUMN amount SET NOT NULL;

-- Down Migration
ALTER TABLE orders ALTER COLUMN amount DROP NOT NULL;
ALTER TABLE orders DROP COLUMN note;
