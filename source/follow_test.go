package source_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/sourcetest"
)

// bucket is a fetcher over a map of keys.
type bucket map[string]string

func (b bucket) Fetch(_ context.Context, ref source.Reference) (io.ReadCloser, error) {
	body, ok := b[ref.Key]
	if !ok {
		return nil, errors.New("NoSuchKey")
	}
	return io.NopCloser(strings.NewReader(body)), nil
}

func input(body string) source.Input {
	return source.Input{Source: "test", Position: "m-1", Body: []byte(body)}
}

func TestObjectsThatABodyPointsToAreTakenWithIt(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	body := sourcetest.Event("here") + "\n" + sourcetest.S3Event("b", "k") + "\n" + sourcetest.S3Event("b", "k") + "\n"
	r, err := source.Follow(t.Context(), &in, bucket{"k": sourcetest.Finding("there")}, input(body))
	if err != nil {
		t.Fatal(err)
	}
	in.Look(func(k sourcetest.Kept) {
		if k.Findings["here"] != 1 || k.Findings["there"] != 1 || r.Accepted != 2 || len(r.References) != 0 {
			t.Errorf("taken %v with receipt %+v", k.Findings, r)
		}
	})
}

func TestMissingObjectIsAnErrorSoThatTheBodyComesAgain(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	if _, err := source.Follow(t.Context(), &in, bucket{}, input(sourcetest.S3Event("b", "k"))); err == nil || !strings.Contains(err.Error(), "s3://b/k") {
		t.Errorf("error %v does not name the object", err)
	}
}

func TestObjectThatPointsToAnObjectIsParkedAndNotFollowed(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	objects := bucket{"k": sourcetest.S3Event("b", "k")} // to itself
	r, err := source.Follow(t.Context(), &in, objects, input(sourcetest.S3Event("b", "k")))
	if err != nil || r.Rejected != 1 {
		t.Fatalf("receipt %+v, error %v, want one rejected", r, err)
	}
	in.Look(func(k sourcetest.Kept) {
		if k.Tries != 2 || len(k.Parked) != 1 {
			t.Errorf("%d takes, %d parked", k.Tries, len(k.Parked))
		}
	})
}

func TestDamagedObjectIsParkedBesideWhatCouldBeRead(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, sourcetest.Finding("a")+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	cut := packed.String()[:packed.Len()-4]
	var in sourcetest.Intake
	r, err := source.Follow(t.Context(), &in, bucket{"k": cut}, input(sourcetest.S3Event("b", "k")))
	if err != nil || r.Accepted != 1 || r.Rejected != 1 {
		t.Fatalf("receipt %+v, error %v, want one accepted and one rejected", r, err)
	}
}

func TestPanicIsAnErrorWithItsStack(t *testing.T) {
	t.Parallel()
	in := sourcetest.Intake{Before: func(context.Context, source.Input) error { panic("boom") }}
	_, err := source.Follow(t.Context(), &in, nil, input("x"))
	var broken *source.PanicError
	if !errors.As(err, &broken) || !strings.Contains(broken.Stack, "follow_test") {
		t.Errorf("error %v", err)
	}
}

// onlyTakes is an intake that cannot park.
type onlyTakes struct{ intake *sourcetest.Intake }

func (o onlyTakes) Take(ctx context.Context, in source.Input) (source.Receipt, error) {
	return o.intake.Take(ctx, in)
}

func TestWhatCannotBeParkedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	if _, err := source.Follow(t.Context(), onlyTakes{&in}, nil, input(sourcetest.S3Event("b", "k"))); err == nil {
		t.Error("a reference that nobody can follow or park was acknowledged")
	}
}

func TestReceiptsAddUpWithoutRepeatingIncidents(t *testing.T) {
	t.Parallel()
	var r source.Receipt
	for range 30 {
		r.Add(source.Receipt{Accepted: 1, Known: 2, Ignored: 3, Rejected: 4, Suppressed: 5, Incidents: []string{"INC-1", "INC-2"}, Reasons: []string{"x"}})
	}
	if r.Accepted != 30 || r.Known != 60 || r.Ignored != 90 || r.Rejected != 120 || r.Suppressed != 150 || len(r.Incidents) != 2 || len(r.Reasons) != 20 {
		t.Errorf("receipt %+v", r)
	}
}
