package store

import (
	"context"
	"fmt"

	"github.com/guardroom/guardroom/audit"
)

type pendingAudit = audit.Record

// Audit adds a record to the chain. Its number, time and hashes are given at
// the end of the transaction, because the head of the chain is locked last.
func (tx *Tx) Audit(r audit.Record) {
	if r.At.IsZero() {
		r.At = tx.now
	}
	tx.audit = append(tx.audit, r)
}

func (tx *Tx) flushAudit(ctx context.Context) error {
	if len(tx.audit) == 0 {
		return nil
	}
	var head audit.Head
	if err := tx.row(ctx, "SELECT seq, hash FROM audit_head WHERE one = 1 FOR UPDATE").Scan(&head.Seq, &head.Hash); err != nil {
		return fmt.Errorf("read the head of the audit chain: %w", err)
	}
	var b batch
	for _, r := range tx.audit {
		r = r.Seal(head)
		b.add(r.Seq, micros(r.At), r.Who, r.Action, r.Object, r.Before, r.After, r.Why, r.Prev, r.Hash)
		head = audit.Head{Seq: r.Seq, Hash: r.Hash}
	}
	if err := b.flush(ctx, tx.q, tx.db.auditRows); err != nil {
		return fmt.Errorf("write the audit records up to %d: %w", head.Seq, err)
	}
	if _, err := tx.exec(ctx, "UPDATE audit_head SET seq = $1, hash = $2 WHERE one = 1", head.Seq, head.Hash); err != nil {
		return fmt.Errorf("write the head of the audit chain: %w", err)
	}
	tx.audit = nil
	return nil
}

// AuditHead returns the end of the chain as the store knows it.
func (db *DB) AuditHead(ctx context.Context) (audit.Head, error) {
	h := audit.Head{At: db.now()}
	err := db.read().row(ctx, "SELECT seq, hash FROM audit_head WHERE one = 1").Scan(&h.Seq, &h.Hash)
	if err != nil {
		return h, fmt.Errorf("read the head of the audit chain: %w", err)
	}
	return h, nil
}

// AuditRecords calls yield with the records after the number `after`, in
// order, at most limit of them (0: all), until yield returns false.
func (db *DB) AuditRecords(ctx context.Context, after int64, limit int, yield func(audit.Record) bool) error {
	const page = 1000
	for left := limit; ; {
		n := page
		if limit > 0 {
			n = min(page, left)
		}
		if n == 0 {
			return nil
		}
		records, err := db.auditPage(ctx, after, n)
		if err != nil {
			return fmt.Errorf("read the audit chain: %w", err)
		}
		for _, r := range records {
			if !yield(r) {
				return nil
			}
			after = r.Seq
		}
		left -= len(records)
		if len(records) < n {
			return nil
		}
	}
}

func (db *DB) auditPage(ctx context.Context, after int64, n int) ([]audit.Record, error) {
	return db.auditList(ctx, "WHERE seq > $1 ORDER BY seq LIMIT $2", after, n)
}

func (db *DB) auditList(ctx context.Context, where string, args ...any) ([]audit.Record, error) {
	rows, err := db.read().query(ctx, "SELECT seq, at, who, action, object, before, after, why, prev, hash FROM audit "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []audit.Record
	for rows.Next() {
		var r audit.Record
		var at int64
		if err := rows.Scan(&r.Seq, &at, &r.Who, &r.Action, &r.Object, &r.Before, &r.After, &r.Why, &r.Prev, &r.Hash); err != nil {
			return nil, err
		}
		r.At = timeOf(at)
		out = append(out, r)
	}
	return out, rows.Err()
}

// AuditOf lists the records about an object, the oldest first. It reads the whole
// table: it is for what people ask, not for what happens by itself.
func (db *DB) AuditOf(ctx context.Context, object string) ([]audit.Record, error) {
	list, err := db.auditList(ctx, "WHERE object = $1 ORDER BY seq", object)
	if err != nil {
		return nil, fmt.Errorf("read the audit chain about %s: %w", object, err)
	}
	return list, nil
}

// VerifyAudit checks the whole chain against itself and against the heads that
// were written down outside, and shows each record to see, in order. Records that
// are appended meanwhile are not looked at. Heads must be read before the call, or
// one that is written meanwhile would look like a cut tail.
func (db *DB) VerifyAudit(ctx context.Context, heads []audit.Head, see ...func(audit.Record)) (audit.Report, error) {
	head, err := db.AuditHead(ctx)
	if err != nil {
		return audit.Report{}, err
	}
	v := audit.NewVerifier(1, "", heads)
	var beyond *audit.Record
	err = db.AuditRecords(ctx, 0, 0, func(r audit.Record) bool {
		if r.Seq > head.Seq {
			beyond = &r
			return false
		}
		v.Add(r)
		for _, f := range see {
			f(r)
		}
		return true
	})
	if err != nil {
		return audit.Report{}, err
	}
	if beyond != nil {
		// Appended meanwhile, or the head was set back by hand.
		now, err := db.AuditHead(ctx)
		if err != nil {
			return audit.Report{}, err
		}
		if now.Seq < beyond.Seq {
			v.Add(*beyond)
		}
	}
	return v.Report(head), nil
}
