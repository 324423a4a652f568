package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
)

// DeliveryCmd is about deliveries.
type DeliveryCmd struct {
	List  DeliveryListCmd  `cmd:"" help:"List deliveries, newest first."`
	Show  DeliveryShowCmd  `cmd:"" help:"Show a delivery."`
	Retry DeliveryRetryCmd `cmd:"" help:"Free deliveries that wait for a person, or show the same once more."`
	Drop  DeliveryDropCmd  `cmd:"" help:"Give a delivery up."`
}

// DeliveryListCmd lists deliveries.
type DeliveryListCmd struct {
	Status      []string `help:"pending, delivered, parked, unknown, paused, digested or dropped." group:"filter" values:"pending,delivered,parked,unknown,paused,digested,dropped"`
	Destination string   `help:"Destination." group:"filter"`
	Incident    string   `help:"Incident, as INC-42." group:"filter"`
	Behind      bool     `help:"Only those that do not show the newest revision." group:"filter"`
	Limit       int      `help:"At most so many." default:"50" group:"filter"`
}

// Run lists deliveries.
func (c *DeliveryListCmd) Run(ctx context.Context, e *env) error {
	q := query("status", strings.Join(c.Status, ","), "destination", c.Destination, "incident", c.Incident)
	if c.Behind {
		q.Set("behind", "true")
	}
	return e.withClient(ctx, func(cl *api.Client) error {
		t := newTable("id", "destination", "status", "reference", "shown/wanted", "updated", "trouble").
			cut("destination", 16).wrap().below("trouble", "reference").drop("shown/wanted")
		fetch := func(q url.Values) ([]notify.Delivery, error) {
			var list api.DeliveryList
			err := cl.Do(ctx, "GET", "/v1/deliveries", q, nil, &list)
			if n := len(list.Deliveries); n > 0 {
				q.Set("after_at", list.Deliveries[n-1].CreatedAt.Format(timeFormat))
				q.Set("after_id", list.Deliveries[n-1].ID)
			}
			return list.Deliveries, err
		}
		n, err := pages(e, c.Limit, fetch, q, func(d notify.Delivery) error {
			if e.JSON {
				return e.object(d)
			}
			t.row(d.ID, d.Destination, string(d.Status), d.Reference, fmt.Sprintf("%d/%d", d.Done, d.Wanted), e.moment(d.UpdatedAt), troubleOf(d))
			return nil
		})
		if err != nil {
			return err
		}
		return e.list(t, n, "no deliveries here")
	})
}

func troubleOf(d notify.Delivery) string {
	if d.Fault == nil {
		return ""
	}
	return d.Fault.Message
}

// DeliveryShowCmd shows one.
type DeliveryShowCmd struct {
	ID string `arg:"" help:"Delivery id."`
}

func deliveryPath(id string) string { return "/v1/deliveries/" + url.PathEscape(id) }

// Run shows a delivery.
func (c *DeliveryShowCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var d notify.Delivery
		if err := cl.Do(ctx, "GET", deliveryPath(c.ID), nil, nil, &d); err != nil {
			return err
		}
		if e.JSON {
			return e.object(d)
		}
		e.delivery(d)
		return nil
	})
}

func (e *env) delivery(d notify.Delivery) {
	next := ""
	if d.Armed && !d.NextAt.IsZero() {
		next = e.when(d.NextAt)
	}
	e.printf("%s  %s  %s\n", d.ID, clean(d.Destination), d.Status)
	e.pairs("subject", string(d.Kind)+" "+d.Subject, "reference", d.Reference, "link", d.URL,
		"shown", fmt.Sprintf("revision %d of %d", d.Done, d.Wanted), "last shown", e.when(d.DoneAt),
		"attempts", fmt.Sprintf("%d, %s in a row", d.Attempts, plural(d.Failures, "failure")), "next", next)
	for _, w := range d.Warnings {
		e.pairs("left out", w)
	}
	if f := d.Fault; f != nil {
		e.printf("\nerror: %s\n", clean(f.Message))
		if f.Safe != "" {
			e.printf("safe:  %s\n", clean(f.Safe))
		}
		if f.Hint != "" {
			e.printf("hint:  %s\n", clean(f.Hint))
		}
		if d.Status == notify.Parked || d.Status == notify.Unknown {
			e.printf("then:  guardroom delivery retry %s\n", d.ID)
		}
	}
}

// DeliveryRetryCmd frees one.
type DeliveryRetryCmd struct {
	ID          string   `arg:"" optional:"" help:"Delivery id."`
	Destination string   `help:"All of this destination, instead of one."`
	Status      []string `help:"Of a destination, those that are so: parked or unknown." default:"parked,unknown" values:"parked,unknown"`
}

// Help shows examples.
func (DeliveryRetryCmd) Help() string {
	return "Of one that is unknown this says that you looked and found nothing: it is created anew.\n\n" +
		"Examples:\n  guardroom delivery retry 01k2wxk7n5s6p4q3r2t1v0w9xy\n  guardroom delivery retry --destination jira --status parked"
}

// Run retries a delivery, or all of a destination that wait for a person. Of one
// that is unknown this says that a person looked and found nothing: it is
// created anew.
func (c *DeliveryRetryCmd) Run(ctx context.Context, e *env) error {
	if (c.ID == "") == (c.Destination == "") {
		return fault.New(fault.Usage, "name either one delivery or --destination", "guardroom delivery list --status parked,unknown")
	}
	if c.Destination != "" {
		return c.many(ctx, e)
	}
	return e.withClient(ctx, func(cl *api.Client) error {
		var d notify.Delivery
		if err := cl.Do(ctx, "POST", deliveryPath(c.ID)+"/retry", nil, nil, &d); err != nil {
			return err
		}
		if e.JSON {
			return e.object(d)
		}
		e.printf("%s to %s is %s again\n", d.ID, clean(d.Destination), d.Status)
		return e.whoDelivers(ctx, cl)
	})
}

func (c *DeliveryRetryCmd) many(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var told api.Told
		body := map[string]any{"destination": c.Destination, "status": c.Status}
		if err := cl.Do(ctx, "POST", "/v1/deliveries/retry", nil, body, &told); err != nil {
			return err
		}
		if err := e.told(told); err != nil || e.JSON || told.Count == 0 {
			return err
		}
		return e.whoDelivers(ctx, cl)
	})
}

// whoDelivers says so when nobody delivers now.
func (e *env) whoDelivers(ctx context.Context, cl *api.Client) error {
	var s api.Status
	if err := cl.Do(ctx, "GET", "/v1/status", nil, nil, &s); err != nil {
		return err
	}
	if !s.Delivering && len(s.Workers) == 0 {
		e.say("note: no service runs now; the next guardroom serve delivers")
	}
	return nil
}

// DeliveryDropCmd gives one up.
type DeliveryDropCmd struct {
	ID  string `arg:"" help:"Delivery id."`
	Why string `required:"" help:"Reason, for the audit record."`
}

// Run drops a delivery.
func (c *DeliveryDropCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var d notify.Delivery
		if err := cl.Do(ctx, "POST", deliveryPath(c.ID)+"/drop", nil, api.Why{Why: c.Why}, &d); err != nil {
			return err
		}
		if e.JSON {
			return e.object(d)
		}
		e.printf("%s to %s is %s; guardroom delivery retry takes it up again\n", d.ID, clean(d.Destination), d.Status)
		return nil
	})
}
