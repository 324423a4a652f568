package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
)

// signed is a request as the SDK signs it.
func signed(t *testing.T, method, to, service, contentType, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIATEST/20261120/eu-central-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	r.Header.Set("Content-Type", contentType)
	return r
}

func TestWithoutARuleNoByteChangesThatNeedNot(t *testing.T) {
	t.Parallel()
	const oddXML = "<?xml version='1.0'?>\n<X  a='1'>\t<snapshotSet><item><snapshotId>snap-1</snapshotId></item></snapshotSet>&#65;</X >\n"
	type seen struct {
		Method, URI, Host, Body, Auth, Type string
	}
	var got []seen
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, seen{r.Method, r.URL.RequestURI(), r.Host, string(b), r.Header.Get("Authorization"), r.Header.Get("Content-Type")})
		w.Header().Set("X-Odd", "  kept ")
		w.Header()["x-amz-lower"] = []string{"a", "b"}
		w.Header().Set("Date", "Mon, 01 Jan 2024 00:00:00 GMT")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, oddXML)
	}))
	t.Cleanup(upstream.Close)
	p, err := proxy.Start(proxy.Options{Upstream: upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	form := "application/x-www-form-urlencoded; charset=utf-8"
	for _, c := range []struct{ method, path, service, contentType, body string }{
		{"POST", "/", "ec2", form, "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=a%2Bb&Filter.1.Value.1=c+d"},
		{"POST", "/", "ec2", form, "Action=DescribeSnapshots&Version=2016-11-15&SnapshotId.1=snap-1"},
		{"POST", "/", "ec2", form, "Action=DescribeVolumes&Version=2016-11-15"},
		{"POST", "/", "ec2", form, "Action=DescribeInstanceStatus&Version=2016-11-15"},
		{"POST", "/", "ec2", form, "Action=CreateTags&Version=2016-11-15&Tag.1.Key=%3C"},
		{"POST", "/", "iam", form, "Action=GetRolePolicy&Version=2010-05-08&RoleName=x"},
		{"GET", "/bucket/a%2Fb//c%20d?versionId=1&x", "s3", "", ""},
		{"PUT", "/bucket/a", "s3", "text/plain", "\x00\xff"},
		{"GET", "/2015-03-31/functions/f", "lambda", "", ""},
		{"POST", "/", "wafv2", "application/x-amz-json-1.1", `{"Id":"1"}`},
		{"POST", "/", "unknown", "text/plain", "x"},
	} {
		var answers []*http.Response
		var bodies [][]byte
		for _, base := range []string{upstream.URL, p.URL} {
			r := signed(t, c.method, base+c.path, c.service, c.contentType, c.body)
			r.Host = "service.eu-central-1.amazonaws.com"
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			answers, bodies = append(answers, resp), append(bodies, b)
		}
		if !bytes.Equal(bodies[0], bodies[1]) || answers[0].StatusCode != answers[1].StatusCode {
			t.Errorf("%s %s: the body changed: %q", c.path, c.body, bodies[1])
		}
		if d := cmp.Diff(answers[0].Header, answers[1].Header); d != "" {
			t.Errorf("%s %s: headers changed: %s", c.path, c.body, d)
		}
		if d := cmp.Diff(got[len(got)-2], got[len(got)-1]); d != "" {
			t.Errorf("%s %s: the request changed: %s", c.path, c.body, d)
		}
	}
}

func TestWhatMotoLacksIsAProblemThatNoTestOverlooks(t *testing.T) {
	t.Parallel()
	var told []string
	w := newWorld(t, proxy.Options{Problem: func(m string) { told = append(told, m) }})
	if _, err := w.ec2.DescribeSecurityGroupReferences(t.Context(), &ec2.DescribeSecurityGroupReferencesInput{GroupId: []string{"sg-1"}}); err == nil {
		t.Fatal("moto answers what it did not before")
	}
	want := []string{"EC2.DescribeSecurityGroupReferences: moto answered 500 with HTML"}
	if d := cmp.Diff(want, told); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, w.Problems()); d != "" {
		t.Error(d)
	}
}

func TestEveryCallIsRecordedWithItsTokenAndWithoutSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	_, err := w.ec2.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: aws.String("i-0123456789abcdef0"), Groups: []string{"sg-1", "sg-2"}})
	if err == nil {
		t.Fatal("an instance that is not there was changed")
	}
	w.volume(t, "a", ec2.CreateVolumeInput{ClientToken: aws.String("gr-1")})
	var changed, made proxy.Call
	for _, c := range w.Calls() {
		switch c.String() {
		case "EC2.ModifyInstanceAttribute":
			changed = c
		case "EC2.CreateVolume":
			made = c
		}
	}
	if changed.Account != w.account || changed.Region != region || changed.Params.Get("GroupId.2") != "sg-2" || changed.Status != http.StatusBadRequest || changed.Code != "InvalidInstanceID.NotFound" || changed.Invocation == "" {
		t.Errorf("%+v", changed)
	}
	if made.Token != "gr-1" || made.Status != http.StatusOK || made.N != changed.N+1 {
		t.Errorf("%+v", made)
	}
	if w.Count("STS.AssumeRole") != 1 || w.Calls()[0].Params != nil {
		t.Errorf("%+v", w.Calls()[0])
	}
}

func TestS3OperationsHaveTheirNames(t *testing.T) {
	t.Parallel()
	p, err := proxy.Start(proxy.Options{Upstream: motoURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/b?policy", "S3.GetBucketPolicy"}, {"PUT", "/b/?policy", "S3.PutBucketPolicy"}, {"DELETE", "/b?policy", "S3.DeleteBucketPolicy"}, {"GET", "/b?policyStatus", "S3.GetBucketPolicyStatus"},
		{"PUT", "/b?publicAccessBlock", "S3.PutPublicAccessBlock"}, {"GET", "/b?versioning", "S3.GetBucketVersioning"}, {"GET", "/b?list-type=2", "S3.ListObjectsV2"}, {"GET", "/b?object-lock", "S3.GetObjectLockConfiguration"},
		{"GET", "/b/k?tagging&versionId=1", "S3.GetObjectTagging"}, {"PUT", "/b/a/k", "S3.PutObject"}, {"HEAD", "/b/a/k", "S3.HeadObject"}, {"POST", "/b/k?uploads", "S3.CreateMultipartUpload"},
		{"PUT", "/b/k?uploadId=1&partNumber=1", "S3.UploadPart"}, {"POST", "/b/k?uploadId=1", "S3.CompleteMultipartUpload"}, {"GET", "/b/k?uploadId=1", "S3.ListParts"}, {"DELETE", "/b/k?uploadId=1", "S3.AbortMultipartUpload"},
	} {
		resp, err := http.DefaultClient.Do(signed(t, c.method, p.URL+c.path, "s3", "", ""))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		calls := p.Calls()
		if got := calls[len(calls)-1].String(); got != c.want {
			t.Errorf("%s %s is %s, not %s", c.method, c.path, got, c.want)
		}
	}
}
