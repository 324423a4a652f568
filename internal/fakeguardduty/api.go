package fakeguardduty

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Limits of the service: https://docs.aws.amazon.com/guardduty/latest/APIReference/
const (
	maxIDs     = 50
	maxResults = 50
)

// problem is an error in the service's words.
type problem struct {
	status        int
	code, message string
}

func (p *problem) Error() string { return p.code + ": " + p.message }

func bad(format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, code: "BadRequestException", message: "The request is rejected because " + fmt.Sprintf(format, args...)}
}

// guardduty answers one call of GuardDuty.
func (s *Server) guardduty(w http.ResponseWriter, r *http.Request, req request) {
	req.operation, req.detector = route(r.Method, r.URL.Path)
	if req.operation == "" {
		s.refuse("%s %s is no operation that this fake knows", r.Method, r.URL.Path)
		fail(w, s.opts.Now(), http.StatusNotFound, "UnknownOperationException", "unknown operation", "")
		return
	}
	if s.broken(w, req) {
		return
	}
	answer, ids, p := s.answer(r, req)
	if p != nil {
		if p.status == http.StatusBadRequest {
			s.refuse("%s: %s", req.operation, p.message)
		}
		s.note(req, ids, p.status)
		fail(w, s.opts.Now(), p.status, p.code, p.message, "")
		return
	}
	s.note(req, ids, http.StatusOK)
	write(w, s.opts.Now(), http.StatusOK, answer)
}

// route maps method and path to the operation.
func route(method, path string) (operation, detector string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if parts[0] != "detector" {
		return "", ""
	}
	if len(parts) == 1 && method == http.MethodGet {
		return "ListDetectors", ""
	}
	if len(parts) < 2 {
		return "", ""
	}
	switch method + " " + strings.Join(parts[2:], "/") {
	case "GET ":
		return "GetDetector", parts[1]
	case "POST findings":
		return "ListFindings", parts[1]
	case "POST findings/get":
		return "GetFindings", parts[1]
	case "POST findings/archive":
		return "ArchiveFindings", parts[1]
	}
	return "", ""
}

func (s *Server) answer(r *http.Request, req request) (any, int, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.operation == "ListDetectors" {
		return s.listDetectors(r, req)
	}
	d := s.detector(req.detector)
	if d == nil || d.account != req.account || d.region != req.region {
		return nil, 0, bad("the input detectorId is not owned by the current account.")
	}
	switch req.operation {
	case "GetDetector":
		return map[string]any{"createdAt": "2024-01-01T00:00:00.000Z", "updatedAt": "2024-01-01T00:00:00.000Z", "status": d.status,
			"findingPublishingFrequency": d.frequency, "serviceRole": "arn:aws:iam::" + d.account + ":role/aws-service-role/guardduty.amazonaws.com/AWSServiceRoleForAmazonGuardDuty",
			"tags": map[string]string{}}, 0, nil
	case "ListFindings":
		return s.listFindings(d, req.body)
	case "GetFindings":
		return d.get(req.body)
	default:
		return d.archive(req.body)
	}
}

func (s *Server) listDetectors(r *http.Request, req request) (any, int, *problem) {
	size := maxResults
	if v := r.URL.Query().Get("maxResults"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxResults {
			return nil, 0, bad("the parameter maxResults has an invalid value.")
		}
		size = n
	}
	ids := []string{}
	for _, d := range s.detectors {
		if d.account == req.account && d.region == req.region {
			ids = append(ids, d.id)
		}
	}
	slices.Sort(ids)
	return map[string]any{"detectorIds": ids[:min(size, len(ids))]}, 0, nil
}

// strictly decodes a request and refuses what the API does not know.
func strictly(body []byte, into any) *problem {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return bad("the request body is invalid: %v", err)
	}
	return nil
}

// condition is one criterion. The service knows more; these are what a
// guardroom may use.
type condition struct {
	Eq                 []string `json:"eq"`
	Equals             []string `json:"equals"`
	NotEquals          []string `json:"notEquals"`
	Gte                *int64   `json:"gte"`
	Lte                *int64   `json:"lte"`
	Gt                 *int64   `json:"gt"`
	Lt                 *int64   `json:"lt"`
	GreaterThanOrEqual *int64   `json:"greaterThanOrEqual"`
	GreaterThan        *int64   `json:"greaterThan"`
	LessThanOrEqual    *int64   `json:"lessThanOrEqual"`
	LessThan           *int64   `json:"lessThan"`
}

// number applies the numeric bounds.
func (c condition) number(v float64) bool {
	for _, b := range []*int64{c.Gte, c.GreaterThanOrEqual} {
		if b != nil && v < float64(*b) {
			return false
		}
	}
	for _, b := range []*int64{c.Lte, c.LessThanOrEqual} {
		if b != nil && v > float64(*b) {
			return false
		}
	}
	for _, b := range []*int64{c.Gt, c.GreaterThan} {
		if b != nil && v <= float64(*b) {
			return false
		}
	}
	for _, b := range []*int64{c.Lt, c.LessThan} {
		if b != nil && v >= float64(*b) {
			return false
		}
	}
	return true
}

func (c condition) words(v string) bool {
	for _, list := range [][]string{c.Eq, c.Equals} {
		if len(list) > 0 && !slices.Contains(list, v) {
			return false
		}
	}
	return !slices.Contains(c.NotEquals, v)
}

func (s *Server) listFindings(d *detector, body []byte) (any, int, *problem) {
	var in struct {
		FindingCriteria struct {
			Criterion map[string]condition `json:"criterion"`
		} `json:"findingCriteria"`
		SortCriteria struct {
			AttributeName string `json:"attributeName"`
			OrderBy       string `json:"orderBy"`
		} `json:"sortCriteria"`
		MaxResults *int   `json:"maxResults"`
		NextToken  string `json:"nextToken"`
	}
	if p := strictly(body, &in); p != nil {
		return nil, 0, p
	}
	size := maxResults
	if in.MaxResults != nil {
		if size = *in.MaxResults; size < 1 || size > maxResults {
			return nil, 0, bad("the parameter maxResults has an invalid value.")
		}
	}
	list, offset, p := s.list(d, in.FindingCriteria.Criterion, in.SortCriteria.AttributeName, in.SortCriteria.OrderBy, in.NextToken)
	if p != nil {
		return nil, 0, p
	}
	out := map[string]any{"findingIds": list[min(offset, len(list)):min(offset+size, len(list))], "nextToken": ""}
	if offset+size < len(list) {
		out["nextToken"] = s.token(list, offset+size)
	}
	return out, 0, nil
}

// token names the rest of a list. A stable one keeps the list as it is now.
func (s *Server) token(list []string, offset int) string {
	if s.opts.ShiftingPages {
		return "offset-" + strconv.Itoa(offset)
	}
	t := "page-" + strconv.Itoa(len(s.pages)+1)
	s.pages[t] = list[offset:]
	return t
}

// list is what a call sees, and where its page begins.
func (s *Server) list(d *detector, criteria map[string]condition, sortBy, order, token string) ([]string, int, *problem) {
	offset := 0
	switch {
	case token == "":
	case s.opts.ShiftingPages:
		n, err := strconv.Atoi(strings.TrimPrefix(token, "offset-"))
		if err != nil {
			return nil, 0, bad("the parameter nextToken has an invalid value.")
		}
		offset = n
	default:
		rest, ok := s.pages[token]
		if !ok {
			return nil, 0, bad("the parameter nextToken has an invalid value.")
		}
		return rest, 0, nil
	}
	var matching []*stored
	for _, f := range d.findings {
		ok, p := f.matches(criteria)
		if p != nil {
			return nil, 0, p
		}
		if ok || s.opts.Heedless {
			matching = append(matching, f)
		}
	}
	for name := range criteria {
		if !knownCriteria[name] {
			return nil, 0, bad("the parameter findingCriteria has the unknown attribute %s.", name)
		}
	}
	if sortBy != "" && sortBy != "updatedAt" && sortBy != "severity" {
		return nil, 0, bad("the parameter sortCriteria has an invalid value.")
	}
	if order != "" && order != "ASC" && order != "DESC" {
		return nil, 0, bad("the parameter orderBy has an invalid value.")
	}
	slices.SortFunc(matching, func(a, b *stored) int {
		c := 0
		if s.opts.Heedless {
			sortBy = ""
		}
		switch sortBy {
		case "updatedAt":
			c = a.updatedAt.Compare(b.updatedAt)
		case "severity":
			c = cmp.Compare(a.severity, b.severity)
		}
		if order == "DESC" {
			c = -c
		}
		if c == 0 {
			c = cmp.Compare(a.sequence, b.sequence)
		}
		return c
	})
	ids := make([]string, len(matching))
	for i, f := range matching {
		ids[i] = f.id
	}
	return ids, offset, nil
}

var knownCriteria = map[string]bool{"updatedAt": true, "service.archived": true, "severity": true, "id": true}

func (f *stored) matches(criteria map[string]condition) (bool, *problem) {
	for name, c := range criteria {
		ok := true
		switch name {
		case "updatedAt":
			ok = c.number(float64(f.updatedAt.UnixMilli()))
		case "severity":
			ok = c.number(f.severity)
		case "service.archived":
			ok = c.words(strconv.FormatBool(f.archived))
		case "id":
			ok = c.words(f.id)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// ids reads and checks a list of finding ids.
func ids(list []string) *problem {
	if len(list) == 0 {
		return bad("the required parameter findingIds is missing.")
	}
	if len(list) > maxIDs {
		return bad("the parameter findingIds has more than %d items.", maxIDs)
	}
	return nil
}

func (d *detector) get(body []byte) (any, int, *problem) {
	var in struct {
		FindingIDs   []string `json:"findingIds"`
		SortCriteria struct {
			AttributeName string `json:"attributeName"`
			OrderBy       string `json:"orderBy"`
		} `json:"sortCriteria"`
	}
	if p := strictly(body, &in); p != nil {
		return nil, 0, p
	}
	if p := ids(in.FindingIDs); p != nil {
		return nil, len(in.FindingIDs), p
	}
	out := []json.RawMessage{}
	// In no order that the caller asked for, and without what it does not have.
	wanted := slices.Clone(in.FindingIDs)
	slices.Sort(wanted)
	for _, id := range slices.Compact(wanted) {
		if f := d.findings[id]; f != nil {
			out = append(out, f.raw)
		}
	}
	return map[string]any{"findings": out}, len(in.FindingIDs), nil
}

func (d *detector) archive(body []byte) (any, int, *problem) {
	var in struct {
		FindingIDs []string `json:"findingIds"`
	}
	if p := strictly(body, &in); p != nil {
		return nil, 0, p
	}
	if p := ids(in.FindingIDs); p != nil {
		return nil, len(in.FindingIDs), p
	}
	for _, id := range in.FindingIDs {
		if d.findings[id] == nil {
			return nil, len(in.FindingIDs), bad("one or more input findingIds are not found in the current account.")
		}
	}
	for _, id := range in.FindingIDs {
		if err := d.findings[id].archive(); err != nil {
			return nil, len(in.FindingIDs), &problem{status: http.StatusInternalServerError, code: "InternalServerErrorException", message: err.Error()}
		}
	}
	return map[string]any{}, len(in.FindingIDs), nil
}
