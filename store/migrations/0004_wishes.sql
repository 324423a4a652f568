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
