package fakeguardduty

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"time"
)

var roleARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(\d{12}):role/[\w+=,.@/-]+$`)

// sts answers AssumeRole and GetCallerIdentity, or has the fallback answer and
// remembers whose keys it gave out.
func (s *Server) sts(w http.ResponseWriter, r *http.Request, req request) {
	form, err := url.ParseQuery(string(req.body))
	if err != nil {
		stsFail(w, s.opts.Now(), http.StatusBadRequest, "MalformedQueryString", "the body is no form")
		return
	}
	req.operation = form.Get("Action")
	if s.broken(w, req) {
		return
	}
	role := roleARN.FindStringSubmatch(form.Get("RoleArn"))
	if req.operation == "AssumeRole" {
		switch {
		case role == nil || form.Get("RoleSessionName") == "":
			s.refuse("AssumeRole of %q as %q", form.Get("RoleArn"), form.Get("RoleSessionName"))
			s.note(req, 0, http.StatusBadRequest)
			stsFail(w, s.opts.Now(), http.StatusBadRequest, "ValidationError", "the role or the session name is invalid")
			return
		case s.opts.ExternalID != "" && form.Get("ExternalId") != s.opts.ExternalID:
			s.note(req, 0, http.StatusForbidden)
			stsFail(w, s.opts.Now(), http.StatusForbidden, "AccessDenied", "User is not authorized to perform: sts:AssumeRole on resource: "+form.Get("RoleArn"))
			return
		}
	}
	if s.proxy != nil {
		s.forwardSTS(w, r, req, role)
		return
	}
	switch req.operation {
	case "GetCallerIdentity":
		s.note(req, 0, http.StatusOK)
		stsWrite(w, s.opts.Now(), http.StatusOK, fmt.Sprintf(`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:sts::%[1]s:assumed-role/guardroom/test</Arn><UserId>AROAFAKE:test</UserId><Account>%[1]s</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>fake</RequestId></ResponseMetadata></GetCallerIdentityResponse>`, req.account))
	case "AssumeRole":
		s.mu.Lock()
		s.sessions++
		key := fmt.Sprintf("ASIAFAKE%08d", s.sessions)
		s.keys[key] = role[1]
		s.mu.Unlock()
		s.note(req, 0, http.StatusOK)
		stsWrite(w, s.opts.Now(), http.StatusOK, fmt.Sprintf(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>fake</SecretAccessKey><SessionToken>fake</SessionToken><Expiration>%s</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROAFAKE:test</AssumedRoleId><Arn>arn:aws:sts::%s:assumed-role/fake/test</Arn></AssumedRoleUser></AssumeRoleResult><ResponseMetadata><RequestId>fake</RequestId></ResponseMetadata></AssumeRoleResponse>`,
			key, s.opts.Now().Add(time.Hour).UTC().Format(time.RFC3339), role[1]))
	default:
		s.refuse("STS %s", req.operation)
		stsFail(w, s.opts.Now(), http.StatusBadRequest, "InvalidAction", "unknown action "+req.operation)
	}
}

// forwardSTS has the fallback answer, and learns the keys of roles from it.
func (s *Server) forwardSTS(w http.ResponseWriter, r *http.Request, req request, role []string) {
	answer := httptest.NewRecorder()
	s.proxy.ServeHTTP(answer, r)
	body := answer.Body.Bytes()
	if req.operation == "AssumeRole" && answer.Code == http.StatusOK {
		var out struct {
			Key string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
		}
		if xml.Unmarshal(body, &out) == nil && out.Key != "" {
			s.mu.Lock()
			s.keys[out.Key] = role[1]
			s.mu.Unlock()
		}
	}
	s.note(req, 0, answer.Code)
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = io.Copy(w, bytes.NewReader(body))
}

func stsFail(w http.ResponseWriter, now time.Time, status int, code, message string) {
	var text bytes.Buffer
	_ = xml.EscapeText(&text, []byte(message)) // a buffer takes everything
	stsWrite(w, now, status, fmt.Sprintf(`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>fake</RequestId></ErrorResponse>`, code, text.String()))
}

func stsWrite(w http.ResponseWriter, now time.Time, status int, body string) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
