package proxy_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
)

func TestTheFakeOfGuardDutyStandsBehindTheProxy(t *testing.T) {
	t.Parallel()
	fake, err := fakeguardduty.Start(fakeguardduty.Options{Fallback: motoURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	p, err := proxy.Start(proxy.Options{Upstream: fake.URL, Problem: func(message string) { t.Error(message) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	w := &world{Proxy: p, account: newAccount()}
	w.ec2 = ec2.NewFromConfig(w.as(w.account))
	detector := fake.AddDetector(w.account, region)
	if err := fake.Put(detector, json.RawMessage(`{"id":"a","updatedAt":"2026-11-20T12:00:00.000Z","severity":8}`)); err != nil {
		t.Fatal(err)
	}
	c := guardduty.NewFromConfig(w.as(w.account))
	p.Add(proxy.Rule{Operation: "GuardDuty.GetFindings", Fault: proxy.Throttling()})
	in := &guardduty.GetFindingsInput{DetectorId: aws.String(detector), FindingIds: []string{"a"}}
	_, err = c.GetFindings(t.Context(), in)
	wantCode(t, err, "ThrottlingException")
	if out := must[*guardduty.GetFindingsOutput](t)(c.GetFindings(t.Context(), in)); len(out.Findings) != 1 {
		t.Errorf("%+v", out.Findings)
	}
	id := w.volume(t, "a", ec2.CreateVolumeInput{})
	if err := w.tag(t, id); err != nil || w.tags(t, id) != 1 {
		t.Errorf("%v", err)
	}
	if calls := p.Calls(); calls[len(calls)-1].Account != w.account || p.Count("GuardDuty.GetFindings") != 2 {
		t.Errorf("%+v", calls)
	}
}
