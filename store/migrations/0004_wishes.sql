-- Plans that a route wants to be made, once GuardDuty has confirmed the finding.
CREATE TABLE plan_wishes (
  incident BIGINT NOT NULL,
  playbook TEXT NOT NULL,
  finding  TEXT NOT NULL,
  at       BIGINT NOT NULL,
  next_at  BIGINT NOT NULL,
  tries    INTEGER NOT NULL,
  why      TEXT NOT NULL,
  done     INTEGER NOT NULL,
  PRIMARY KEY (incident, playbook)
){{keyed}};
CREATE INDEX plan_wishes_due ON plan_wishes (next_at) WHERE done = 0;

-- What GuardDuty itself last said of a finding, as it said it: responses begin
-- from this, whatever came by a queue.
CREATE TABLE confirmed_findings (
  id         TEXT PRIMARY KEY,
  updated_at BIGINT NOT NULL,
  count      BIGINT NOT NULL,
  raw        {{blob}} NOT NULL
);
