package guardduty

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/finding"
)

// Limits of the API: https://docs.aws.amazon.com/guardduty/latest/APIReference/
const (
	maxIDs  = 50
	maxBody = 64 << 20 // of one answer; 50 findings are well below 5 MB
)

type digest [sha256.Size]byte

// memory is what is remembered of a finding that was taken.
type memory struct {
	digest    digest
	updatedAt time.Time
	detector  string
}

// read is one finding as GuardDuty sent it, with the little that the poller
// needs of it.
type read struct {
	id        finding.ID
	updatedAt time.Time // zero where it says none that can be read
	severity  float64   // +Inf where it says none, so that no limit hides it
	raw       json.RawMessage
	digest    digest
}

func listDetectors(ctx context.Context, client cloud.GuardDutyClient) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	var ids []string
	pages := guardduty.NewListDetectorsPaginator(client, &guardduty.ListDetectorsInput{})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Explain(err, "list the detectors")
		}
		ids = append(ids, out.DetectorIds...)
	}
	return ids, nil
}

// list returns one page of ids in the order of updatedAt, archived ones
// included. A zero to sets no upper bound.
func (r *reader) list(ctx context.Context, from, to time.Time, token string) ([]finding.ID, string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	when := types.Condition{GreaterThanOrEqual: aws.Int64(from.UnixMilli())}
	if !to.IsZero() {
		when.LessThanOrEqual = aws.Int64(to.UnixMilli())
	}
	criteria := map[string]types.Condition{"updatedAt": when}
	if low := math.Floor(r.poller.cfg.MinSeverity); low > 0 {
		criteria["severity"] = types.Condition{GreaterThanOrEqual: aws.Int64(int64(low))}
	}
	in := &guardduty.ListFindingsInput{DetectorId: aws.String(r.detector), FindingCriteria: &types.FindingCriteria{Criterion: criteria},
		SortCriteria: &types.SortCriteria{AttributeName: aws.String("updatedAt"), OrderBy: types.OrderByAsc}, MaxResults: aws.Int32(maxIDs)}
	if token != "" {
		in.NextToken = aws.String(token)
	}
	out, err := r.client.ListFindings(ctx, in)
	if err != nil {
		return nil, "", cloud.Explain(err, "list the findings of detector "+r.detector)
	}
	ids := make([]finding.ID, len(out.FindingIds))
	for i, id := range out.FindingIds {
		ids[i] = finding.ID(id)
	}
	return ids, aws.ToString(out.NextToken), nil
}

// get reads findings by id, in the order of ids. What is gone meanwhile, or is
// not this detector's, is left out.
func (r *reader) get(ctx context.Context, ids []finding.ID) ([]read, error) {
	var out []read
	for len(ids) > 0 {
		n := min(maxIDs, len(ids))
		list, err := r.getChunk(ctx, ids[:n])
		if err != nil {
			return nil, err
		}
		out, ids = append(out, list...), ids[n:]
	}
	return out, nil
}

func (r *reader) getChunk(ctx context.Context, ids []finding.ID) ([]read, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = string(id)
	}
	var body []byte
	_, err := r.client.GetFindings(ctx, &guardduty.GetFindingsInput{DetectorId: aws.String(r.detector), FindingIds: words}, keepBody(&body))
	var shape *smithy.DeserializationError
	if err != nil && (!errors.As(err, &shape) || body == nil) {
		return nil, cloud.Explain(err, "read the findings of detector "+r.detector)
	}
	// From here on the bytes count, also where the SDK could not decode them:
	// it is stricter than GuardDuty, and forgets what it does not know.
	var answer struct {
		Findings []json.RawMessage `json:"findings"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read the findings of detector %s: %w", r.detector, err)
	}
	byID := make(map[finding.ID]read, len(answer.Findings))
	for _, raw := range answer.Findings {
		f := look(raw)
		byID[f.id] = f
	}
	out := make([]read, 0, len(answer.Findings))
	for _, id := range ids {
		if f, ok := byID[id]; ok {
			out = append(out, f)
		}
	}
	return out, nil
}

// look reads what the poller needs; a member of another type than expected
// counts as absent.
func look(raw json.RawMessage) read {
	var head struct {
		ID        json.RawMessage `json:"id"`
		UpdatedAt json.RawMessage `json:"updatedAt"`
		Severity  json.RawMessage `json:"severity"`
	}
	f := read{raw: raw, digest: sha256.Sum256(raw), severity: math.Inf(1)}
	if json.Unmarshal(raw, &head) != nil {
		return f
	}
	var id string
	if json.Unmarshal(head.ID, &id) == nil {
		f.id = finding.ID(id)
	}
	if severity := 0.0; json.Unmarshal(head.Severity, &severity) == nil {
		f.severity = severity
	}
	f.updatedAt = when(head.UpdatedAt)
	return f
}

// when reads the text that GuardDuty sends, and epoch seconds as other AWS
// services do.
func when(raw json.RawMessage) time.Time {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return at.UTC()
		}
		return time.Time{}
	}
	var seconds float64
	if json.Unmarshal(raw, &seconds) == nil && seconds > 0 && seconds < 1e11 {
		return time.UnixMilli(int64(seconds * 1000)).UTC()
	}
	return time.Time{}
}

// bodyOf is a GetFindings answer with these findings, byte for byte.
func bodyOf(list []read) []byte {
	var b bytes.Buffer
	b.WriteString(`{"findings":[`)
	for i, f := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(f.raw)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// keepBody keeps the body of a good answer, beside what the SDK decodes from it.
func keepBody(body *[]byte) func(*guardduty.Options) {
	keep := middleware.DeserializeMiddlewareFunc("GuardroomKeepBody", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		*body = nil // of an attempt before
		out, metadata, err := next.HandleDeserialize(ctx, in)
		res, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok || res.StatusCode != http.StatusOK {
			return out, metadata, err
		}
		b, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
		err = errors.Join(err, res.Body.Close())
		if err == nil && len(b) > maxBody {
			err = fmt.Errorf("the answer is larger than %d bytes", maxBody)
		}
		if err != nil {
			return out, metadata, err
		}
		res.Body = io.NopCloser(bytes.NewReader(b))
		*body = b
		return out, metadata, nil
	})
	return guardduty.WithAPIOptions(func(s *middleware.Stack) error {
		return s.Deserialize.Insert(keep, "OperationDeserializer", middleware.After)
	})
}
