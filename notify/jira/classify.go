package jira

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// classify turns an answer that is no success into what to do next. what names
// the call ("create issue"). A 404 on an issue that is known to have existed
// and an outcome that is unknown are the caller's to decide.
func classify(what string, status int, header http.Header, body []byte) *notify.Error {
	e := &notify.Error{
		Class: notify.Park, Reason: "invalid",
		Message: fmt.Sprintf("%s: jira answered %d (%s)", what, status, vendorWords(status, body)),
	}
	switch {
	case status < 300:
		e.Class, e.Reason, e.Hint = notify.Pause, "not_json", "the URL answers HTML; is it behind single sign-on?"
	case status < 400:
		e.Class, e.Reason = notify.Pause, "redirect"
		e.Hint = "set api_url to the address that it redirects to; credentials never follow a redirect"
	case status == http.StatusUnauthorized:
		e.Class, e.Reason, e.Hint = notify.Pause, "auth", "check the token, and on Cloud its e-mail address"
	case status == http.StatusForbidden && deniedLogin(header, body):
		e.Class, e.Reason, e.Hint = notify.Pause, "auth", "log in once in a browser and solve the CAPTCHA"
	case (status == http.StatusForbidden || status == http.StatusProxyAuthRequired) && !ownWords(body):
		e.Class, e.Reason = notify.Pause, "auth"
		e.Hint = "something else than Jira refused it: check api_url, and whether the proxy or the network asks for a login, then: guardroom destination test NAME"
	case status == http.StatusForbidden:
		e.Reason, e.Hint = "permission", "give the account the permission in the project"
	case (status == http.StatusNotFound || status == http.StatusBadRequest) && !ownWords(body):
		e.Class, e.Reason, e.DestinationWide = notify.Retry, "invalid", true
		e.Hint = "something else than Jira refused it: check api_url and the proxy"
	case status == http.StatusNotFound:
		e.Reason, e.Hint = "not_found", "it does not exist, or the account may not see it"
	case status == http.StatusGone:
		e.Reason, e.Hint = "dialect", "this call was removed there; set api: cloud or api: datacenter"
	case status == http.StatusTooManyRequests:
		e.Class, e.Reason, e.After = notify.Retry, "rate_limited", cmp.Or(notify.RetryAfter(header, time.Time{}), 5*time.Second)
	case status == http.StatusConflict || status == http.StatusRequestTimeout || status >= 500:
		e.Class, e.Reason, e.After = notify.Retry, "server_error", notify.RetryAfter(header, time.Time{})
	}
	return e
}

// deniedLogin reports that a person must log in once before the account may go
// on.
func deniedLogin(header http.Header, body []byte) bool {
	return strings.Contains(header.Get("X-Seraph-LoginReason"), "AUTHENTICATION_DENIED") || bytes.Contains(bytes.ToLower(body), []byte("captcha"))
}

// ownWords reports whether a refusal is Jira's own, and not that of a proxy or of
// another server: both dialects say what is wrong in JSON.
// https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#error-responses
func ownWords(body []byte) bool {
	var answer map[string]json.RawMessage
	if json.Unmarshal(body, &answer) != nil {
		return false
	}
	for _, key := range []string{"errorMessages", "errors", "errorMessage", "message"} {
		if _, ok := answer[key]; ok {
			return true
		}
	}
	return false
}

// vendorWords is what Jira says is wrong, on one line: both of its lists.
func vendorWords(status int, body []byte) string {
	var answer struct {
		ErrorMessages []string          `json:"errorMessages"`
		Errors        map[string]string `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return http.StatusText(status)
	}
	words := answer.ErrorMessages
	for field, sentence := range answer.Errors {
		words = append(words, field+": "+sentence)
	}
	if len(words) == 0 {
		return http.StatusText(status)
	}
	slices.Sort(words)
	return escape.CutEnd(escape.Visible(strings.Join(words, "; ")), 500)
}
