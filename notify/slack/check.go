package slack

import (
	"context"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// Check implements notify.Notifier. A webhook offers nothing to read.
func (n *Notifier) Check(ctx context.Context) []notify.Finding {
	if n.byWebhook() {
		return []notify.Finding{{OK: true, What: "webhook",
			Message: "a webhook makes a new message per change, without edits and threads; whether Slack knows it cannot be read, only tried: guardroom destination test " + escape.Visible(n.cfg.Destination)}}
	}
	who, scopes, f := n.client.authTest(ctx)
	if f != nil {
		hint := f.out.Hint
		if hint == "" {
			hint = "check api_url and the network"
		}
		return []notify.Finding{{What: "token", Message: f.out.Error(), Hint: hint}}
	}
	out := []notify.Finding{{OK: true, What: "token", Message: "Slack takes the token: " + short(who.User) + " in " + short(who.Team)}}
	if scopes == nil {
		out = append(out, notify.Finding{OK: true, What: "scopes", Message: "Slack does not say which scopes the token has"})
	} else if !slices.Contains(scopes, "chat:write") {
		out = append(out, notify.Finding{What: "scope chat:write", Message: "the token may not post", Hint: "add chat:write to the app and install it again"})
	} else {
		out = append(out, notify.Finding{OK: true, What: "scope chat:write", Message: "the token may post"})
	}
	out = append(out, n.checkChannel(ctx, n.cfg.Channel, scopes)...)
	if n.cfg.Fallback != "" {
		out = append(out, n.checkChannel(ctx, n.cfg.Fallback, scopes)...)
	}
	return out
}

func short(s string) string { return escape.CutEnd(escape.Visible(s), 80) }

// checkChannel says whether the channel can be posted to, and whether a message
// could be found there after a crash.
func (n *Notifier) checkChannel(ctx context.Context, target string, scopes []string) []notify.Finding {
	f := notify.Finding{What: "channel " + short(target)}
	id, why, fail := n.channelID(ctx, target)
	if fail != nil {
		f.Message, f.Hint = fail.out.Error(), "check the network, then again"
		return []notify.Finding{f}
	}
	if id == "" {
		f.Message, f.Hint = "it cannot be resolved: "+why, "use the channel's id (C…), or invite the app to it"
		return []notify.Finding{f}
	}
	c, fail := n.client.info(ctx, id)
	switch {
	case fail != nil && fail.kind == kindBlind:
		f.OK, f.Message = true, "it cannot be looked at without the scope channels:read; only tried: guardroom destination test "+short(n.cfg.Destination)
		return append([]notify.Finding{f}, n.checkRecovery(ctx, id, target))
	case fail != nil:
		f.Message, f.Hint = fail.out.Error(), fail.out.Hint
		return []notify.Finding{f}
	case c.Archived:
		f.Message, f.Hint = "it is archived", "set another channel"
		return []notify.Finding{f}
	case !c.Member && !slices.Contains(scopes, "chat:write.public"):
		f.Message, f.Hint = "the app is not in it", "invite the app to the channel, or add chat:write.public"
		return []notify.Finding{f}
	}
	f.OK, f.Message = true, "found: #"+short(c.Name)
	return []notify.Finding{f, n.checkRecovery(ctx, id, target)}
}

// checkRecovery tries what is needed after a crash between posting and noting
// it: reading the channel.
func (n *Notifier) checkRecovery(ctx context.Context, id, target string) notify.Finding {
	f := notify.Finding{What: "recovery in " + short(target)}
	switch fail := n.client.readable(ctx, id); {
	case fail == nil:
		f.OK, f.Message = true, "after a crash the message is found again, and none is posted twice"
	case fail.kind == kindBlind || fail.kind == kindChannel:
		f.Message = "the channel cannot be read (" + fail.word + "): after a crash at the wrong moment a message may be posted twice, once"
		f.Hint = "add channels:history (groups:history for a private channel) and invite the app to the channel"
	default:
		f.Message, f.Hint = fail.out.Error(), "check the network, then again"
	}
	return f
}

// scopesOf reads the header in which Slack names the scopes; nil: it does not.
func scopesOf(h map[string][]string) []string {
	list := h["X-Oauth-Scopes"]
	if len(list) == 0 {
		return nil
	}
	out := []string{}
	for s := range strings.SplitSeq(strings.Join(list, ","), ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
