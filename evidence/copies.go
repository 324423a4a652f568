package evidence

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/guardroom/guardroom/internal/fault"
)

// KeptCopy says where a sealed manifest was written outside the store: what others
// are shown as the manifest. Its signature is beside it.
type KeptCopy struct {
	Revision int
	// Location is that of the manifest, s3://…/manifest/0001.json, in Account and Region.
	Location, Account, Region string
	// SHA256 is the digest that was written down elsewhere when it was sealed;
	// empty: the one that the store has.
	SHA256 string
}

// SignatureAt is where the signature of the manifest at a location is kept.
func SignatureAt(location string) string {
	return strings.TrimSuffix(location, ".json") + ".sig.json"
}

// SignatureBytes are the bytes of the signature as they are kept beside the
// manifest: the digest, the revision and the signature, without the manifest.
func (s Sealed) SignatureBytes() ([]byte, error) {
	return Canonical(Sealed{SHA256: s.SHA256, Revision: s.Revision, Signature: s.Signature})
}

// most is how many bytes of a copy are read beyond those that were written: one
// more is enough to see that there are more.
const most = 1

// part is one object of a copy.
type part struct {
	name string // manifest revision 1 at s3://…
	item Item
	want string // its digest
	size int64
}

// parts are the objects of a copy: the manifest and its signature.
func (c KeptCopy) parts(s Sealed) ([]part, error) {
	sig, err := s.SignatureBytes()
	if err != nil {
		return nil, fmt.Errorf("encode the signature of %s: %w", nameOf(s), err)
	}
	one := func(location, want string, size int) part {
		name := nameOf(s) + " at " + location
		return part{name: name, want: want, size: int64(size), item: Item{ID: name, Location: location, Account: c.Account, Region: c.Region}}
	}
	return []part{
		one(c.Location, cmp.Or(c.SHA256, s.SHA256), len(s.Bytes)),
		one(SignatureAt(c.Location), Digest(sig), len(sig)),
	}, nil
}

// copies reads every copy back and compares it with what was sealed.
func (v *verifying) copies(list []Sealed, copies []KeptCopy) {
	for _, s := range list {
		for _, c := range copies {
			if c.Revision == s.Revision {
				v.copied(s, c)
			}
		}
	}
}

func (v *verifying) copied(s Sealed, c KeptCopy) {
	parts, err := c.parts(s)
	if err != nil {
		v.problem(nameOf(s), "%s", fault.Of(err).Error())
		return
	}
	for _, p := range parts {
		if v.ctx.Err() != nil {
			return
		}
		sum, err := v.sumUpTo(p.item, p.size+most)
		if err != nil {
			v.failed(p.item, err)
			continue
		}
		if sum != p.want {
			v.problem(p.name, "it is not what was sealed: it has SHA-256 %s and had %s", sum, p.want)
		}
		v.checked(Checked{ID: p.name, How: "read back and compared", SHA256: sum, Good: sum == p.want})
	}
}

// sumUpTo is the digest of at most n bytes of an object: whoever may write it
// does not decide how much is read.
func (v *verifying) sumUpTo(i Item, n int64) (string, error) {
	body, err := v.objects.Open(v.ctx, i)
	if err != nil {
		return "", err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, n))
	return Digest(raw), err
}

// copies refuses to export manifests whose copy outside the store is not what was
// sealed: those who were shown it have something else.
func (w *exporting) copies(list []Sealed, copies []KeptCopy, objects Objects) error {
	v := verifying{ctx: w.ctx, objects: objects}
	v.copies(list, copies)
	if err := w.ctx.Err(); err != nil {
		return err
	}
	for _, i := range v.report.Items {
		if i.Good {
			continue
		}
		why, code := i.How, fault.Corrupt
		if i.SHA256 == "" && i.How != "missing" {
			code = fault.Unavailable
		}
		for _, p := range v.report.Problems {
			if p.What == i.ID {
				why = p.Why
			}
		}
		f := fault.New(code, i.ID+": "+why, "guardroom evidence verify names all that differs")
		f.Safe = "nothing was exported"
		return f
	}
	return nil
}
