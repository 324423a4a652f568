package file_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/file"
	"github.com/guardroom/guardroom/source/sourcetest"
)

func constraint() *types.CreateBucketConfiguration {
	return &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraintEuCentral1}
}

// cursors keeps cursors in memory.
type cursors struct {
	mu   sync.Mutex
	kept map[string]string
	sets int
	fail error
}

func (c *cursors) Cursor(_ context.Context, name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[name], nil
}

func (c *cursors) SetCursor(_ context.Context, name, value string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	if c.kept == nil {
		c.kept = map[string]string{}
	}
	c.kept[name] = value
	c.sets++
	return nil
}

// shelf is a bucket in memory whose objects have any time, which moto's have
// not, and which counts what is asked.
type shelf struct {
	mu      sync.Mutex
	objects map[string]entry
	denied  func(key string) bool
	lists   []string // prefixes
	gets    []string
	page    int // size of a page; 0: 1000
}

type entry struct {
	body     string
	modified time.Time
}

func (s *shelf) put(key, body string, modified time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects = map[string]entry{}
	}
	s.objects[key] = entry{body, modified}
}

func (s *shelf) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	prefix, delimiter, after := aws.ToString(in.Prefix), aws.ToString(in.Delimiter), aws.ToString(in.ContinuationToken)
	if after == "" {
		s.lists = append(s.lists, prefix)
	}
	var names []string
	folders := map[string]bool{}
	for key := range s.objects {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, "/"); delimiter != "" && i >= 0 {
			key = prefix + rest[:i+1]
			if folders[key] {
				continue
			}
			folders[key] = true
		}
		names = append(names, key)
	}
	slices.Sort(names)
	out := &s3.ListObjectsV2Output{IsTruncated: aws.Bool(false)}
	size := s.page
	if size == 0 {
		size = 1000
	}
	for _, n := range names {
		if n <= after {
			continue
		}
		if size == 0 {
			out.IsTruncated = aws.Bool(true)
			break
		}
		size--
		out.NextContinuationToken = aws.String(n)
		if folders[n] {
			out.CommonPrefixes = append(out.CommonPrefixes, types.CommonPrefix{Prefix: aws.String(n)})
			continue
		}
		e := s.objects[n]
		out.Contents = append(out.Contents, types.Object{Key: aws.String(n), ETag: aws.String(fmt.Sprint(len(e.body), e.modified.Unix())),
			Size: aws.Int64(int64(len(e.body))), LastModified: &e.modified})
	}
	return out, nil
}

func (s *shelf) GetObject(_ context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := aws.ToString(in.Key)
	s.gets = append(s.gets, key)
	if s.denied != nil && s.denied(key) {
		return nil, errors.New("AccessDenied: kms:Decrypt")
	}
	e, ok := s.objects[key]
	if !ok {
		return nil, &types.NoSuchKey{}
	}
	return &s3.GetObjectOutput{Body: body{strings.NewReader(e.body)}}, nil
}

type body struct{ *strings.Reader }

func (body) Close() error { return nil }

var noon = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

// day is the folder of a day of one account's export.
func day(at time.Time) string {
	return "AWSLogs/111111111111/GuardDuty/eu-central-1/" + at.Format("2006/01/02/")
}

// clock is a clock that a test sets.
type clock struct{ at atomic.Int64 }

func newClock(t time.Time) *clock {
	c := &clock{}
	c.set(t)
	return c
}

func (c *clock) set(t time.Time) { c.at.Store(t.UnixNano()) }
func (c *clock) now() time.Time  { return time.Unix(0, c.at.Load()).UTC() }

func poller(t *testing.T, api file.S3, in source.Intake, c file.Cursors, now func() time.Time) *file.Poller {
	t.Helper()
	p, err := file.NewPoller(config.S3Source{Name: "export", URL: "s3://exports/"}, api, in, c, file.Deps{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPollerTakesEachObjectOnceAndLateOnesToo(t *testing.T) {
	t.Parallel()
	s := &shelf{page: 2}
	at := newClock(noon)
	var in sourcetest.Intake
	var c cursors
	s.put(day(noon)+"a.jsonl.gz", string(pack(t, sourcetest.Finding("a")+"\n")), noon.Add(-time.Hour))
	s.put(day(noon)+"b.jsonl.gz", string(pack(t, sourcetest.Finding("b")+"\n")), noon.Add(-time.Minute))
	s.put("AWSLogs/111111111111/CloudTrail/x.txt", "not findings", noon)
	poll := func() {
		t.Helper()
		// A new poller each time: everything it knows is in the cursor.
		if err := poller(t, s, &in, &c, at.now).Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	poll()
	poll()
	if diff := cmp.Diff([]string{"a×1", "b×1"}, ids(&in)); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	// The next day; one object belongs to yesterday's folder and is older than
	// what was taken already.
	at.set(noon.Add(14 * time.Hour))
	s.put(day(noon)+"late.jsonl", sourcetest.Finding("late"), noon.Add(-30*time.Minute))
	s.put(day(noon.Add(14*time.Hour))+"c.jsonl", sourcetest.Finding("c"), noon.Add(13*time.Hour))
	poll()
	// The same key written again is another object.
	s.put(day(noon)+"b.jsonl.gz", string(pack(t, sourcetest.Finding("b2")+"\n")), noon.Add(14*time.Hour))
	poll()
	poll()
	if diff := cmp.Diff([]string{"a×1", "b2×1", "b×1", "c×1", "late×1"}, ids(&in)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPollerLeavesOutTheFoldersOfDaysThatAreOver(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	var in sourcetest.Intake
	var c cursors
	for d := range 400 {
		at := noon.AddDate(0, 0, -d)
		s.put(day(at)+"x.jsonl", sourcetest.Finding(fmt.Sprint(d)), at)
	}
	p := poller(t, s, &in, &c, func() time.Time { return noon })
	if err := p.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.Look(func(k sourcetest.Kept) {
		if n := len(k.Findings); n != 91 {
			t.Errorf("the first poll took %d days, want the 90 that GuardDuty keeps and today", n)
		}
	})
	s.lists, s.gets = nil, nil
	if err := p.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.gets) != 0 || len(s.lists) > 12 {
		t.Errorf("the second poll read %d objects and listed %d folders: %q", len(s.gets), len(s.lists), s.lists)
	}
}

func TestVeryFirstPollLooksBackEvenIfItNeedsSeveralTries(t *testing.T) {
	t.Parallel()
	s := &shelf{denied: func(key string) bool { return strings.Contains(key, "b.jsonl") }}
	at := newClock(noon)
	var in sourcetest.Intake
	var c cursors
	s.put(day(noon)+"a.jsonl", sourcetest.Finding("a"), noon.Add(-2*time.Hour))
	s.put(day(noon)+"b.jsonl", sourcetest.Finding("b"), noon.Add(-time.Hour))
	p := poller(t, s, &in, &c, at.now)
	if err := p.Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "kms:Decrypt") {
		t.Fatalf("error %v", err)
	}
	s.denied = nil
	at.set(noon.Add(time.Hour))
	if err := p.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.put(day(noon)+"c.jsonl", sourcetest.Finding("c"), noon.Add(time.Hour))
	if err := p.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	in.Look(func(k sourcetest.Kept) {
		for _, i := range k.Inputs {
			got = append(got, fmt.Sprint(i.Position[len(i.Position)-7:], i.LookBack, i.AnnounceAfter.Equal(noon.Add(-24*time.Hour)), i.Source))
		}
	})
	want := []string{"a.jsonltrue trues3:export", "b.jsonltrue trues3:export", "c.jsonlfalse falses3:export"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestObjectThatFailsForEverIsParkedOnlyIfOthersWork(t *testing.T) {
	t.Parallel()
	s := &shelf{denied: func(key string) bool { return strings.Contains(key, "bad") }}
	at := newClock(noon)
	var in sourcetest.Intake
	var c cursors
	p := poller(t, s, &in, &c, at.now)
	s.put(day(noon)+"bad.jsonl", sourcetest.Finding("bad"), noon.Add(-time.Hour))
	for range 8 {
		if err := p.Poll(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	in.Look(func(k sourcetest.Kept) {
		if len(k.Parked) > 0 {
			t.Fatal("parked although nothing could be read")
		}
	})
	at.set(noon.Add(3 * 24 * time.Hour)) // the floor must not have moved past it
	s.put(day(at.now())+"good.jsonl", sourcetest.Finding("good"), at.now())
	if err := p.Poll(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if err := p.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.Look(func(k sourcetest.Kept) {
		if len(k.Parked) != 1 || !strings.HasSuffix(k.Parked[0].Input.Position, "bad.jsonl") || k.Findings["good"] != 1 {
			t.Errorf("parked %+v, taken %v", k.Parked, k.Findings)
		}
	})
}

func TestBucketThatRefusesEverythingIsNotAskedForAllOfIt(t *testing.T) {
	t.Parallel()
	s := &shelf{denied: func(string) bool { return true }}
	var in sourcetest.Intake
	for i := range 500 {
		s.put(day(noon)+fmt.Sprintf("%03d.jsonl", i), "x", noon)
	}
	if err := poller(t, s, &in, &cursors{}, func() time.Time { return noon }).Poll(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if len(s.gets) != 5 {
		t.Errorf("%d objects were asked for", len(s.gets))
	}
}

func TestCursorStaysSmallHoweverManyObjectsThereAre(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	var c cursors
	const n = 30_000
	api := &flat{n: n, at: noon}
	p := poller(t, api, &in, &c, func() time.Time { return noon })
	if err := p.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.Look(func(k sourcetest.Kept) {
		if len(k.Inputs) != n {
			t.Fatalf("%d objects were taken", len(k.Inputs))
		}
	})
	if size := len(c.kept["s3:export"]); size > 800<<10 {
		t.Errorf("the cursor holds %d bytes", size)
	}
	if err := p.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.Look(func(k sourcetest.Kept) {
		if len(k.Inputs) != n {
			t.Errorf("the second poll took %d objects again", len(k.Inputs)-n)
		}
	})
}

// flat lists n objects of the last 20 hours.
type flat struct {
	n  int
	at time.Time
}

func (f *flat) ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	out := &s3.ListObjectsV2Output{}
	for i := range f.n {
		out.Contents = append(out.Contents, types.Object{Key: aws.String(fmt.Sprintf("%06d.json", i)), ETag: aws.String("e"),
			LastModified: aws.Time(f.at.Add(-20*time.Hour + time.Duration(i)*2*time.Second))})
	}
	return out, nil
}

func (f *flat) GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	return &s3.GetObjectOutput{Body: body{strings.NewReader(`{"detail-type":"x","detail":{}}`)}}, nil
}

func TestStoreThatDoesNotKeepTheCursorEndsThePoll(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	for i := range 120 {
		s.put(day(noon)+fmt.Sprintf("%03d.json", i), sourcetest.Finding(fmt.Sprint(i)), noon)
	}
	var in sourcetest.Intake
	c := cursors{fail: errors.New("disk full")}
	if err := poller(t, s, &in, &c, func() time.Time { return noon }).Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("error %v", err)
	}
	in.Look(func(k sourcetest.Kept) {
		if len(k.Inputs) != 50 {
			t.Errorf("%d objects were taken before the first save", len(k.Inputs))
		}
	})
}

func TestPollerRunsOnMotoUntilItIsStopped(t *testing.T) {
	t.Parallel()
	b, c := bucket(t)
	now := time.Now().UTC()
	put(t, c, b, "logs/"+day(now)+"a.jsonl.gz", pack(t, sourcetest.Finding("a")+"\n"))
	put(t, c, b, "other/"+day(now)+"b.jsonl.gz", pack(t, sourcetest.Finding("b")+"\n"))
	var in sourcetest.Intake
	polled := make(chan error, 100)
	looked := make(chan string, 100)
	p, err := file.NewPoller(config.S3Source{Name: "moto", URL: "s3://" + b + "/logs/", Interval: config.Duration(time.Minute)}, c, &in, &cursors{}, file.Deps{TimeScale: 600,
		Polled: func(err error) { polled <- err }, Looked: func(_ context.Context, name, trouble string) error { looked <- name + trouble; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	if err := <-polled; err != nil {
		t.Fatal(err)
	}
	put(t, c, b, "logs/"+day(now)+"c.jsonl.gz", pack(t, sourcetest.Finding("c")+"\n"))
	in.Await(t, "the second object", func(k sourcetest.Kept) bool { return k.Findings["c"] == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a×1", "c×1"}, ids(&in)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := <-looked; got != "s3:moto" {
		t.Errorf("noted %q", got)
	}
}

func TestFetcherReadsTheObjectOfAReference(t *testing.T) {
	t.Parallel()
	b, c := bucket(t)
	put(t, c, b, "a b/ü.jsonl.gz", pack(t, sourcetest.Finding("x")+"\n"))
	var region string
	f := file.NewFetcher(func(r string) file.S3 { region = r; return c })
	var in sourcetest.Intake
	r, err := source.Follow(t.Context(), &in, f, source.Input{Body: []byte(sourcetest.S3Event(b, "a b/ü.jsonl.gz"))})
	if err != nil || r.Accepted != 1 || region != "eu-central-1" {
		t.Errorf("receipt %+v from %q, error %v", r, region, err)
	}
}
