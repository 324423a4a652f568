package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/store/postgres"
)

// What a worker had in hand when it was lost is taken over in one of three ways.
// The only process of a store takes up its own at its start (recover). Where
// several share it, the worker that has the name of the lost one takes it up as
// soon as no session of the lost one is left (earlier), and any other one when
// the lease is over (takeOver).

// keep sees to it that this process holds its name; stop ends it when another
// one has that.
func (w *watcher) keep(ctx context.Context, stop context.CancelCauseFunc) error {
	taken, err := w.keepName(ctx)
	switch {
	case errors.Is(err, postgres.ErrNameTaken):
		w.log.Error("this worker's name is another's now; it stops", "worker", w.worker.ID, "error", err, "hint", "its supervisor starts it again under another name")
		stop(err)
		return nil
	case err == nil && taken:
		w.log.Warn("the session that held this worker's name was lost; it holds it again", "worker", w.worker.ID)
	}
	return err
}

// recover arms anew what this worker had in hand when it last ended: nobody
// else works on that, and the engine's own record of it may be gone.
func (w *watcher) recover(ctx context.Context) error {
	if w.ended != nil {
		return w.earlier(ctx)
	}
	n, err := w.takeUp(ctx, nil, func(tx *store.Tx) ([]notify.Delivery, error) { return tx.ClaimedBy(ctx, w.worker.ID) })
	if err == nil && n > 0 {
		w.log.Info("took up deliveries that were under way", "count", n)
	}
	return err
}

// earlier takes up what earlier runs of this worker, whose name it has, left in
// hand, and forgets them. A run that still has a session may be in a call, with
// or without its name: it is left alone until it ends or its lease is over.
func (w *watcher) earlier(ctx context.Context) error {
	workers, err := w.store.Workers(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{} // by id: has it ended?
	var failed error
	ended := func(id string) bool {
		o := store.Worker{ID: id}
		if id == w.worker.ID || o.Name() != w.worker.Name() {
			return false
		}
		if is, ok := known[id]; ok {
			return is
		}
		is, err := w.ended(ctx, o.Run())
		failed = errors.Join(failed, err)
		known[id] = is && err == nil
		return known[id]
	}
	var list, claimants []string
	for _, o := range workers {
		if ended(o.ID) {
			list = append(list, o.ID)
		}
	}
	claims, err := w.store.Claimants(ctx)
	if err != nil {
		return err
	}
	for _, id := range claims {
		if ended(id) {
			claimants = append(claimants, id)
		}
	}
	left, err := w.engine.Abandoned(func(executor string) bool { return !ended(executor) })
	if err == nil {
		err = w.takeOverRuns(ctx, func(executor string) bool { return !ended(executor) })
	}
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	if len(list)+len(claimants)+len(left) == 0 {
		return nil
	}
	n, err := w.takeUp(ctx, left, func(tx *store.Tx) (all []notify.Delivery, err error) {
		for _, id := range claimants {
			claimed, err := tx.ClaimedBy(ctx, id)
			if err != nil {
				return nil, err
			}
			all = append(all, claimed...)
		}
		return all, nil
	})
	if err != nil {
		return err
	}
	if n > 0 {
		w.log.Info("took up deliveries that were under way", "count", n)
	}
	for _, id := range list {
		if err := w.store.Gone(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// takeOver arms anew what a worker had in hand whose lease is over, and what its
// engine had taken from a queue without beginning it. Its calls have ended by
// then: their deadline is shorter than lease plus call.
func (w *watcher) takeOver(ctx context.Context) error {
	before := w.now().Add(-w.lease - w.call)
	workers, err := w.store.Workers(ctx)
	if err != nil {
		return err
	}
	alive := func(executor string) bool {
		return slices.ContainsFunc(workers, func(o store.Worker) bool { return o.ID == executor && !o.Heartbeat.Before(before) })
	}
	if err := w.takeOverRuns(ctx, alive); err != nil {
		return err
	}
	left, err := w.engine.Abandoned(alive)
	if err != nil {
		return err
	}
	n, err := w.takeUp(ctx, left, func(tx *store.Tx) ([]notify.Delivery, error) { return tx.Orphans(ctx, before, batch) })
	if err == nil && n > 0 {
		w.log.Warn("took over deliveries of a lost worker", "count", n)
	}
	return err
}

// takeUp arms anew the deliveries that claimed returns, and those of items that
// an engine left, where they still count; the items are discarded.
func (w *watcher) takeUp(ctx context.Context, left []durable.Abandoned, claimed func(tx *store.Tx) ([]notify.Delivery, error)) (n int, err error) {
	err = w.store.Write(ctx, func(tx *store.Tx) error {
		list, err := claimed(tx)
		if err != nil {
			return err
		}
		for _, item := range left {
			d, err := tx.Delivery(ctx, item.Delivery)
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return err
			case d.Armed && d.Generation == item.Generation && !slices.ContainsFunc(list, func(o notify.Delivery) bool { return o.ID == d.ID }):
				list = append(list, d)
			}
		}
		n = len(list)
		return w.rearm(ctx, tx, list)
	})
	if err != nil {
		return 0, err
	}
	return n, w.engine.Discard(left)
}

// recoverRuns arms anew the runs that this worker had in hand when it last
// ended, for the same reasons as deliveries.
func (w *watcher) recoverRuns(ctx context.Context) error {
	if w.ended != nil {
		return nil // earlier runs of this worker are looked for with the others
	}
	list, err := w.store.OpenRuns(ctx)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(r respond.RunRow) bool { return r.Worker != w.worker.ID })
	return w.runs.takeUp(ctx, list)
}

// takeOverRuns gives the runs of workers that are lost, or have ended, a new
// generation, which fences the lost one, and has any worker take them.
func (w *watcher) takeOverRuns(ctx context.Context, alive func(executor string) bool) error {
	// The items before the rows: the row of every item that is discarded below was
	// there when the rows were read.
	left, err := w.engine.AbandonedRuns(alive)
	if err != nil {
		return err
	}
	list, err := w.store.OpenRuns(ctx)
	if err != nil {
		return err
	}
	lost := slices.DeleteFunc(slices.Clone(list), func(r respond.RunRow) bool { return r.Worker == "" || r.Worker == w.worker.ID || alive(r.Worker) })
	for _, item := range left {
		// Taken from the queue and not begun.
		at := slices.IndexFunc(list, func(r respond.RunRow) bool { return string(r.ID) == item.Run && r.Generation == item.Generation })
		if at >= 0 && !slices.ContainsFunc(lost, func(r respond.RunRow) bool { return r.ID == list[at].ID }) {
			lost = append(lost, list[at])
		}
	}
	if err := w.runs.takeUp(ctx, lost); err != nil {
		return err
	}
	if len(lost) > 0 {
		w.log.Warn("took over runs of a lost worker", "count", len(lost))
	}
	return w.engine.DiscardRuns(left)
}

// forgetAfter is how long a lost worker is spoken of: a machine that was replaced
// never comes back under its name.
const forgetAfter = 24 * time.Hour

// lookWorkers tells when a worker is lost, by its name, and when one of that
// name works again.
func (w *watcher) lookWorkers(ctx context.Context) error {
	workers, err := w.store.Workers(ctx)
	if err != nil {
		return err
	}
	const prefix = "worker/"
	alive := map[string]bool{w.worker.Name(): true}
	lost := map[string]bool{}
	for _, o := range workers { // the newest heartbeat first
		name, silent := o.Name(), w.now().Sub(o.Heartbeat)
		if silent > max(forgetAfter, 2*(w.lease+w.call)) {
			if err := w.store.Gone(ctx, o.ID); err != nil {
				return err
			}
			continue
		}
		if o.Mode != string(ModeServe) || alive[name] || lost[name] {
			continue
		}
		if silent <= w.lease+w.call {
			alive[name] = true
			continue
		}
		lost[name] = true
		n := store.Notice{Key: prefix + name, Topic: string(message.LostWorker), Subject: name,
			Message: fmt.Sprintf("no heartbeat for %s", silent.Round(time.Second)), Safe: "its deliveries are taken over", Hint: "start it again"}
		if err := w.state(ctx, n, "", true); err != nil {
			return err
		}
	}
	open, err := w.store.OpenNotices(ctx)
	if err != nil {
		return err
	}
	for _, n := range open {
		if name, is := strings.CutPrefix(n.Key, prefix); is && !lost[name] {
			if err := w.notices.resolve(ctx, n.Key); err != nil {
				return err
			}
		}
	}
	return nil
}
