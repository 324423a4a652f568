package evidence_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
)

// copied puts the manifest of the scene and its signature into the bucket.
func copied(t *testing.T, st stock, s evidence.Sealed) []evidence.KeptCopy {
	t.Helper()
	sig, err := s.SignatureBytes()
	if err != nil {
		t.Fatal(err)
	}
	st.objects[copyAt], st.objects[signatureAt] = bytes.Clone(s.Bytes), sig
	return []evidence.KeptCopy{{Revision: s.Revision, Location: copyAt}}
}

const copyAt, signatureAt = "s3://b/INC-42/manifest/0001.json", "s3://b/INC-42/manifest/0001.sig.json"

func TestACopyOfTheManifestThatIsNotWhatWasSealedIsNamed(t *testing.T) {
	t.Parallel()
	for _, at := range []string{copyAt, signatureAt} {
		for name, change := range map[string]func(st stock){
			"one bit":     func(st stock) { st.objects[at][7] ^= 1 },
			"a byte more": func(st stock) { st.objects[at] = append(st.objects[at], '\n') },
			"a byte less": func(st stock) { st.objects[at] = st.objects[at][:len(st.objects[at])-1] },
			"empty":       func(st stock) { st.objects[at] = nil },
			"gone":        func(st stock) { delete(st.objects, at) },
		} {
			t.Run(name+" of "+filepath.Base(at), func(t *testing.T) {
				t.Parallel()
				st, s, _ := scene(t)
				o := evidence.Options{Copies: copied(t, st, s)}
				if r, err := evidence.Verify(t.Context(), s, st, st, o); err != nil || !r.Good() {
					t.Fatalf("before: %+v %v", r.Problems, err)
				}
				change(st)
				r, err := evidence.Verify(t.Context(), s, st, st, o)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Problems) != 1 || r.Problems[0].What != "manifest revision 1 at "+at {
					t.Errorf("named: %+v", r.Problems)
				}
				folder := filepath.Join(t.TempDir(), "out")
				if _, err := evidence.Export(t.Context(), folder, []evidence.Sealed{s}, o.Copies, st); fault.CodeOf(err) != fault.Corrupt {
					t.Errorf("it was exported: %v", err)
				}
			})
		}
	}
}

func TestACopyThatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	st, s, _ := scene(t)
	copies := copied(t, st, s)
	st.fail = errors.New("no answer")
	r, err := evidence.Verify(t.Context(), s, st, st, evidence.Options{Copies: copies})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{copyAt, signatureAt} {
		if !slices.Contains(r.Problems, evidence.Problem{What: "manifest revision 1 at " + at, Why: at + ": could not be read: no answer"}) {
			t.Errorf("%s is not named: %+v", at, r.Problems)
		}
	}
}

func TestACopyIsComparedWithWhatTheAuditChainHas(t *testing.T) {
	t.Parallel()
	st, s, _ := scene(t)
	copies := copied(t, st, s)
	copies[0].SHA256 = evidence.Digest([]byte("another"))
	r, err := evidence.Verify(t.Context(), s, st, st, evidence.Options{Copies: copies})
	if err != nil || len(r.Problems) != 1 || r.Problems[0].What != "manifest revision 1 at "+copyAt {
		t.Errorf("%+v %v", r.Problems, err)
	}
}
