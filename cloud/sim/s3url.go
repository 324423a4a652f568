package sim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/respond/awscalls"
)

var _ awscalls.Presigner = s3Client{}

// simulatedHost is where pre-signed addresses point if the options do not say.
const simulatedHost = "https://s3.simulated.invalid"

func (w *World) base() string { return orText(w.opts.URL, simulatedHost) }

// PresignGetObject implements awscalls.Presigner.
func (c s3Client) PresignGetObject(_ context.Context, in *s3.GetObjectInput, opts ...func(*s3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
	q := url.Values{}
	if v := aws.ToString(in.VersionId); v != "" {
		q.Set("versionId", v)
	}
	return c.presign(http.MethodGet, aws.ToString(in.Bucket), aws.ToString(in.Key), q, opts)
}

// PresignUploadPart implements awscalls.Presigner.
func (c s3Client) PresignUploadPart(_ context.Context, in *s3.UploadPartInput, opts ...func(*s3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
	q := url.Values{"partNumber": {strconv.Itoa(int(aws.ToInt32(in.PartNumber)))}, "uploadId": {aws.ToString(in.UploadId)}}
	return c.presign(http.MethodPut, aws.ToString(in.Bucket), aws.ToString(in.Key), q, opts)
}

func (c s3Client) presign(method, bucket, key string, q url.Values, opts []func(*s3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
	o := s3.PresignOptions{}
	for _, f := range opts {
		f(&o)
	}
	if o.Expires <= 0 {
		o.Expires = 15 * time.Minute
	}
	q.Set("X-Amz-Credential", strings.Join([]string{string(c.place.Role), c.place.Account, c.place.Region}, "/"))
	q.Set("X-Amz-Date", c.w.now().Format(time.RFC3339Nano))
	q.Set("X-Amz-Expires", strconv.Itoa(int(o.Expires.Seconds())))
	path := (&url.URL{Path: "/" + bucket + "/" + key}).EscapedPath()
	q.Set("X-Amz-Signature", signature(method, path, q))
	return &v4.PresignedHTTPRequest{URL: c.w.base() + path + "?" + q.Encode(), Method: method, SignedHeader: http.Header{}}, nil
}

// signature binds an address to its parts; the simulation has no secrets, so it
// shows tampering and no more.
func signature(method, path string, q url.Values) string {
	signed := url.Values{}
	for k, v := range q {
		if k != "X-Amz-Signature" {
			signed[k] = v
		}
	}
	m := hmac.New(sha256.New, []byte("simulated"))
	fmt.Fprintf(m, "%s\n%s\n%s", method, path, signed.Encode())
	return hex.EncodeToString(m.Sum(nil))
}

// ServeHTTP serves pre-signed addresses as S3 does. It may stand behind a server,
// or behind Transport.
func (w *World) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeFailure(rw, http.StatusBadRequest, "IncompleteBody", err.Error())
		return
	}
	answer, tag, err := w.presigned(r.Method, r.URL, r.Header.Get("Content-MD5"), body)
	if err != nil {
		code, status := codeOf(err), http.StatusForbidden
		switch code {
		case "NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NoSuchVersion":
			status = http.StatusNotFound
		case "InvalidArgument", "MethodNotAllowed", "InvalidRequest", "BadDigest":
			status = http.StatusBadRequest
		}
		writeFailure(rw, status, code, err.Error())
		return
	}
	rw.Header().Set("ETag", tag)
	rw.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	rw.Header().Set("Content-Type", "application/octet-stream")
	_, _ = rw.Write(answer) //nolint:gosec // an object of the simulation, not a page; nobody is told of a reader that went away
}

// presigned does what a pre-signed address allows. It is done with the rights
// that its signer has now.
func (w *World) presigned(method string, u *url.URL, sum string, body []byte) (answer []byte, tag string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answer, tag, err = w.presignedLocked(method, u, sum, body)
	if err == nil && method == http.MethodPut {
		err = w.save()
	}
	return answer, tag, err
}

func (w *World) presignedLocked(method string, u *url.URL, sum string, body []byte) (answer []byte, tag string, err error) {
	q := u.Query()
	path := u.EscapedPath()
	if !hmac.Equal([]byte(signature(method, path, q)), []byte(q.Get("X-Amz-Signature"))) {
		return nil, "", fail("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	}
	at, errAt := time.Parse(time.RFC3339Nano, q.Get("X-Amz-Date"))
	seconds, errSeconds := strconv.Atoi(q.Get("X-Amz-Expires"))
	if errAt != nil || errSeconds != nil || w.now().After(at.Add(time.Duration(seconds)*time.Second)) {
		return nil, "", fail("AccessDenied", "Request has expired")
	}
	signer := strings.Split(q.Get("X-Amz-Credential"), "/")
	bucket, key, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if signer[0] == codeSigner {
		f, err := w.functionCode(signer[1], signer[2], key)
		return f, "", err
	}
	c := s3Client{w.clientFor(awscalls.Place{Role: awscalls.Role(signer[0]), Account: signer[1], Region: signer[2]})}
	call := Call{Service: "S3", Operation: "GetObject", Place: c.place}
	if method == http.MethodPut {
		call.Operation = "UploadPart"
	}
	if err := w.denied(call); err != nil {
		return nil, "", err
	}
	b, err := c.enter(call, bucket, key)
	if err != nil {
		return nil, "", err
	}
	if method == http.MethodPut {
		number, _ := strconv.Atoi(q.Get("partNumber")) // signed by us
		p, err := w.putPart(b, q.Get("uploadId"), key, number, sum, body)
		if err != nil {
			return nil, "", err
		}
		return nil, p.ETag, nil
	}
	version := q.Get("versionId")
	o, err := b.version(&key, &version)
	if err != nil {
		return nil, "", err
	}
	return bytes.Clone(o.Body), o.ETag, nil
}

func writeFailure(rw http.ResponseWriter, status int, code, message string) {
	rw.Header().Set("Content-Type", "application/xml")
	rw.WriteHeader(status)
	_, _ = fmt.Fprintf(rw, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, xmlText.Replace(message)) //nolint:gosec // escaped, and XML
}

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Fetch gets a pre-signed address of this world.
func (w *World) Fetch(address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("fetch from the simulated AWS: %w", err)
	}
	body, _, err := w.presigned(http.MethodGet, u, "", nil)
	return body, err
}

// Transport carries requests for pre-signed addresses to this world, without a
// network. Requests to other hosts fail.
func (w *World) Transport() http.RoundTripper { return transport{w} }

type transport struct{ w *World }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(r.URL.String(), t.w.base()+"/") {
		return nil, fmt.Errorf("%s is outside the simulated AWS", r.URL.Host)
	}
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	a := &answer{header: http.Header{}, status: http.StatusOK}
	t.w.ServeHTTP(a, r)
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: a.header,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: r,
	}, nil
}

// answer keeps what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
