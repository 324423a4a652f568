package fakeguardduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

const region = "eu-central-1"

func start(t *testing.T, opts Options) (*Server, aws.Config) {
	t.Helper()
	s, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, aws.Config{Region: region, BaseEndpoint: aws.String(s.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "test", ""), RetryMaxAttempts: 1}
}

func sample(n int, at time.Time) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"id":"f%03d","updatedAt":%q,"severity":%d,"type":"Recon:EC2/PortProbeUnprotectedPort","service":{"count":1}}`, n, at.UTC().Format("2006-01-02T15:04:05.000Z"), n%9))
}

var begin = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func fill(t *testing.T, s *Server, account string, n int) string {
	t.Helper()
	d := s.AddDetector(account, region)
	for i := range n {
		if err := s.Put(d, sample(i, begin.Add(time.Duration(i)*time.Second))); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestTheRealSDKListsPagesAndReads(t *testing.T) {
	t.Parallel()
	for _, shifting := range []bool{false, true} {
		s, cfg := start(t, Options{ShiftingPages: shifting})
		d := fill(t, s, Home, 120)
		// As the program does: a connection that is lost is made again.
		client := guardduty.NewFromConfig(cfg, func(o *guardduty.Options) { o.RetryMaxAttempts = 3 })
		detectors, err := client.ListDetectors(t.Context(), &guardduty.ListDetectorsInput{})
		if err != nil || len(detectors.DetectorIds) != 1 || detectors.DetectorIds[0] != d {
			t.Fatalf("detectors: %+v, %v", detectors, err)
		}
		var ids []string
		pages := guardduty.NewListFindingsPaginator(client, &guardduty.ListFindingsInput{DetectorId: &d,
			FindingCriteria: &types.FindingCriteria{Criterion: map[string]types.Condition{"updatedAt": {GreaterThanOrEqual: aws.Int64(begin.Add(10 * time.Second).UnixMilli())}}},
			SortCriteria:    &types.SortCriteria{AttributeName: aws.String("updatedAt"), OrderBy: types.OrderByAsc}})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, page.FindingIds...)
		}
		if len(ids) != 110 || ids[0] != "f010" || ids[109] != "f119" {
			t.Fatalf("%d ids, %v", len(ids), ids)
		}
		got, err := client.GetFindings(t.Context(), &guardduty.GetFindingsInput{DetectorId: &d, FindingIds: ids[:50]})
		if err != nil || len(got.Findings) != 50 || aws.ToString(got.Findings[0].UpdatedAt) != "2026-11-01T00:00:10.000Z" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

func TestATokenIsStableUnlessPagesShift(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shifting bool
		want     string
	}{{false, "f050"}, {true, "f051"}} {
		s, cfg := start(t, Options{ShiftingPages: c.shifting})
		d := fill(t, s, Home, 60)
		client := guardduty.NewFromConfig(cfg)
		in := &guardduty.ListFindingsInput{DetectorId: &d, SortCriteria: &types.SortCriteria{AttributeName: aws.String("updatedAt"), OrderBy: types.OrderByAsc}}
		first, err := client.ListFindings(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(d, sample(0, begin.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		in.NextToken = first.NextToken
		rest, err := client.ListFindings(t.Context(), in)
		if err != nil || rest.FindingIds[0] != c.want {
			t.Errorf("shifting %t: %v, %v", c.shifting, rest.FindingIds, err)
		}
	}
}

func TestItRefusesWhatTheServiceRefuses(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, Options{})
	d := fill(t, s, Home, 3)
	foreign := fill(t, s, "222222222222", 1)
	client := guardduty.NewFromConfig(cfg)
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf("f%03d", i)
	}
	for name, call := range map[string]func(ctx context.Context) error{
		"more than 50 ids": func(ctx context.Context) error {
			_, err := client.GetFindings(ctx, &guardduty.GetFindingsInput{DetectorId: &d, FindingIds: many})
			return err
		},
		"no ids": func(ctx context.Context) error {
			_, err := client.GetFindings(ctx, &guardduty.GetFindingsInput{DetectorId: &d, FindingIds: []string{}})
			return err
		},
		"pages of more than 50": func(ctx context.Context) error {
			_, err := client.ListFindings(ctx, &guardduty.ListFindingsInput{DetectorId: &d, MaxResults: aws.Int32(51)})
			return err
		},
		"an unknown criterion": func(ctx context.Context) error {
			_, err := client.ListFindings(ctx, &guardduty.ListFindingsInput{DetectorId: &d, FindingCriteria: &types.FindingCriteria{Criterion: map[string]types.Condition{"UpdatedAt": {GreaterThanOrEqual: aws.Int64(1)}}}})
			return err
		},
		"an unknown token": func(ctx context.Context) error {
			_, err := client.ListFindings(ctx, &guardduty.ListFindingsInput{DetectorId: &d, NextToken: aws.String("x")})
			return err
		},
		"another account's detector": func(ctx context.Context) error {
			_, err := client.ListFindings(ctx, &guardduty.ListFindingsInput{DetectorId: &foreign})
			return err
		},
		"archiving what it does not have": func(ctx context.Context) error {
			_, err := client.ArchiveFindings(ctx, &guardduty.ArchiveFindingsInput{DetectorId: &d, FindingIds: []string{"f000", "nope"}})
			return err
		},
	} {
		before := len(s.Refused())
		if got := code(call(t.Context())); got != "BadRequestException" {
			t.Errorf("%s: %s", name, got)
		}
		if len(s.Refused()) != before+1 {
			t.Errorf("%s is not told by Refused", name)
		}
	}
	if s.Archived(d, "f000") {
		t.Error("a refused call archived something")
	}
}

func TestArchivingKeepsTheTimeAndIsListed(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, Options{})
	d := fill(t, s, Home, 2)
	client := guardduty.NewFromConfig(cfg)
	if _, err := client.ArchiveFindings(t.Context(), &guardduty.ArchiveFindingsInput{DetectorId: &d, FindingIds: []string{"f000"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Archive(d, "f001"); err != nil {
		t.Fatal(err)
	}
	out, err := client.ListFindings(t.Context(), &guardduty.ListFindingsInput{DetectorId: &d, FindingCriteria: &types.FindingCriteria{Criterion: map[string]types.Condition{"service.archived": {Equals: []string{"true"}}}}})
	if err != nil || len(out.FindingIds) != 2 {
		t.Errorf("archived: %v, %v", out, err)
	}
	got, err := client.GetFindings(t.Context(), &guardduty.GetFindingsInput{DetectorId: &d, FindingIds: []string{"f001"}})
	if err != nil || !aws.ToBool(got.Findings[0].Service.Archived) || aws.ToString(got.Findings[0].UpdatedAt) != "2026-11-01T00:00:01.000Z" || aws.ToInt32(got.Findings[0].Service.Count) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRolesLeadToTheirAccountOnlyWithTheExternalID(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, Options{ExternalID: "x-1"})
	d := fill(t, s, "222222222222", 1)
	as := func(external string) aws.Config {
		c := cfg.Copy()
		c.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), "arn:aws:iam::222222222222:role/reader", func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName, o.ExternalID = "test", aws.String(external)
		}))
		return c
	}
	if _, err := guardduty.NewFromConfig(as("x-1")).GetDetector(t.Context(), &guardduty.GetDetectorInput{DetectorId: &d}); err != nil {
		t.Error(err)
	}
	who, err := sts.NewFromConfig(as("x-1")).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(who.Account) != "222222222222" {
		t.Errorf("%+v, %v", who, err)
	}
	if _, err := guardduty.NewFromConfig(as("wrong")).ListDetectors(t.Context(), &guardduty.ListDetectorsInput{}); code(err) != "AccessDenied" {
		t.Errorf("a wrong external id: %v", err)
	}
}

func TestFaultsComeAndGo(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, Options{})
	client := guardduty.NewFromConfig(cfg)
	s.Fail(Fault{Operation: "ListDetectors", Times: 1, Status: http.StatusTooManyRequests, Code: "TooManyRequestsException", Message: "slow down"})
	_, first := client.ListDetectors(t.Context(), &guardduty.ListDetectorsInput{})
	_, second := client.ListDetectors(t.Context(), &guardduty.ListDetectorsInput{})
	if code(first) != "TooManyRequestsException" || second != nil {
		t.Errorf("%v, then %v", first, second)
	}
}

func TestEverythingElseGoesToTheFallback(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("X-Amz-Target")
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte(`{"QueueUrls":["http://queue"]}`))
	}))
	t.Cleanup(behind.Close)
	_, cfg := start(t, Options{Fallback: behind.URL})
	out, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil || len(out.QueueUrls) != 1 || !strings.HasSuffix(<-asked, "ListQueues") {
		t.Errorf("%+v, %v", out, err)
	}
	s, cfg := start(t, Options{})
	if _, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{}); err == nil || len(s.Refused()) != 1 {
		t.Errorf("without a fallback: %v, %v", err, s.Refused())
	}
}
