-- What guardroom still has to archive in GuardDuty.
CREATE INDEX findings_to_archive ON findings (id) WHERE archived_by_us = 1 AND archived = 0;
