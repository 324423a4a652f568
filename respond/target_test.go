package respond_test

import (
	"testing"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
)

func TestEachObjectOfAFindingIsATargetOfItsOwn(t *testing.T) {
	t.Parallel()
	b := &finding.Bucket{Name: "files", Objects: []finding.Object{{Key: "a.exe", VersionID: "v1"}, {Key: "b.exe", VersionID: "v2"}}}
	f := &finding.Finding{AccountID: "111122223333", Region: "eu-west-1", Resource: finding.Resource{Kind: finding.KindS3Object, ID: "files/a.exe", Name: "a.exe", Bucket: b},
		Context: []finding.Resource{{Kind: finding.KindS3Object, ID: "files/b.exe", Name: "b.exe", Bucket: b}}}
	list := respond.Targets(f)
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	for i, want := range []struct{ id, version string }{{"files/a.exe", "v1"}, {"files/b.exe", "v2"}} {
		if list[i].ID != want.id || list[i].Parts[respond.PartObjectVer] != want.version {
			t.Errorf("%+v", list[i])
		}
	}
}
