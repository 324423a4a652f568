package lambda_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
	"github.com/guardroom/guardroom/respond/lambda"
)

const (
	account = kittest.Account
	secret  = "hunter2-do-not-print"
)

var archive = []byte("PK the code of the function")

func world(e *sim.Editor) {
	e.AddFunction(account, kittest.Region, sim.Function{Name: "resize", Role: "arn:aws:iam::" + account + ":role/resize", Code: archive, Env: map[string]string{"DB_PASSWORD": secret}})
	e.AddEventSource(account, kittest.Region, sim.EventSource{Function: "resize", Source: "arn:aws:sqs:eu-west-1:" + account + ":images"})
	e.AddFunction(account, kittest.Region, sim.Function{Name: "other"})
	e.AddBucket(account, sim.Bucket{Name: kittest.Evidence, Region: kittest.Region, ObjectLock: true})
}

// fetching is what a bench fetches code with.
type fetching struct {
	fetch lambda.Fetch
	made  []string
}

func bench(t testing.TB) (*kittest.Bench, *fetching) {
	t.Helper()
	f := &fetching{}
	b := kittest.New(t, lambda.Playbook(), lambda.Actions(func(ctx context.Context, address string) (io.ReadCloser, error) {
		f.made = append(f.made, address)
		return f.fetch(ctx, address)
	}), lambda.Closings(), world)
	f.fetch = lambda.HTTP(&http.Client{Transport: b.World.Transport()})
	b.Policy.Evidence.Bucket = kittest.Evidence
	b.Parallel = 1
	b.Target = respond.Target{Kind: finding.KindLambda, ID: "resize", Account: account, Region: kittest.Region}
	return b, f
}

func newBench(t *testing.T) *kittest.Bench { b, _ := bench(t); return b }

func reserved(b *kittest.Bench) (n *int32) {
	_ = b.World.Edit(func(e *sim.Editor) { n = e.Function(account, kittest.Region, "resize").Reserved })
	return n
}

func setReserved(b *kittest.Bench, n *int32) {
	_ = b.World.Edit(func(e *sim.Editor) { e.Function(account, kittest.Region, "resize").Reserved = n })
}

func TestNoNewInvocationStarts(t *testing.T) {
	t.Parallel()
	b, _ := bench(t)
	if b.World.Invoke(account, kittest.Region, "resize") != nil {
		t.Fatal("it must run before")
	}
	p, records := b.Contain()
	if err := b.World.Invoke(account, kittest.Region, "resize"); err == nil || !strings.Contains(err.Error(), "TooManyRequestsException") {
		t.Fatalf("%v", err)
	}
	if err := b.World.Invoke(account, kittest.Region, "other"); err != nil {
		t.Fatalf("another function was hit: %v", err)
	}
	if _, contained, open := b.Result(p, records); !contained || !kittest.Has(open, "at most 30 s") || !kittest.Has(open, "sessions of its role") {
		t.Fatalf("%t %v", contained, open)
	}
	if !kittest.Has(p.AlsoHits, "sqs:eu-west-1") {
		t.Fatalf("%v", p.AlsoHits)
	}
}

// Not set is not 0, and not the same as a number.
func TestUndoTellsNotSetFromANumber(t *testing.T) {
	t.Parallel()
	five, zero := int32(5), int32(0)
	for _, before := range []*int32{nil, &five, &zero} {
		b, _ := bench(t)
		setReserved(b, before)
		dump := b.Dump()
		p, records := b.Contain()
		if n := reserved(b); n == nil || *n != 0 {
			t.Fatal("it is not stopped")
		}
		b.Undo(p, records)
		if diff := cmp.Diff(before, reserved(b)); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(dump, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestTheCodeIsKeptWithTheHashThatAWSNames(t *testing.T) {
	t.Parallel()
	b, _ := bench(t)
	_, records := b.Contain()
	items, _, _ := respond.EvidenceOf(records["preserve/code"])
	sum := sha256.Sum256(archive)
	if len(items) != 1 || items[0].Kind != evidence.Code || items[0].SHA256 != hex.EncodeToString(sum[:]) || items[0].SizeBytes != int64(len(archive)) {
		t.Fatalf("%+v", items)
	}
	_ = b.World.Edit(func(e *sim.Editor) {
		key := strings.TrimPrefix(items[0].Location, "s3://"+kittest.Evidence+"/")
		if o := e.Object(kittest.Evidence, key); o == nil || string(o.Body) != string(archive) {
			t.Errorf("%+v", o)
		}
	})
}

// Neither a value of the environment nor the address of the code is in the plan,
// the records or the evidence.
func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	b, f := bench(t)
	w, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	p, records := b.Contain()
	plan, err := respond.Canonical(p)
	if err != nil {
		t.Fatal(err)
	}
	all, err := respond.Canonical(records)
	if err != nil {
		t.Fatal(err)
	}
	text := string(plan) + string(all) + string(w.Before)
	_ = b.World.Edit(func(e *sim.Editor) {
		for _, versions := range e.Bucket(kittest.Evidence).Objects {
			for _, o := range versions {
				text += string(o.Body)
			}
		}
	})
	if len(f.made) != 1 || !strings.Contains(text, "DB_PASSWORD") {
		t.Fatal("the names are kept, and the code is fetched once")
	}
	if strings.Contains(text, secret) || strings.Contains(text, "X-Amz-Signature") || strings.Contains(text, f.made[0]) {
		t.Fatal("a secret was kept")
	}
	if _, gaps, _ := respond.EvidenceOf(records["record/function"]); len(gaps) != 1 || !strings.Contains(gaps[0].What, "environment") {
		t.Fatalf("%v", gaps)
	}
}

func TestCodeThatIsAnotherThanAWSNamesIsNotKept(t *testing.T) {
	t.Parallel()
	b, f := bench(t)
	f.fetch = func(context.Context, string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("other")), nil
	}
	p := b.Plan()
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	r := records["preserve/code"]
	items, _, _ := respond.EvidenceOf(r)
	if r.State != playbook.Failed || r.Error.Code != fault.Conflict || len(items) != 0 {
		t.Fatalf("%+v", r)
	}
	if _, contained, _ := b.Result(p, records); !contained {
		t.Fatal("code that cannot be kept must not stop the containment")
	}
}

func TestAFetchThatFailsIsTriedAgainWithANewAddress(t *testing.T) {
	t.Parallel()
	b, f := bench(t)
	good := f.fetch
	f.fetch = func(ctx context.Context, address string) (io.ReadCloser, error) {
		if len(f.made) < 3 {
			return nil, errors.New("cut: " + address)
		}
		return good(ctx, address)
	}
	_, records := b.Contain()
	if len(f.made) != 3 || f.made[0] == f.made[2] || records["preserve/code"].Attempt != 3 {
		t.Fatalf("%d fetches, attempt %d", len(f.made), records["preserve/code"].Attempt)
	}
}

func TestAContainerImageStaysInItsRegistryAsAGap(t *testing.T) {
	t.Parallel()
	b, f := bench(t)
	_ = b.World.Edit(func(e *sim.Editor) { e.Function(account, kittest.Region, "resize").Image = "registry/resize@sha256:0" })
	p := b.Plan()
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	_, gaps, _ := respond.EvidenceOf(records["preserve/code"])
	if records["preserve/code"].State != playbook.Skipped || len(gaps) != 1 || !strings.Contains(gaps[0].Why, "registry/resize@sha256:0") || len(f.made) != 0 {
		t.Fatalf("%+v %v", records["preserve/code"], gaps)
	}
}

func TestHTTPSaysNothingOfTheAddress(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(srv.Close)
	fetch := lambda.HTTP(srv.Client())
	for _, address := range []string{srv.URL + "/x?X-Amz-Signature=secret", "http://127.0.0.1:1/x?X-Amz-Signature=secret", "://X-Amz-Signature=secret"} {
		_, err := fetch(context.Background(), address)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
		if strings.HasPrefix(address, "http") && fault.Of(err).Safe == "" {
			t.Errorf("%v does not say what is safe", err)
		}
	}
}

func TestAColleaguesNumberIsNotOverwritten(t *testing.T) {
	t.Parallel()
	b, _ := bench(t)
	p, records := b.Contain()
	seven := int32(7)
	setReserved(b, &seven)
	undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	if r := undone["undo/contain/concurrency"]; r.State != playbook.Failed || *reserved(b) != 7 {
		t.Fatalf("%+v", r)
	}
}

// AWS refuses a number that would leave too few for the other functions.
func TestAnUndoThatAWSRefusesSaysWhy(t *testing.T) {
	t.Parallel()
	b, _ := bench(t)
	n := int32(800)
	setReserved(b, &n)
	p, records := b.Contain()
	_ = b.World.Edit(func(e *sim.Editor) { e.Function(account, kittest.Region, "other").Reserved = &n })
	undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	if r := undone["undo/contain/concurrency"]; r.State != playbook.Failed || !strings.Contains(r.Message, "UnreservedConcurrentExecution") || *reserved(b) != 0 {
		t.Fatalf("%+v", r)
	}
}

func TestACrashAnywhereInTheRunOfAFunctionEndsTheSame(t *testing.T) {
	t.Parallel()
	whole := newBench(t)
	before := whole.Dump()
	whole.Contain()
	want := whole.Dump()
	kittest.Crashes(t, newBench, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
		if diff := cmp.Diff(want, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
		b.Undo(p, records)
		if diff := cmp.Diff(before, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestADeniedCallOfAFunctionIsNamed(t *testing.T) {
	t.Parallel()
	kittest.DeniedOnce(t, newBench, map[string]string{"Lambda.PutFunctionConcurrency": "lambda:PutFunctionConcurrency"})
}

func TestAFunctionThatCannotBeDescribedIsAClearError(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"nowhere": "describe function nowhere in eu-west-1", "a b": "is no name of a function"} {
		b, _ := bench(t)
		b.Target.ID = name
		if _, err := b.Describe(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v", err)
		}
	}
}

func TestGuardsOfAFunction(t *testing.T) {
	t.Parallel()
	b, _ := bench(t)
	_ = b.World.Edit(func(e *sim.Editor) {
		e.Function(account, kittest.Region, "resize").Tags = map[string]string{respond.TagNever: "yes"}
	})
	zero := int32(0)
	setReserved(b, &zero)
	d := b.Draft()
	if kittest.Guard(t, d, "never-touch").Answer != respond.Refuse || kittest.Guard(t, d, "already contained").Answer != respond.Warn {
		t.Fatalf("%+v", d.Guards)
	}
}

func TestTheCallsOfTheActionsAreThoseThatAreMade(t *testing.T) {
	t.Parallel()
	unset, three := newBench(t), newBench(t)
	n := int32(3)
	setReserved(three, &n)
	kittest.SameCalls(t, lambda.Actions(nil), []*kittest.Bench{unset, three, warmBench(t)}, "S3.GetObject")
}

func TestAnAbortAnywhereBeginsNothingAndCanBeUndone(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]func(t *testing.T) *kittest.Bench{"cold": newBench, "warm": warmBench} {
		t.Run(name, func(t *testing.T) { t.Parallel(); kittest.Stops(t, kittest.Stop{Fresh: fresh}) })
		t.Run(name+"-undo", func(t *testing.T) { t.Parallel(); kittest.UndoStops(t, kittest.Stop{Fresh: fresh}) })
	}
}

func TestADriftOfAFunctionIsFoundLater(t *testing.T) {
	t.Parallel()
	b, _ := bench(t)
	p, records := b.Contain()
	if d := b.Drift(p, records); len(d) != 0 {
		t.Fatal(d)
	}
	setReserved(b, nil)
	if d := b.Drift(p, records); len(d) != 1 || !strings.Contains(d[0], "is not set, not 0") {
		t.Fatal(d)
	}
}
