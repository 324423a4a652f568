// Command testfunction is a Lambda function for the tests of eventbridge: the
// handler over an intake in memory. Bodies that hold the words "fail", "panic"
// or "hang" do so.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/eventbridge"
	"github.com/guardroom/guardroom/source/sourcetest"
)

func main() {
	in := &sourcetest.Intake{Before: func(ctx context.Context, in source.Input) error {
		switch body := string(in.Body); {
		case strings.Contains(body, "fail"):
			return errors.New("told to fail")
		case strings.Contains(body, "panic"):
			panic("told to panic")
		case strings.Contains(body, "hang"):
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	if err := eventbridge.Run(context.Background(), &eventbridge.Handler{Intake: in}); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	in.Look(func(k sourcetest.Kept) {
		fmt.Printf("stopped with %d findings and %d parked\n", len(k.Findings), len(k.Parked))
	})
}
