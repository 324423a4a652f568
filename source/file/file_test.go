package file_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/internal/moto"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/file"
	"github.com/guardroom/guardroom/source/sourcetest"
)

var server *moto.Server

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if server, err = moto.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer server.Stop()
		return m.Run()
	}())
}

func client() *s3.Client {
	return s3.New(s3.Options{Region: "eu-central-1", BaseEndpoint: &server.URL, UsePathStyle: true, RetryMaxAttempts: 1, HTTPClient: http.DefaultClient,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
}

var names atomic.Int64

func bucket(t *testing.T) (string, *s3.Client) {
	t.Helper()
	c, name := client(), fmt.Sprintf("exports-%d", names.Add(1))
	_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: constraint()})
	if err != nil {
		t.Fatal(err)
	}
	return name, c
}

func put(t *testing.T, c *s3.Client, bucket, key string, body []byte) {
	t.Helper()
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(key), Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func ids(in *sourcetest.Intake) []string {
	var out []string
	in.Look(func(k sourcetest.Kept) {
		for id, n := range k.Findings {
			out = append(out, fmt.Sprintf("%s×%d", id, n))
		}
	})
	slices.Sort(out)
	return out
}

func TestEveryWrappingIsTakenFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sqsBatch := `{"Records":[{"messageId":"1","eventSource":"aws:sqs","body":` + sourcetest.Quote(sourcetest.Notification(sourcetest.Event("sqs"))) + `}]}`
	write(t, dir, map[string]string{
		"bare.json":          sourcetest.Finding("bare"),
		"event.json":         sourcetest.Event("event"),
		"list.json":          "[" + sourcetest.Finding("list-1") + ",\n" + sourcetest.Finding("list-2") + "]",
		"get-findings.json":  `{"Findings": [` + sourcetest.Finding("get") + `], "NextToken": ""}`,
		"sqs.json":           sqsBatch,
		"lines.jsonl":        sourcetest.Finding("line-1") + "\n" + sourcetest.Event("line-2") + "\n",
		"export.jsonl.gz":    string(pack(t, sourcetest.Finding("packed-1")+"\n"+sourcetest.Finding("packed-2")+"\n")),
		"members.gz":         string(pack(t, sourcetest.Finding("member-1")+"\n")) + string(pack(t, sourcetest.Finding("member-2")+"\n")),
		"deep/er/a.ndjson":   sourcetest.Finding("deep"),
		"notes.txt":          "not read",
		".hidden.json":       "not read",
		".git/objects/x.gz":  "not read",
		"broken.json":        `{"a":`,
		"several-lines.json": strings.ReplaceAll(sourcetest.Finding("pretty"), ",", ",\n  "),
	})
	var in sourcetest.Intake
	var seen []file.Progress
	s, err := file.Import(t.Context(), []string{dir}, &in, file.Options{Progress: func(p file.Progress) { seen = append(seen, p) }})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"bare", "deep", "event", "get", "line-1", "line-2", "list-1", "list-2", "member-1", "member-2", "packed-1", "packed-2", "pretty", "sqs"}
	for i := range want {
		want[i] += "×1"
	}
	if diff := cmp.Diff(want, ids(&in)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if s.Files != 11 || s.Failed != 0 || s.Receipt.Accepted != 14 || s.Receipt.Rejected != 1 {
		t.Errorf("summary %+v", s)
	}
	last := seen[len(seen)-1]
	if last.Files != 11 || last.Receipt.Accepted != 14 || last.Size <= 0 || last.Read != last.Size {
		t.Errorf("the last progress is %+v", last)
	}
	in.Look(func(k sourcetest.Kept) {
		if !slices.IsSortedFunc(k.Inputs, func(a, b source.Input) int { return strings.Compare(a.Position, b.Position) }) {
			t.Error("the files were not read in the order of their names")
		}
	})
}

func TestFileThatCannotBeReadDoesNotHideTheOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packed := string(pack(t, sourcetest.Finding("cut")+"\n"))
	write(t, dir, map[string]string{"cut.gz": packed[:len(packed)-6], "good.json": sourcetest.Finding("good"), "empty.json": " \n", "any-name": sourcetest.Finding("named")})
	empty := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	var in sourcetest.Intake
	s, err := file.Import(t.Context(), []string{filepath.Join(dir, "missing.json"), dir, empty, filepath.Join(dir, "any-name"), "s3://bucket/key", "s3://"}, &in, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cut×1", "good×1", "named×1"}, ids(&in)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var failed []string
	for _, f := range s.Failures {
		failed = append(failed, filepath.Base(f.Name)+": "+f.Err.Error())
	}
	want := []string{
		"missing.json: no such file or directory",
		"cut.gz: line 2: the data is damaged: unexpected EOF",
		"empty.json: it is empty",
		"link.json: no such file or directory",
		filepath.Base(empty) + ": the folder holds no .json, .jsonl, .ndjson or .gz file",
		"key: there is no way to AWS here",
		`s3:: "s3://" is not s3://bucket/prefix`,
	}
	if diff := cmp.Diff(want, failed); diff != "" || s.Failed != 7 || s.Files != 2 {
		t.Errorf("%d files, %d failed (-want +got)\n%s", s.Files, s.Failed, diff)
	}
}

func TestStandardInputIsReadOnce(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	s, err := file.Import(t.Context(), []string{"-", "-"}, &in, file.Options{AsHistory: true, Places: file.Places{Stdin: strings.NewReader(sourcetest.Finding("a"))}})
	if err != nil || s.Files != 1 || s.Failed != 1 {
		t.Fatalf("summary %+v, error %v", s, err)
	}
	in.Look(func(k sourcetest.Kept) {
		if i := k.Inputs[0]; i.Position != "stdin" || i.Source != "import" || !i.AsHistory || i.LookBack {
			t.Errorf("input %+v", i)
		}
	})
}

func TestLargeFileComesInPiecesThatKnowTheirLines(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 20_000 {
		text.WriteString(sourcetest.Finding(fmt.Sprint(i)) + "\n")
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"big.jsonl.gz": string(pack(t, text.String()))})
	var in sourcetest.Intake
	s, err := file.Import(t.Context(), []string{dir}, &in, file.Options{})
	if err != nil || s.Receipt.Accepted != 20_000 {
		t.Fatalf("summary %+v, error %v", s, err)
	}
	in.Look(func(k sourcetest.Kept) {
		line := 1
		for _, i := range k.Inputs {
			if i.FirstLine != line || len(i.Body) > 6<<20 {
				t.Errorf("a piece of %d bytes begins at line %d, want %d", len(i.Body), i.FirstLine, line)
			}
			line += bytes.Count(i.Body, []byte("\n"))
		}
		if len(k.Inputs) < 3 {
			t.Errorf("the file came in %d pieces", len(k.Inputs))
		}
	})
}

func TestImportEndsWhenNothingCanBeTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.json": sourcetest.Finding("a"), "b.json": sourcetest.Finding("b")})
	in := sourcetest.Intake{Before: func(context.Context, source.Input) error { return errors.New("disk full") }}
	_, err := file.Import(t.Context(), []string{dir}, &in, file.Options{})
	if err == nil || !strings.Contains(err.Error(), "a.json") || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v names neither file nor cause", err)
	}
	in.Look(func(k sourcetest.Kept) {
		if k.Tries != 1 {
			t.Errorf("%d tries", k.Tries)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := file.Import(ctx, []string{dir}, &in, file.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after cancelling", err)
	}
}

func TestObjectsAreImportedByKeyAndByPrefix(t *testing.T) {
	t.Parallel()
	b, c := bucket(t)
	put(t, c, b, "x/one.jsonl.gz", pack(t, sourcetest.Finding("one")+"\n"))
	put(t, c, b, "x/two.json", []byte(sourcetest.Event("two")))
	put(t, c, b, "x/readme.txt", []byte("not read"))
	put(t, c, b, "x/no-ending", []byte(sourcetest.Finding("exact")))
	put(t, c, b, "x/no-ending.json", []byte(sourcetest.Finding("longer")))
	places := file.Places{S3: func(string) file.S3 { return c }}
	for _, k := range []struct {
		path   string
		want   []string
		failed int
	}{
		{"s3://" + b + "/x/", []string{"longer×1", "one×1", "two×1"}, 0},
		{"s3://" + b, []string{"longer×1", "one×1", "two×1"}, 0},
		{"s3://" + b + "/x/no-ending", []string{"exact×1"}, 0},
		{"s3://" + b + "/none", nil, 1},
		{"s3://no-such-bucket-here/x", nil, 1},
	} {
		var in sourcetest.Intake
		s, err := file.Import(t.Context(), []string{k.path}, &in, file.Options{Places: places})
		if err != nil || s.Failed != k.failed {
			t.Errorf("%s: summary %+v, error %v", k.path, s, err)
		}
		if diff := cmp.Diff(k.want, ids(&in)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", k.path, diff)
		}
	}
}

func TestOnlyNamedBucketsAreFollowed(t *testing.T) {
	t.Parallel()
	asked := 0
	f := file.NewFetcher(func(string) file.S3 { asked++; return file.Broken(errors.New("asked")) }).Only([]string{"exports"})
	if _, err := f.Fetch(t.Context(), source.Reference{Bucket: "secrets", Key: "k"}); !errors.Is(err, source.ErrNotFollowed) {
		t.Errorf("another bucket: %v", err)
	}
	if asked != 0 {
		t.Error("S3 was asked for a bucket that nobody named")
	}
	if _, err := f.Fetch(t.Context(), source.Reference{Bucket: "exports", Key: "k"}); err == nil || errors.Is(err, source.ErrNotFollowed) || asked != 1 {
		t.Errorf("the named bucket: %v, asked %d times", err, asked)
	}
}
