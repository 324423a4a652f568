package app

import (
	"context"
	"slices"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/store"
)

// notices lets guardroom speak about itself, by a destination that is not the
// one spoken about.
type notices struct {
	store  *store.DB
	engine enqueuer
	newID  func() string
	to     []string // watch.to
	all    []string // every destination, in the configured order
}

// open opens a notice and its deliveries, unless one with its key is open.
func (n *notices) open(ctx context.Context, tx *store.Tx, notice store.Notice, about string) error {
	notice.ID = n.newID()
	notice, isNew, err := tx.OpenNotice(ctx, notice)
	if err != nil || !isNew {
		return err
	}
	tx.Audit(audit.Record{Who: incident.Guardroom, Action: "notice.opened", Object: "notice/" + notice.ID, After: notice.Key, Why: notice.Message})
	r := raiser{store: n.store, engine: n.engine, newID: n.newID, tx: tx}
	for _, name := range n.targets(about) {
		if err := r.open(ctx, r.newDelivery(message.KindNotice, notice.ID, name), notice.Revision, "guardroom speaks about itself"); err != nil {
			return err
		}
	}
	return nil
}

// targets are the destinations for a notice about another one: those that are
// configured for it, else the first one that is not spoken about.
func (n *notices) targets(about string) []string {
	to := slices.DeleteFunc(slices.Clone(n.to), func(s string) bool { return s == about })
	if len(to) > 0 {
		return to
	}
	for _, name := range n.all {
		if name != about {
			return []string{name}
		}
	}
	return nil
}

// resolve resolves the open notice with this key, everywhere.
func (n *notices) resolve(ctx context.Context, key string) error {
	return n.store.Write(ctx, func(tx *store.Tx) error {
		r := raiser{store: n.store, engine: n.engine, newID: n.newID, tx: tx}
		notice, ok, err := resolve(ctx, tx, r, key)
		if err == nil && ok {
			tx.Audit(audit.Record{Who: incident.Guardroom, Action: "notice.resolved", Object: "notice/" + notice.ID, After: key})
		}
		return err
	})
}
