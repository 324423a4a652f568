package proxy_test

import (
	"bytes"
	"crypto/md5" //nolint:gosec // S3 asks for it
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
)

func TestPartsOfWhatIsLockedNeedTheirMD5(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	ctx := t.Context()
	c := s3.NewFromConfig(w.as(w.account), func(o *s3.Options) { o.UsePathStyle = true })
	place := &types.CreateBucketConfiguration{LocationConstraint: region}
	name := func(what string) *string { return aws.String("parts-" + what + "-" + w.account) }
	for _, what := range []string{"free", "locked", "retained"} {
		must[*s3.CreateBucketOutput](t)(c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: name(what), CreateBucketConfiguration: place, ObjectLockEnabledForBucket: aws.Bool(what != "free")}))
	}
	must[*s3.PutObjectLockConfigurationOutput](t)(c.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: name("retained"), ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}}}}))
	body := []byte("a part")
	sum := md5.Sum(body) //nolint:gosec // S3 asks for it
	right, wrong := base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(make([]byte, 16))
	for _, what := range []string{"free", "locked", "retained"} {
		in := &s3.CreateMultipartUploadInput{Bucket: name(what), Key: aws.String("memory")}
		if what == "locked" {
			in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeGovernance, aws.Time(time.Now().AddDate(1, 0, 0))
		}
		u := must[*s3.CreateMultipartUploadOutput](t)(c.CreateMultipartUpload(ctx, in))
		p, err := s3.NewPresignClient(c).PresignUploadPart(ctx, &s3.UploadPartInput{Bucket: u.Bucket, Key: u.Key, UploadId: u.UploadId, PartNumber: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		for md5, status := range map[string]int{right: http.StatusOK, wrong: http.StatusBadRequest, "": map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[what == "free"]} {
			r, err := http.NewRequestWithContext(ctx, http.MethodPut, p.URL, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if md5 != "" {
				r.Header.Set("Content-MD5", md5)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("%s, MD5 %q: status %d", what, md5, resp.StatusCode)
			}
		}
	}
}
