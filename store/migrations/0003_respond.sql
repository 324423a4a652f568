-- Responses. What people and the engine look for is a column; the rest is in the body.

-- A plan: its canonical bytes, the description it was made from, and what people decided.
CREATE TABLE plans (
  id         TEXT PRIMARY KEY,
  incident   BIGINT NOT NULL,
  target     TEXT NOT NULL,
  state      TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  body       TEXT NOT NULL,
  canonical  {{blob}} NOT NULL,
  image      {{blob}} NOT NULL
);
-- Ids rise with time, so lists are in their order.
CREATE INDEX plans_list ON plans (id, state);
CREATE INDEX plans_incident ON plans (incident, id, state);
CREATE INDEX plans_target ON plans (target, id, state);
CREATE INDEX plans_waiting ON plans (expires_at, id) WHERE state = 'waiting';

-- A run. version rises with everything that happens in it; epoch with every worker that takes it.
CREATE TABLE runs (
  id         TEXT PRIMARY KEY,
  plan       TEXT NOT NULL,
  incident   BIGINT NOT NULL,
  target     TEXT NOT NULL,
  account    TEXT NOT NULL,
  class      TEXT NOT NULL,
  state      TEXT NOT NULL,
  worker     TEXT NOT NULL,
  epoch      BIGINT NOT NULL,
  version    BIGINT NOT NULL,
  aborted_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  ended_at   BIGINT NOT NULL,
  next_check BIGINT NOT NULL,
  contained  INTEGER NOT NULL,
  body       TEXT NOT NULL
);
CREATE INDEX runs_list ON runs (id, state);
CREATE INDEX runs_incident ON runs (incident, id, state);
CREATE INDEX runs_target ON runs (target, id, state);
CREATE INDEX runs_plan ON runs (plan);
CREATE INDEX runs_class ON runs (account, class, created_at);
CREATE INDEX runs_created ON runs (created_at, class);
CREATE INDEX runs_open ON runs (id) WHERE state IN ('queued', 'running');
CREATE INDEX runs_checks ON runs (next_check, id) WHERE next_check > 0;

-- The targets of runs that have not ended: one run at a time for each.
CREATE TABLE run_targets (
  target TEXT PRIMARY KEY,
  run    TEXT NOT NULL
){{keyed}};
CREATE INDEX run_targets_run ON run_targets (run);

-- The journal of a run: the newest record of each step that was begun. seq is the
-- version of the run when it was begun, version that of its last change.
CREATE TABLE steps (
  run     TEXT NOT NULL,
  name    TEXT NOT NULL,
  seq     BIGINT NOT NULL,
  version BIGINT NOT NULL,
  state   TEXT NOT NULL,
  body    TEXT NOT NULL,
  PRIMARY KEY (run, name)
){{keyed}};
CREATE INDEX steps_begun ON steps (run, seq);
CREATE INDEX steps_changed ON steps (run, version);

-- What was sent to a run. seq is the version of the run that it made.
CREATE TABLE run_messages (
  run   TEXT NOT NULL,
  topic TEXT NOT NULL,
  seq   BIGINT NOT NULL,
  at    BIGINT NOT NULL,
  body  TEXT NOT NULL,
  PRIMARY KEY (run, topic, seq)
){{keyed}};

-- The switch that stops every response at once.
CREATE TABLE respond_switch (
  one INTEGER PRIMARY KEY,
  off INTEGER NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  at  BIGINT NOT NULL
);
INSERT INTO respond_switch (one, off, who, why, at) VALUES (1, 0, '', '', 0);

-- What runs opened and must be closed; a row goes when it is.
CREATE TABLE owed (
  id        TEXT PRIMARY KEY,
  run       TEXT NOT NULL,
  due       BIGINT NOT NULL,
  expires   INTEGER NOT NULL,
  retry_at  BIGINT NOT NULL,
  opened_at BIGINT NOT NULL,
  body      TEXT NOT NULL
);
CREATE INDEX owed_run ON owed (run, opened_at, id);
CREATE INDEX owed_opened ON owed (opened_at, id);

CREATE TABLE evidence (
  run           TEXT NOT NULL,
  id            TEXT NOT NULL,
  incident      BIGINT NOT NULL,
  created_at    BIGINT NOT NULL,
  working_until BIGINT NOT NULL,
  body          TEXT NOT NULL,
  PRIMARY KEY (run, id)
);
CREATE INDEX evidence_incident ON evidence (incident, created_at, run, id);
CREATE INDEX evidence_working ON evidence (working_until, run, id) WHERE working_until > 0;

CREATE TABLE gaps (
  incident BIGINT NOT NULL,
  run      TEXT NOT NULL,
  what     TEXT NOT NULL,
  why      TEXT NOT NULL,
  PRIMARY KEY (incident, run, what)
){{keyed}};

-- The chain of custody: lines are only added. digest is over the line, so that
-- one that is told again is not added again.
CREATE TABLE custody (
  seq      {{seq}},
  incident BIGINT NOT NULL,
  run      TEXT NOT NULL,
  at       BIGINT NOT NULL,
  digest   {{blob}} NOT NULL,
  body     TEXT NOT NULL
);
CREATE UNIQUE INDEX custody_digest ON custody (incident, run, digest);
CREATE INDEX custody_at ON custody (incident, at, seq);

-- Sealed manifests: a revision is written once.
CREATE TABLE manifests (
  incident BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  at       BIGINT NOT NULL,
  digest   TEXT NOT NULL,
  bytes    {{blob}} NOT NULL,
  PRIMARY KEY (incident, revision)
);

-- Personal API tokens; only their SHA-256 is kept.
CREATE TABLE tokens (
  name       TEXT PRIMARY KEY,
  role       TEXT NOT NULL,
  hash       {{blob}} NOT NULL UNIQUE,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT NOT NULL,
  last_used  BIGINT NOT NULL
);
