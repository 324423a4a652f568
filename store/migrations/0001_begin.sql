-- Everything guardroom keeps. Times are microseconds since 1970 in UTC; 0 means none.
-- {{blob}}, {{seq}}, {{key}}, {{keyed}}, {{numbers}} differ between the databases.
-- A {{keyed}} table is read by its key and stored in its order.

-- Incident numbers: a table on SQLite, a sequence on PostgreSQL, where a row
-- would be one lock for all that open incidents at the same time.
{{numbers}};

-- The newest revision of each finding.
CREATE TABLE findings (
  id             TEXT PRIMARY KEY,
  arn            TEXT NOT NULL,
  type           TEXT NOT NULL,
  account_id     TEXT NOT NULL,
  region         TEXT NOT NULL,
  severity       DOUBLE PRECISION NOT NULL,
  title          TEXT NOT NULL,
  resource_kind  TEXT NOT NULL,
  resource_id    TEXT NOT NULL,
  updated_at     BIGINT NOT NULL,
  count          BIGINT NOT NULL,
  first_seen     BIGINT NOT NULL,
  last_seen      BIGINT NOT NULL,
  first_received BIGINT NOT NULL,
  last_received  BIGINT NOT NULL,
  archived       INTEGER NOT NULL,
  sample         INTEGER NOT NULL,
  decision       TEXT NOT NULL,
  rule           TEXT NOT NULL,
  incident       BIGINT NOT NULL,
  revisions      BIGINT NOT NULL,
  source         TEXT NOT NULL,
  detector_id    TEXT NOT NULL,
  archived_by_us INTEGER NOT NULL DEFAULT 0,
  confirmed      INTEGER NOT NULL DEFAULT 0,
  archived_confirmed INTEGER NOT NULL DEFAULT 0
);
-- Lists are sorted by reception; each filter that people use has its own way in.
CREATE INDEX findings_received ON findings (last_received, id);
CREATE INDEX findings_account ON findings (account_id, last_received, id);
CREATE INDEX findings_type ON findings (type, last_received, id);
CREATE INDEX findings_region ON findings (region, last_received, id);
CREATE INDEX findings_incident ON findings (incident, last_received, id);
CREATE INDEX findings_quiet ON findings (decision, last_received, id) WHERE decision <> 'incident';
CREATE INDEX findings_arn ON findings (arn, id);

-- Every revision of every finding, with the decision about it.
CREATE TABLE revisions (
  seq         {{seq}},
  finding_id  TEXT NOT NULL,
  updated_at  BIGINT NOT NULL,
  count       BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  source      TEXT NOT NULL,
  position    TEXT NOT NULL,
  freshness   TEXT NOT NULL,
  decision    TEXT NOT NULL,
  severity    DOUBLE PRECISION NOT NULL,
  trace       TEXT NOT NULL,
  digest      {{blob}} NOT NULL,
  raw         {{blob}}
);
CREATE UNIQUE INDEX revisions_key ON revisions (finding_id, updated_at, count);
-- What retention has not emptied yet, by age.
CREATE INDEX revisions_raw ON revisions (received_at, seq) WHERE raw IS NOT NULL;

CREATE TABLE incidents (
  number        {{key}},
  id            TEXT NOT NULL UNIQUE,
  state         TEXT NOT NULL,
  severity      DOUBLE PRECISION NOT NULL,
  verdict       TEXT NOT NULL,
  sample        INTEGER NOT NULL,
  silent        INTEGER NOT NULL,
  account_id    TEXT NOT NULL,
  region        TEXT NOT NULL,
  owner         TEXT NOT NULL,
  opened_at     BIGINT NOT NULL,
  updated_at    BIGINT NOT NULL,
  last_activity BIGINT NOT NULL,
  closed_at     BIGINT NOT NULL,
  revision      BIGINT NOT NULL,
  merged_into   BIGINT NOT NULL,
  body          TEXT NOT NULL
);
CREATE INDEX incidents_state ON incidents (state, number);
-- Lists walk this index alone, whatever they filter by: it is small beside the
-- rows, so that a filter with few matches stays fast as well.
CREATE INDEX incidents_list ON incidents (number, state, severity, account_id, region, owner, sample, opened_at);
CREATE INDEX incidents_closed ON incidents (closed_at) WHERE closed_at > 0;

-- A merge key belongs to one incident at a time; at is the last activity under it.
CREATE TABLE merge_keys (
  key      TEXT PRIMARY KEY,
  incident BIGINT NOT NULL,
  at       BIGINT NOT NULL
){{keyed}};
CREATE INDEX merge_keys_incident ON merge_keys (incident);
CREATE TABLE actor_keys (
  key      TEXT NOT NULL,
  incident BIGINT NOT NULL,
  at       BIGINT NOT NULL,
  PRIMARY KEY (key, incident)
){{keyed}};
CREATE INDEX actor_keys_at ON actor_keys (key, at, incident);
-- Which attack sequence names which finding.
CREATE TABLE sequence_members (
  finding_arn TEXT PRIMARY KEY,
  incident    BIGINT NOT NULL
){{keyed}};

CREATE TABLE timeline (
  incident    BIGINT NOT NULL,
  seq         BIGINT NOT NULL,
  event_at    BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  kind        TEXT NOT NULL,
  who         TEXT NOT NULL,
  text        TEXT NOT NULL,
  from_value  TEXT NOT NULL,
  to_value    TEXT NOT NULL,
  PRIMARY KEY (incident, seq)
){{keyed}};

-- The state of one subject (an incident, a digest, a notice) in one destination.
CREATE TABLE deliveries (
  id          TEXT PRIMARY KEY,
  kind        TEXT NOT NULL,
  subject     TEXT NOT NULL,
  destination TEXT NOT NULL,
  wanted      BIGINT NOT NULL,
  done        BIGINT NOT NULL,
  armed       INTEGER NOT NULL,
  generation  BIGINT NOT NULL,
  status      TEXT NOT NULL,
  attempts    BIGINT NOT NULL,
  failures    BIGINT NOT NULL,
  wanted_at   BIGINT NOT NULL,
  done_at     BIGINT NOT NULL,
  next_at     BIGINT NOT NULL,
  failing_since BIGINT NOT NULL,
  worker      TEXT NOT NULL,
  claimed_at  BIGINT NOT NULL,
  state       TEXT NOT NULL,
  reference   TEXT NOT NULL,
  url         TEXT NOT NULL,
  error       TEXT NOT NULL,
  warnings    TEXT NOT NULL,
  spacing     BIGINT NOT NULL,
  urgent      INTEGER NOT NULL,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL
){{keyed}};
CREATE UNIQUE INDEX deliveries_subject ON deliveries (subject, destination);
CREATE INDEX deliveries_created ON deliveries (created_at, id);
CREATE INDEX deliveries_destination ON deliveries (destination, created_at, id);
CREATE INDEX deliveries_status ON deliveries (status, created_at, id);
CREATE INDEX deliveries_count ON deliveries (destination, status);
CREATE INDEX deliveries_behind ON deliveries (created_at, id) WHERE done < wanted;
CREATE INDEX deliveries_armed ON deliveries (worker, claimed_at) WHERE armed = 1;

CREATE TABLE digests (
  id          TEXT PRIMARY KEY,
  destination TEXT NOT NULL,
  opened_at   BIGINT NOT NULL,
  revision    BIGINT NOT NULL,
  incidents   BIGINT NOT NULL,
  body        TEXT NOT NULL
);
CREATE INDEX digests_destination ON digests (destination, opened_at);

CREATE TABLE notices (
  id          TEXT PRIMARY KEY,
  key         TEXT NOT NULL,
  revision    BIGINT NOT NULL,
  opened_at   BIGINT NOT NULL,
  resolved_at BIGINT NOT NULL,
  body        TEXT NOT NULL
);
CREATE INDEX notices_key ON notices (key, opened_at);
CREATE INDEX notices_open ON notices (opened_at, id) WHERE resolved_at = 0;

CREATE TABLE audit (
  seq    {{key}},
  at     BIGINT NOT NULL,
  who    TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  before TEXT NOT NULL,
  after  TEXT NOT NULL,
  why    TEXT NOT NULL,
  prev   TEXT NOT NULL,
  hash   TEXT NOT NULL
);
CREATE TABLE audit_head (
  one  INTEGER PRIMARY KEY,
  seq  BIGINT NOT NULL,
  hash TEXT NOT NULL
);
INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, '');

CREATE TABLE rejected (
  id         TEXT PRIMARY KEY,
  at         BIGINT NOT NULL,
  source     TEXT NOT NULL,
  position   TEXT NOT NULL,
  reason     TEXT NOT NULL,
  size       BIGINT NOT NULL,
  body       {{blob}} NOT NULL
);
CREATE INDEX rejected_at ON rejected (at);

CREATE TABLE ignored (
  source      TEXT NOT NULL,
  detail_type TEXT NOT NULL,
  count       BIGINT NOT NULL,
  last_at     BIGINT NOT NULL,
  PRIMARY KEY (source, detail_type)
);

CREATE TABLE cursors (
  name       TEXT PRIMARY KEY,
  value      TEXT NOT NULL,
  updated_at BIGINT NOT NULL
);

CREATE TABLE sources (
  name       TEXT PRIMARY KEY,
  first_at   BIGINT NOT NULL,
  last_event BIGINT NOT NULL,
  last_look  BIGINT NOT NULL,
  error      TEXT NOT NULL
);

CREATE TABLE workers (
  id         TEXT PRIMARY KEY,
  mode       TEXT NOT NULL,
  version    TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  heartbeat  BIGINT NOT NULL
);

CREATE TABLE destinations (
  name      TEXT PRIMARY KEY,
  paused_at BIGINT NOT NULL,
  who       TEXT NOT NULL,
  reason    TEXT NOT NULL,
  hint      TEXT NOT NULL
);

CREATE TABLE suppressions (
  name       TEXT PRIMARY KEY,
  matches    BIGINT NOT NULL,
  last_match BIGINT NOT NULL
);
