package proxy

import (
	"crypto/md5" //nolint:gosec // S3 asks for it
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// learnUpload remembers uploads of objects that have a lock of their own.
func (p *Proxy) learnUpload(r *request, a answer) answer {
	tree, err := parse(a.body)
	if err != nil || r.http.Header.Get("X-Amz-Object-Lock-Mode") == "" {
		return a
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.locked[tree.deep("UploadId")] = true
	return a
}

// guardPart asks for what S3 asks for of parts of an object that will be locked,
// and moto does not: their MD5, or another checksum.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func (p *Proxy) guardPart(r *request) answer {
	if sum := r.http.Header.Get("Content-Md5"); sum != "" {
		if have := md5.Sum(r.body); sum != base64.StdEncoding.EncodeToString(have[:]) { //nolint:gosec // S3 asks for it
			return r.no("BadDigest", "The Content-MD5 you specified did not match what we received.")
		}
		return answer{}
	}
	for name := range r.http.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") || name == "X-Amz-Trailer" {
			return answer{}
		}
	}
	p.mu.Lock()
	locked := p.state.locked[r.http.URL.Query().Get("uploadId")]
	p.mu.Unlock()
	if !locked && !p.retains(r) {
		return answer{}
	}
	return r.no("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters")
}

// retains reports whether the bucket of a request locks by itself what is put
// into it.
func (p *Proxy) retains(r *request) bool {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(r.http.URL.Path, "/"), "/")
	ask := *r
	ask.body = nil
	ask.http = r.http.Clone(r.http.Context())
	ask.http.Method = http.MethodGet
	ask.http.URL = &url.URL{Path: "/" + bucket, RawQuery: "object-lock"}
	ask.http.Header = http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=" + r.key + "/20260101/" + r.region + "/s3/aws4_request, SignedHeaders=host, Signature=0"}}
	a := p.forward(&ask)
	tree, err := parse(a.body)
	return err == nil && a.ok() && tree.deep("Mode") != ""
}
