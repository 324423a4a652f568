package cloud_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// forms is an EC2 that keeps what it is sent.
type forms struct {
	mu   sync.Mutex
	got  []url.Values
	fail bool
}

func (f *forms) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case form.Get("Action") == "GetCallerIdentity":
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>`+second+`</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	case f.fail:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `<Response><Errors><Error><Code>ResourceLimitExceeded</Code><Message>Too many copies.</Message></Error></Errors><RequestID>1</RequestID></Response>`)
	default:
		f.got = append(f.got, form)
		_, _ = io.WriteString(w, `<CopySnapshotResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><snapshotId>snap-2</snapshotId><tagSet><item><key>a</key><value>b</value></item></tagSet></CopySnapshotResponse>`)
	}
}

// whole is an input in which nothing is empty: a field that a later SDK adds is
// filled too, and is missed by the comparison.
func whole(t *testing.T) *ec2.CopySnapshotInput {
	t.Helper()
	in := &ec2.CopySnapshotInput{SourceRegion: aws.String("eu-west-1"), TagSpecifications: []types.TagSpecification{
		{ResourceType: types.ResourceTypeSnapshot, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("a & b=ü+ ~/")}, {Key: aws.String("empty"), Value: aws.String("")}}},
		{ResourceType: types.ResourceTypeVolume, Tags: []types.Tag{{Key: aws.String("only")}}}}}
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if !f.CanSet() || name == "PresignedUrl" || !f.IsZero() {
			continue
		}
		switch f.Type() {
		case reflect.TypeFor[*string]():
			f.Set(reflect.ValueOf(aws.String(name + " of the test")))
		case reflect.TypeFor[*bool]():
			f.Set(reflect.ValueOf(aws.Bool(true)))
		case reflect.TypeFor[*int32]():
			f.Set(reflect.ValueOf(aws.Int32(15)))
		default:
			if f.Kind() == reflect.Struct && f.NumField() == 0 {
				continue // the SDK's mark
			}
			t.Fatalf("the input has a new field: fill %s, a %s", name, f.Type())
		}
	}
	return in
}

// signed takes the address of the source apart: what changes with the second in
// which it is signed is left out.
func signed(t *testing.T, form url.Values) (host string, query url.Values) {
	t.Helper()
	u, err := url.Parse(form.Get("PresignedUrl"))
	if err != nil || u.Host == "" {
		t.Fatal(form.Get("PresignedUrl"), err)
	}
	query = u.Query()
	if query.Get("X-Amz-Signature") == "" || len(query.Get("X-Amz-Date")) != len("20261126T064025Z") {
		t.Errorf("not signed: %s", u)
	}
	query.Del("X-Amz-Signature")
	query.Del("X-Amz-Date")
	form.Del("PresignedUrl")
	return u.Scheme + "://" + u.Host + u.Path, query
}

func TestACopyIsAskedForAsTheSDKDoes(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	there := &forms{}
	s := httptest.NewServer(there)
	defer s.Close()
	var seen []string
	c := cloud.New(config.AWS{Region: region, EndpointURL: s.URL}, nil, cloud.Deps{Observe: func(c cloud.Call) { seen = append(seen, c.String()) }})
	ours, err := c.Responses(cloud.ResponseRoles{}).EC2(t.Context(), awscalls.Place{Account: second, Region: region, Role: awscalls.Act, Incident: "INC-42"})
	if err != nil {
		t.Fatal(err)
	}
	theirs := ec2.NewFromConfig(aws.Config{Region: region, BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "secret", "token")})
	bare := func() *ec2.CopySnapshotInput {
		return &ec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: aws.String("snap-1")}
	}
	for name, in := range map[string]func() *ec2.CopySnapshotInput{"whole": func() *ec2.CopySnapshotInput { return whole(t) }, "bare": bare} {
		there.got = nil
		for _, copySnapshot := range []func(context.Context, *ec2.CopySnapshotInput, ...func(*ec2.Options)) (*ec2.CopySnapshotOutput, error){ours.CopySnapshot, theirs.CopySnapshot} {
			out, err := copySnapshot(t.Context(), in())
			if err != nil || aws.ToString(out.SnapshotId) != "snap-2" || len(out.Tags) != 1 || aws.ToString(out.Tags[0].Value) != "b" {
				t.Fatalf("%s: %+v, %v", name, out, err)
			}
		}
		host, query := signed(t, there.got[0])
		wantHost, wantQuery := signed(t, there.got[1])
		if host != wantHost {
			t.Errorf("%s: the source is at %s, want %s", name, host, wantHost)
		}
		if d := cmp.Diff(wantQuery, query); d != "" {
			t.Errorf("%s: the address of the source (-SDK +ours):\n%s", name, d)
		}
		if d := cmp.Diff(there.got[1], there.got[0]); d != "" {
			t.Errorf("%s: the form (-SDK +ours):\n%s", name, d)
		}
		if name == "whole" && len(there.got[0]) < 12 {
			t.Errorf("the form is short: %v", slices.Sorted(maps.Keys(there.got[0])))
		}
	}
	if want := []string{"STS.GetCallerIdentity", "EC2.CopySnapshot", "EC2.CopySnapshot"}; !slices.Equal(seen, want) {
		t.Errorf("observed %v, want %v", seen, want)
	}
}

func TestAFailedCopyIsNamedAsOne(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	s := httptest.NewServer(&forms{fail: true})
	defer s.Close()
	c, err := cloud.New(config.AWS{Region: region, EndpointURL: s.URL}, nil, cloud.Deps{}).Responses(cloud.ResponseRoles{}).EC2(t.Context(),
		awscalls.Place{Account: second, Region: region, Role: awscalls.Act, Incident: "INC-42"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: aws.String("snap-1")})
	if !respond.Is(err, "ResourceLimitExceeded") || !strings.Contains(err.Error(), "CopySnapshot") || strings.Contains(err.Error(), "CreateSnapshot") {
		t.Errorf("%v", err)
	}
	if _, err := c.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{}); err == nil || !strings.Contains(err.Error(), "CopySnapshot") {
		t.Errorf("%v", err)
	}
}
