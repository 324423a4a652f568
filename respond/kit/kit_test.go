package kit_test

import (
	"testing"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

func TestLikeComparesARNsPartByPart(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:iam::111122223333:role/app/break-glass"
	for pattern, want := range map[string]bool{
		arn:                                   true,
		"arn:aws:iam::111122223333:role/*":    true,
		"arn:aws:iam::*:role/app/break-glass": true,
		"arn:aws:iam::11112222333?:role/app/break-gla??": true,
		"arn:aws:iam::444455556666:role/app/break-glass": false,
		"arn:aws:iam::111122223333:role/break-glass":     false,
		"arn:*": false, // a star is not more than one part
		"*":     false,
		"":      false,
	} {
		if got := kit.Like(pattern, arn); got != want {
			t.Errorf("%q: %t", pattern, got)
		}
	}
}

func TestDocumentsOfIAMArriveEscaped(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"%7B%22a%22%3A%22x+y%25%22%7D": `{"a":"x+y%"}`,
		`{"a":"100%25"}`:               `{"a":"100%25"}`,
		"%zz":                          "%zz",
	} {
		if got := kit.Decoded(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestDocumentsAreComparedByTheirMeaning(t *testing.T) {
	t.Parallel()
	a := kit.Text(`{"Version": "2012-10-17", "Statement": [{"Sid":"A","Effect":"Deny"}]}`)
	b := kit.Text(`{"Statement":[{"Effect":"Deny","Sid":"A"}],"Version":"2012-10-17"}`)
	c := kit.Text(`{"Statement":[],"Version":"2012-10-17"}`)
	for _, x := range []struct {
		a, b kit.Document
		want bool
	}{{a, b, true}, {a, c, false}, {a, kit.None(), false}, {kit.None(), kit.None(), true}, {kit.Text(""), kit.None(), false}, {kit.Text("no JSON"), kit.Text("no  JSON"), false}} {
		if got := kit.SameDocument(x.a, x.b); got != x.want {
			t.Errorf("%v and %v: %t", x.a, x.b, got)
		}
	}
	if kit.None().Digest() == kit.Text("").Digest() || a.Digest() != b.Digest() {
		t.Error("digests differ from comparison")
	}
}

func TestOurOwnIdentityIsKnownByItsSession(t *testing.T) {
	t.Parallel()
	callers := []kit.Caller{{Role: "act", ARN: "arn:aws:sts::111122223333:assumed-role/guardroom-act/INC-1"}, {Role: "read", ARN: "arn:aws:iam::111122223333:user/reader"}}
	for arn, want := range map[string]respond.Answer{
		"arn:aws:iam::111122223333:role/security/guardroom-act": respond.Refuse, // the session does not tell the path
		"arn:aws:iam::111122223333:role/guardroom-act":          respond.Refuse,
		"arn:aws:iam::111122223333:user/guardroom-act":          respond.Pass,
		"arn:aws:iam::444455556666:role/guardroom-act":          respond.Pass,
		"arn:aws:iam::111122223333:user/reader":                 respond.Refuse,
		"arn:aws:iam::111122223333:role/other":                  respond.Pass,
	} {
		if g := kit.IsOurs(callers, arn); g.Answer != want {
			t.Errorf("%s: %+v", arn, g)
		}
	}
}

func TestNeverTouchIsATagThatIsNotFalse(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]respond.Answer{"true": respond.Refuse, "": respond.Refuse, "False": respond.Pass} {
		if g := kit.NeverTouch(map[string]string{respond.TagNever: value}); g.Answer != want {
			t.Errorf("%q: %+v", value, g)
		}
	}
	if g := kit.NeverTouch(nil); g.Answer != respond.Pass {
		t.Errorf("%+v", g)
	}
}

func TestWeightLeavesSpaceOut(t *testing.T) {
	t.Parallel()
	if n := kit.Weight(" { \"a\" :\n\t1 } "); n != 7 {
		t.Fatal(n)
	}
}
