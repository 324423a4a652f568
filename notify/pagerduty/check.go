package pagerduty

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// Check implements notify.Notifier. The Events API offers nothing to read, so
// in mode events only the form of the key is checked, and the result says so.
func (n *Notifier) Check(ctx context.Context) []notify.Finding {
	if n.rest == nil {
		return []notify.Finding{{
			OK: true, What: "routing key",
			Message: "the key has the right form; whether PagerDuty knows it cannot be read, only tried: guardroom destination test " + escape.Visible(n.cfg.Destination),
		}}
	}
	return n.rest.check(ctx, n.cfg.Priorities)
}

func (r *rest) check(ctx context.Context, configured map[string]string) []notify.Finding {
	var out []notify.Finding
	var service struct {
		Service struct {
			Name   string `json:"name"`
			Status string `json:"status"`
		} `json:"service"`
	}
	err := r.get(ctx, "/services/"+url.PathEscape(r.service), "read the service", &service)
	reason := ""
	if err != nil {
		reason = notify.AsError(err).Reason
	}
	switch reason {
	case "", "not_found":
		out = append(out, notify.Finding{OK: true, What: "token", Message: "PagerDuty takes the token"})
	case "auth":
		return append(out, notify.Finding{What: "token", Message: err.Error(), Hint: "set api_token to a REST API key of the account"})
	default:
		return append(out, notify.Finding{What: "token", Message: err.Error(), Hint: "check rest_url, region and the network"})
	}
	what := "service " + escape.Visible(r.service)
	switch {
	case err != nil:
		out = append(out, notify.Finding{What: what, Message: err.Error(), Hint: "set service_id to the id at the end of the service's address in PagerDuty"})
	case service.Service.Status == "disabled":
		out = append(out, notify.Finding{What: what, Message: "the service is disabled and pages nobody", Hint: "enable it in PagerDuty"})
	default:
		out = append(out, notify.Finding{OK: true, What: what, Message: "found: " + escape.CutEnd(escape.Visible(service.Service.Name), 100)})
	}
	return append(out, r.checkFrom(ctx), r.checkPriorities(ctx, configured))
}

func (r *rest) checkFrom(ctx context.Context) notify.Finding {
	f := notify.Finding{What: "from " + escape.Visible(r.from), Hint: "set from to the e-mail address of a user of the account"}
	var list struct {
		Users []struct {
			Email string `json:"email"`
		} `json:"users"`
	}
	if err := r.get(ctx, "/users?query="+url.QueryEscape(r.from), "look for the user", &list); err != nil {
		f.Message = err.Error()
		return f
	}
	for _, u := range list.Users {
		if strings.EqualFold(u.Email, r.from) {
			return notify.Finding{OK: true, What: f.What, Message: "a user of the account"}
		}
	}
	f.Message = "no user of the account has this address"
	return f
}

func (r *rest) checkPriorities(ctx context.Context, configured map[string]string) notify.Finding {
	f := notify.Finding{What: "priorities", Hint: "set priorities to names of the account, or leave it; incidents are then created without"}
	ids, err := r.listPriorities(ctx)
	if err != nil {
		f.Message = err.Error()
		return f
	}
	var missing []string
	for b := finding.Low; b <= finding.Critical; b++ {
		if name := priorityName(configured, b); name != "" && ids[strings.ToLower(name)] == "" {
			missing = append(missing, fmt.Sprintf("%s for %s", escape.Visible(name), b))
		}
	}
	if len(missing) > 0 {
		f.Message = "the account has no priority " + strings.Join(missing, ", ")
		return f
	}
	return notify.Finding{OK: true, What: f.What, Message: "the account has all of them"}
}
