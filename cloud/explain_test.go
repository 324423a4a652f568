package cloud

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/internal/fault"
)

func TestErrorsOfAWSBecomeFaults(t *testing.T) {
	t.Parallel()
	api := func(code string, f smithy.ErrorFault) error {
		return &smithy.OperationError{ServiceID: "GuardDuty", OperationName: "ListFindings", Err: &smithy.GenericAPIError{Code: code, Message: "so says AWS", Fault: f}}
	}
	for _, c := range []struct {
		name string
		err  error
		want fault.Code
		hint string
	}{
		{"no permission", api("AccessDeniedException", smithy.FaultClient), fault.Denied, "iam.md"},
		{"EC2's word for it", api("UnauthorizedOperation", smithy.FaultClient), fault.Denied, "iam.md"},
		{"credentials that have ended", api("ExpiredTokenException", smithy.FaultClient), fault.Denied, "renew"},
		{"not there", api("NoSuchBucket", smithy.FaultClient), fault.NotFound, "check its name"},
		{"a wrong request", api("BadRequestException", smithy.FaultClient), fault.Usage, "check the configured"},
		{"AWS is broken", api("InternalServerErrorException", smithy.FaultServer), fault.Unavailable, "try again"},
		{"no answer", fmt.Errorf("send: %w", context.DeadlineExceeded), fault.Unavailable, "network"},
		{"a fault of our own", fault.New(fault.Corrupt, "x", "y"), fault.Corrupt, "y"},
	} {
		got := fault.Of(Explain(c.err, "list the findings"))
		if got.Code != c.want || !strings.Contains(got.Hint, c.hint) {
			t.Errorf("%s: %s, hint %q", c.name, got.Code, got.Hint)
		}
	}
	if Explain(nil, "x") != nil {
		t.Error("nothing is no error")
	}
	if got := Explain(api("BadRequestException", smithy.FaultClient), "list the findings").Error(); got != "list the findings: ListFindings: BadRequestException: so says AWS" {
		t.Errorf("it reads %q", got)
	}
}

func TestTheCacheAsksOnceForMany(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	c := cache[int]{now: func() time.Time { return now }}
	asked := 0
	start := make(chan struct{})
	ask := func(context.Context) (int, time.Duration, error) {
		<-start
		asked++
		return asked, time.Hour, nil
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if v, err := c.get(t.Context(), "k", ask); v != 1 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		})
	}
	close(start)
	all.Wait()
	now = now.Add(2 * time.Hour)
	if v, _ := c.get(t.Context(), "k", ask); v != 2 {
		t.Errorf("after its time the answer is still %d", v)
	}
}

func TestTheCacheRemembersRefusalsButNotWhoGaveUp(t *testing.T) {
	t.Parallel()
	c := cache[int]{now: time.Now}
	no := errors.New("no")
	for i, holds := range []time.Duration{0, time.Hour, time.Hour} {
		asked := false
		_, err := c.get(t.Context(), "k", func(context.Context) (int, time.Duration, error) { asked = true; return 0, holds, no })
		if !errors.Is(err, no) || asked != (i < 2) {
			t.Errorf("%d: %v, asked %t", i, err, asked)
		}
	}
}
