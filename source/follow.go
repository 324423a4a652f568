package source

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// Follow takes an input and then the S3 objects that it points to, so that the
// caller may acknowledge when the error is nil. A panic on the way becomes an
// error. fetch may be nil: then a reference is parked with that reason. What
// was taken before an error stays taken; repeating changes nothing.
func Follow(ctx context.Context, intake Intake, fetch Fetcher, in Input) (receipt Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: string(debug.Stack())}
		}
	}()
	receipt, err = intake.Take(ctx, in)
	references := receipt.References
	receipt.References = nil
	if err != nil {
		return receipt, err
	}
	done := map[Reference]bool{}
	for _, ref := range references {
		if done[ref] {
			continue
		}
		done[ref] = true
		if fetch == nil {
			err = park(ctx, intake, in, "it points to "+ref.String()+", and this source was given no way to read S3", &receipt)
		} else {
			var of Receipt
			of, err = TakeObject(ctx, intake, fetch, in, ref)
			receipt.Add(of)
			if errors.Is(err, ErrNotFollowed) {
				err = park(ctx, intake, in, "it points to "+ref.String()+": "+ErrNotFollowed.Error()+" (sources.follow_buckets)", &receipt)
			}
		}
		if err != nil {
			return receipt, err
		}
	}
	return receipt, nil
}

// TakeObject fetches one object and takes it piece by piece. in says the rest:
// source, time, whether it looks back. A damaged object is parked; an error
// means that the object may be tried again.
func TakeObject(ctx context.Context, intake Intake, fetch Fetcher, in Input, ref Reference) (Receipt, error) {
	var receipt Receipt
	object, err := fetch.Fetch(ctx, ref)
	if err != nil {
		return receipt, fmt.Errorf("fetch %s: %w", ref, err)
	}
	defer func() { _ = object.Close() }()
	in.Position = ref.String()
	err = Pieces(object, func(p Piece) error {
		in.Body, in.FirstLine = p.Body, p.Line
		of, err := intake.Take(ctx, in)
		nested := of.References
		of.References = nil
		receipt.Add(of)
		for _, n := range nested {
			if err != nil {
				break
			}
			err = park(ctx, intake, in, "it points to "+n.String()+", and objects that objects point to are not followed", &receipt)
		}
		return err
	})
	if damaged, ok := errors.AsType[*DamagedError](err); ok {
		in.Body, in.FirstLine = nil, damaged.Line
		return receipt, park(ctx, intake, in, damaged.Error(), &receipt)
	}
	if err != nil {
		return receipt, fmt.Errorf("take %s: %w", ref, err)
	}
	return receipt, nil
}

// park keeps what cannot be taken, or says that this is not possible.
func park(ctx context.Context, intake Intake, in Input, reason string, receipt *Receipt) error {
	parker, ok := intake.(Parker)
	if !ok {
		return fmt.Errorf("%s: %s", in.Position, reason)
	}
	if err := parker.Park(ctx, in, reason); err != nil {
		return fmt.Errorf("park %s: %w", in.Position, err)
	}
	receipt.Add(Receipt{Rejected: 1, Reasons: []string{in.Position + ": " + reason}})
	return nil
}

// PanicError is a panic of the intake or of a fetcher.
type PanicError struct {
	Value any
	Stack string
}

// Error gives the value; the stack is for the log.
func (e *PanicError) Error() string {
	return fmt.Sprintf("a defect of guardroom broke it: %v", e.Value)
}
