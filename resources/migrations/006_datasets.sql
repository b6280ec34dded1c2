-- The rows of datasets lie in tables of a schema of their own; what agents query are views in a schema of each principal,
-- made with its reading role (server/datasets/ReadingRole.cpp).
CREATE SCHEMA power_data;
ALTER TABLE power.datasets ADD COLUMN format text NOT NULL DEFAULT '';
-- One name, one dataset. The original allowed several of one name: the newest keeps it.
UPDATE power.datasets d SET name = left(d.name, 48) || '_' || left(d.id::text, 8)
  FROM (SELECT id, row_number() OVER (PARTITION BY principal, name ORDER BY created_at DESC, id) AS n FROM power.datasets) again
 WHERE again.id = d.id AND again.n > 1;
DROP INDEX power.datasets_name;
CREATE UNIQUE INDEX datasets_name ON power.datasets (principal, name);
