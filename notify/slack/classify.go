package slack

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// kind is what a failure means for the message at hand.
type kind int

const (
	kindOther   kind = iota // come again, or a person must change something
	kindChannel             // the channel cannot be used
	kindLost                // the message is not there or not ours any more
	kindOurs                // Slack does not take what we laid out
	kindBlind               // we may not look there
	kindAbsent              // whoever answers has no such call
)

// failure is a call that did not succeed.
type failure struct {
	kind kind
	word string // Slack's own
	// unknown: the message may have been posted nevertheless.
	unknown bool
	out     *notify.Error
}

const defaultWait = 10 * time.Second // after 429 without Retry-After

// classify turns an answer with ok:false into ours. The words are on the
// methods' pages: https://docs.slack.dev/reference/methods/chat.postMessage
func (c *client) classify(method, word, needed string, a *answer) *failure {
	word = escape.CutEnd(escape.Visible(cmp.Or(word, "no reason given")), 80)
	f := &failure{word: word, out: &notify.Error{
		Class: notify.Park, Reason: "invalid", Message: fmt.Sprintf("Slack refused %s (%s)", method, word), Safe: "nothing was changed in Slack",
	}}
	e := f.out
	switch word {
	case "ratelimited", "rate_limited":
		return c.limited(a, method)
	case "internal_error", "fatal_error", "request_timeout", "service_unavailable":
		f.unknown = true
		e.Class, e.Reason, e.Safe = notify.Retry, "server_error", "it may have been posted; guardroom looks before it posts again"
	case "team_added_to_org", "external_channel_migrating", "update_failed", "streaming_state_conflict":
		e.Class, e.Reason = notify.Retry, "server_error"
	case "missing_scope", "no_permission", "not_allowed_token_type":
		f.kind = kindBlind
		e.Class, e.Reason = notify.Pause, "auth"
		e.Hint = fmt.Sprintf("give the app the scope %s, install it again, then: guardroom destination test NAME", cmp.Or(cleanWord(needed), "chat:write"))
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "team_access_not_granted",
		"ekm_access_denied", "org_login_required", "two_factor_setup_required", "accesslimited":
		e.Class, e.Reason = notify.Pause, "auth"
		e.Hint = "install the app again in the workspace and set token, then: guardroom destination test NAME"
	case "channel_not_found", "not_in_channel", "is_archived", "is_inactive", "restricted_action",
		"restricted_action_read_only_channel", "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "restricted_action_thread_locked":
		f.kind = kindChannel
		e.Reason = "not_found"
		e.Hint = "invite the app to the channel, or add chat:write.public, or set another channel, then: guardroom delivery retry"
	case "message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found":
		f.kind = kindLost
		e.Reason = "not_found"
		e.Hint = "look at the channel, then: guardroom delivery retry"
	case "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_too_long", "msg_blocks_too_long", "too_many_attachments",
		"no_text", "block_mismatch", "invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large", "metadata_must_be_sent_from_app",
		"invalid_arguments", "invalid_arg_name", "invalid_charset", "invalid_post_type", "invalid_payload":
		f.kind = kindOurs
		e.Hint = "report this with the output of: guardroom delivery show"
	default:
		if strings.HasPrefix(word, "restricted_action") {
			f.kind, e.Reason = kindChannel, "not_found"
		}
		e.Hint = "look the word up at https://docs.slack.dev/reference/methods/" + method + ", then: guardroom delivery retry"
	}
	if said := inWords(word, f.kind, method); said != "" {
		e.Message = said + " (" + word + ")"
	}
	return f
}

// inWords says for people what the more frequent words mean; nothing for others.
func inWords(word string, k kind, method string) string {
	switch word {
	case "channel_not_found":
		return "the app sees no such channel in Slack"
	case "not_in_channel":
		return "the app is not in the channel"
	case "is_archived":
		return "the channel is archived"
	case "message_not_found", "thread_not_found":
		return "the message is gone from Slack"
	case "cant_update_message":
		return "the message in Slack is not the app's own"
	case "edit_window_closed":
		return "the workspace lets nobody edit the message any more"
	case "invalid_auth", "not_authed":
		return "Slack does not know the token"
	case "token_revoked", "token_expired", "account_inactive":
		return "Slack takes the token no longer"
	case "missing_scope":
		return "the app lacks a scope for " + method
	}
	switch {
	case strings.HasPrefix(word, "restricted_action"):
		return "the workspace does not let the app post in the channel"
	case k == kindOurs:
		return "Slack does not take the form of the message"
	}
	return ""
}

func cleanWord(s string) string {
	if safeScope(s) {
		return s
	}
	return ""
}

func safeScope(s string) bool {
	return s != "" && len(s) < 100 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz:._,") == ""
}

// statusFailure returns what an HTTP status other than 200 means.
func (c *client) statusFailure(a *answer, method string) *failure {
	switch {
	case a.status == http.StatusTooManyRequests:
		return c.limited(a, method)
	case a.status == http.StatusOK:
		return nil
	case a.status >= 500 || a.status == http.StatusRequestTimeout:
		return &failure{unknown: true, out: &notify.Error{Class: notify.Retry, Reason: "server_error",
			Message: fmt.Sprintf("Slack failed at %s (%d %s)", method, a.status, http.StatusText(a.status)),
			Safe:    "it may have been posted; guardroom looks before it posts again"}}
	case a.status >= 300 && a.status < 400:
		return &failure{out: &notify.Error{Class: notify.Pause, Reason: "invalid", Message: fmt.Sprintf("the address of Slack leads elsewhere (%d)", a.status),
			Safe: "nothing was changed in Slack", Hint: "check api_url and the proxy"}}
	case a.status >= 400:
		return foreign(a.status, method)
	}
	return notSlack(a, method)
}

// foreign is a refusal without a word of Slack: by a proxy, a login page of the
// network, or whoever stands at api_url. It is the same for every delivery, so
// none is parked for it, but for a body that is too large for what is between.
func foreign(status int, method string) *failure {
	e := &notify.Error{Class: notify.Retry, Reason: "invalid", DestinationWide: true,
		Message: fmt.Sprintf("something else than Slack refused %s (%d %s)", method, status, http.StatusText(status)),
		Safe:    "nothing was changed in Slack", Hint: "check api_url and the proxy"}
	f := &failure{out: e}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		e.Class, e.Reason, e.DestinationWide = notify.Pause, "auth", false
		e.Hint = "check api_url, and whether the proxy or the network asks for a login, then: guardroom destination test NAME"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		f.kind, e.Reason = kindAbsent, "not_found"
	case http.StatusRequestEntityTooLarge:
		e.Class, e.DestinationWide = notify.Park, false
		e.Hint = "let the proxy pass larger bodies, then: guardroom delivery retry"
	}
	return f
}

// limited is a 429. It holds for the method in the whole workspace.
func (c *client) limited(a *answer, method string) *failure {
	wait := cmp.Or(notify.RetryAfter(a.header, time.Time{}), defaultWait)
	return &failure{word: "ratelimited", out: &notify.Error{
		Class: notify.Retry, Reason: "rate_limited", After: time.Duration(float64(wait) / c.scale), DestinationWide: true,
		Message: fmt.Sprintf("Slack takes no more %s for now (429)", method), Safe: "the newest revision is sent afterwards",
	}}
}

// notSlack is an answer that is not the vendor's, or not all of it.
func notSlack(a *answer, method string) *failure {
	return &failure{unknown: true, out: &notify.Error{Class: notify.Retry, Reason: "server_error",
		Message: fmt.Sprintf("the answer to %s is not Slack's, or not the whole of it (%d)", method, a.status),
		Safe:    "it may have been posted; guardroom looks before it posts again", Hint: "check api_url and the proxy", Err: a.err}}
}

func badAddress() *failure {
	return &failure{out: &notify.Error{Class: notify.Pause, Reason: "invalid", Message: "the address of Slack cannot be used",
		Safe: "nothing was sent", Hint: "check api_url and webhook_url"}}
}

// transportFailure names the failure without the address, which is a secret for
// webhooks. Without a connection nothing can have been posted.
func transportFailure(err error, connected bool) *failure {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	e := &notify.Error{Class: notify.Retry, Reason: "network", Message: "Slack cannot be reached",
		Safe: "nothing was sent", Hint: "check the network and api_url", Err: err}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		e.Reason, e.Message = "timeout", "Slack did not answer in time"
	}
	if connected {
		e.Safe = "it may have been posted; guardroom looks before it posts again"
	}
	return &failure{unknown: connected, out: e}
}

// webhook posts to an incoming webhook, which answers with text:
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
func (c *client) webhook(ctx context.Context, address string, m outgoing) *failure {
	const what = "the message"
	a, f := c.send(ctx, address, "", "application/json; charset=utf-8", encode(m))
	if f != nil {
		return f
	}
	said := string(bytes.TrimSpace(a.body))
	if a.status == http.StatusOK {
		if a.err != nil || said != "ok" {
			return notSlack(a, what)
		}
		return nil
	}
	if a.status == http.StatusTooManyRequests || a.status >= 500 || a.status < 400 || a.status == http.StatusRequestTimeout {
		return c.statusFailure(a, what)
	}
	if !hookWord(said) {
		return foreign(a.status, what)
	}
	return webhookRefusal(a.status, said)
}

// hookWord reports whether a webhook's answer is a word of Slack: no_service. It
// is not when a page or a sentence of somebody else came.
func hookWord(s string) bool {
	return len(s) > 2 && len(s) <= 80 && strings.Contains(s, "_") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// webhookRefusal is a 4xx. Most hold for the address, and so for everything that
// would be sent there.
func webhookRefusal(status int, said string) *failure {
	word := escape.CutEnd(escape.Visible(cmp.Or(said, http.StatusText(status))), 80)
	f := &failure{word: word, out: &notify.Error{Class: notify.Park, Reason: "invalid",
		Message: fmt.Sprintf("Slack refused the message (%d %s)", status, word), Safe: "nothing was posted",
		Hint: "correct what Slack names, then: guardroom delivery retry"}}
	switch word {
	case "no_service", "no_service_id", "no_team", "no_active_hooks", "invalid_token", "action_prohibited", "team_disabled":
		f.out.Class, f.out.Reason = notify.Pause, "auth"
		f.out.Hint = "make a new incoming webhook and set webhook_url, then: guardroom destination test NAME"
	case "channel_not_found", "channel_is_archived", "user_not_found", "posting_to_general_channel_denied":
		f.out.Class, f.out.Reason = notify.Pause, "not_found"
		f.out.Hint = "make an incoming webhook for another channel and set webhook_url, then: guardroom destination test NAME"
	case "invalid_payload", "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "no_text", "msg_too_long", "msg_blocks_too_long", "too_many_attachments":
		f.kind = kindOurs
		f.out.Hint = "report this with the output of: guardroom delivery show"
	default:
		if status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusProxyAuthRequired {
			f.out.Class, f.out.Reason = notify.Pause, "auth"
			f.out.Hint = "correct what Slack names or set another webhook_url, then: guardroom destination test NAME"
		}
	}
	return f
}
