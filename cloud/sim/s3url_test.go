package sim

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

func begin(t *testing.T, c s3Client, key string) *s3.CreateMultipartUploadOutput {
	t.Helper()
	return val(c.CreateMultipartUpload(context.Background(), &s3.CreateMultipartUploadInput{Bucket: aws.String("evidence"), Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmSha256}))(t)
}

// send puts a part to its pre-signed address.
func send(t *testing.T, w *restWorld, c s3Client, u *s3.CreateMultipartUploadOutput, number int32, body []byte) int {
	t.Helper()
	p := val(c.PresignUploadPart(context.Background(), &s3.UploadPartInput{Bucket: u.Bucket, Key: u.Key, UploadId: u.UploadId, PartNumber: &number}, s3.WithPresignExpires(time.Hour)))(t)
	return carry(t, w, p.Method, p.URL, body)
}

func carry(t *testing.T, w *restWorld, method, url string, body []byte, headers ...string) int {
	t.Helper()
	req := val(http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body)))(t)
	for n := 0; n+1 < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	res := val((&http.Client{Transport: w.Transport()}).Do(req))(t)
	defer res.Body.Close()
	return res.StatusCode
}

func complete(c s3Client, u *s3.CreateMultipartUploadOutput, none *string, parts ...types.CompletedPart) error {
	_, err := c.CompleteMultipartUpload(context.Background(), &s3.CompleteMultipartUploadInput{Bucket: u.Bucket, Key: u.Key, UploadId: u.UploadId, IfNoneMatch: none, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	return err
}

func TestPartsBecomeAnObject(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores)
	c := s3Client{w.in(awscalls.Forensics, forensic, home)}
	u := begin(t, c, "memory")
	large, small := bytes.Repeat([]byte("x"), partLeast), []byte("end")
	for n, body := range map[int32][]byte{1: large, 2: []byte("replaced"), 3: small} {
		if status := send(t, w, c, u, n, body); status != http.StatusOK {
			t.Fatalf("part %d: status %d", n, status)
		}
	}
	send(t, w, c, u, 2, large)
	var parts []types.CompletedPart
	in := &s3.ListPartsInput{Bucket: u.Bucket, Key: u.Key, UploadId: u.UploadId, MaxParts: aws.Int32(2)}
	for {
		o := val(c.ListParts(ctx, in))(t)
		for _, p := range o.Parts {
			parts = append(parts, types.CompletedPart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumSHA256: p.ChecksumSHA256})
		}
		if !*o.IsTruncated {
			break
		}
		in.PartNumberMarker = o.NextPartNumberMarker
	}
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	wantCode(t, complete(c, u, nil), "MalformedXML")
	wantCode(t, complete(c, u, nil, parts[1], parts[0]), "InvalidPartOrder")
	wantCode(t, complete(c, u, nil, parts[2], types.CompletedPart{PartNumber: aws.Int32(9), ETag: aws.String("x")}), "EntityTooSmall")
	wantCode(t, complete(c, u, nil, types.CompletedPart{PartNumber: aws.Int32(1), ETag: aws.String("x")}), "InvalidPart")
	wantCode(t, complete(c, u, aws.String("*"), parts...), "")
	wantCode(t, complete(c, u, nil, parts...), "NoSuchUpload")
	_, err := c.ListParts(ctx, in)
	wantCode(t, err, "NoSuchUpload")
	o := val(c.GetObject(ctx, &s3.GetObjectInput{Bucket: u.Bucket, Key: u.Key, ChecksumMode: types.ChecksumModeEnabled}))(t)
	if body := val(io.ReadAll(o.Body))(t); !bytes.Equal(body, append(append(bytes.Clone(large), large...), small...)) {
		t.Errorf("%d bytes", len(body))
	}
	if !strings.HasSuffix(*o.ETag, `-3"`) || !strings.HasSuffix(*o.ChecksumSHA256, "-3") || o.ChecksumType != types.ChecksumTypeComposite {
		t.Errorf("ETag %s, checksum %s %s", *o.ETag, *o.ChecksumSHA256, o.ChecksumType)
	}
	again := begin(t, c, "memory")
	send(t, w, c, again, 1, small)
	wantCode(t, complete(c, again, aws.String("*"), types.CompletedPart{PartNumber: aws.Int32(1), ETag: aws.String(etag(small))}), "PreconditionFailed")
	_, err = c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: u.Bucket, Key: u.Key, UploadId: again.UploadId})
	wantCode(t, err, "")
	if status := send(t, w, c, again, 2, small); status != http.StatusNotFound {
		t.Errorf("a part after the abort: status %d", status)
	}
}

func TestPartsOfWhatIsLockedNeedTheirMD5(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores)
	c := s3Client{w.in(awscalls.Forensics, forensic, home)}
	open := func(in s3.CreateMultipartUploadInput) string {
		in.Bucket, in.Key = aws.String("evidence"), aws.String("memory")
		u := val(c.CreateMultipartUpload(ctx, &in))(t)
		return val(c.PresignUploadPart(ctx, &s3.UploadPartInput{Bucket: u.Bucket, Key: u.Key, UploadId: u.UploadId, PartNumber: aws.Int32(1)}))(t).URL
	}
	free := open(s3.CreateMultipartUploadInput{})
	locked := open(s3.CreateMultipartUploadInput{ObjectLockMode: types.ObjectLockModeGovernance, ObjectLockRetainUntilDate: aws.Time(restStart.AddDate(0, 0, 1))})
	w.edit(func(e *Editor) {
		e.Bucket("evidence").RetentionMode, e.Bucket("evidence").RetentionDays = "GOVERNANCE", 30
	})
	retained := open(s3.CreateMultipartUploadInput{})
	body := []byte("a part")
	for name, p := range map[string]struct {
		url, sum string
		status   int
	}{
		"not locked, without":          {free, "", http.StatusOK},
		"not locked, a wrong one":      {free, md5Of(nil), http.StatusBadRequest},
		"locked, without":              {locked, "", http.StatusBadRequest},
		"locked, with":                 {locked, md5Of(body), http.StatusOK},
		"locked, a wrong one":          {locked, md5Of(nil), http.StatusBadRequest},
		"a default retention":          {retained, md5Of(body), http.StatusOK},
		"a default retention, without": {retained, "", http.StatusBadRequest},
	} {
		var headers []string
		if p.sum != "" {
			headers = []string{"Content-MD5", p.sum}
		}
		if got := carry(t, w, http.MethodPut, p.url, body, headers...); got != p.status {
			t.Errorf("%s: status %d", name, got)
		}
	}
	val(c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("evidence"), Key: aws.String("kept"), Body: bytes.NewReader(body)}))(t)
	h := val(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("evidence"), Key: aws.String("kept")}))(t)
	if h.ObjectLockMode != types.ObjectLockModeGovernance || !h.ObjectLockRetainUntilDate.Equal(restStart.AddDate(0, 0, 30)) {
		t.Errorf("locked %s until %v", h.ObjectLockMode, h.ObjectLockRetainUntilDate)
	}
}

func TestAPresignedAddressDoesOneThingForATime(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores)
	c := s3Client{w.act()}
	get := val(c.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("data"), Key: aws.String("a/1")}, s3.WithPresignExpires(time.Minute)))(t)
	if body := val(w.Fetch(get.URL))(t); string(body) != "one" {
		t.Errorf("fetched %q", body)
	}
	if s := carry(t, w, http.MethodPut, get.URL, []byte("two")); s != http.StatusForbidden {
		t.Errorf("written by an address for reading: %d", s)
	}
	if s := carry(t, w, http.MethodGet, strings.Replace(get.URL, "a/1", "a/2", 1), nil); s != http.StatusForbidden {
		t.Errorf("another key: %d", s)
	}
	if _, err := (&http.Client{Transport: w.Transport()}).Get("https://example.com/"); err == nil {
		t.Error("the world answers for another host")
	}
	w.edit(func(e *Editor) {
		e.Bucket("data").Policy = `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}}`
	})
	_, err := w.Fetch(get.URL)
	wantCode(t, err, "AccessDenied")
	w.edit(func(e *Editor) { e.Bucket("data").Policy = "" })
	w.pass(61 * time.Second)
	_, err = w.Fetch(get.URL)
	wantCode(t, err, "AccessDenied")
	if n := len(w.Calls()); n != 0 {
		t.Errorf("%d calls were counted that nobody made with credentials", n)
	}
}

func TestAPresignedAddressWorksBehindAServer(t *testing.T) {
	t.Parallel()
	var w *restWorld
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.ServeHTTP(rw, r) }))
	defer server.Close()
	w = newRest(t, Options{URL: server.URL}, stores)
	p := val(s3Client{w.act()}.PresignGetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String("data"), Key: aws.String("a/1")}))(t)
	res := val(server.Client().Get(p.URL))(t)
	defer res.Body.Close()
	if body := val(io.ReadAll(res.Body))(t); string(body) != "one" {
		t.Errorf("%s: %q", res.Status, body)
	}
}
