-- What a run counts as for the hourly caps: a plan over several resources counts
-- each of them.
CREATE TABLE run_counts (
  run        TEXT NOT NULL,
  class      TEXT NOT NULL,
  account    TEXT NOT NULL,
  n          BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (run, class)
){{keyed}};
CREATE INDEX run_counts_class ON run_counts (account, class, created_at, n);
CREATE INDEX run_counts_created ON run_counts (created_at, class, n);
INSERT INTO run_counts (run, class, account, n, created_at) SELECT id, class, account, 1, created_at FROM runs WHERE id > '';
