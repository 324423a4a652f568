package main

import (
	"context"
	"fmt"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/app"
	"github.com/guardroom/guardroom/internal/fault"
)

// DoctorCmd checks everything.
type DoctorCmd struct{}

// Help says what is checked.
func (DoctorCmd) Help() string {
	return "Checks the store, the audit chain, workers, sources, rules, AWS credentials, detectors and permissions,\nevery destination and the clock. Changes nothing. Exits with 1 when a check fails."
}

// Run prints every check and what to mend.
func (c *DoctorCmd) Run(ctx context.Context, e *env) error {
	return e.open(ctx, opening{mode: app.ModeImport, vendors: true}, func(cl *client) error {
		var list api.CheckList
		if err := cl.Do(ctx, "GET", "/v1/doctor", nil, nil, &list); err != nil {
			return err
		}
		failed, warned := 0, 0
		t := newTable("", "area", "what", "result").cut("what", 40).wrap().below("result")
		for _, x := range list.Checks {
			word := "ok"
			switch {
			case !x.OK:
				word = "FAIL"
				failed++
			case x.Warning:
				word = "warn"
				warned++
			}
			if e.JSON {
				if err := e.object(x); err != nil {
					return err
				}
				continue
			}
			t.row(word, x.Area, x.What, x.Message)
			if x.Hint != "" && word != "ok" {
				t.row("", "", "", "hint: "+x.Hint)
			}
		}
		if !e.JSON {
			t.print(e)
			e.printf("\n%d checks, %d failed, %d warnings\n", len(list.Checks), failed, warned)
		}
		if failed > 0 {
			if e.JSON {
				e.failed = exitFailed
				return nil
			}
			return fault.New(fault.Unavailable, fmt.Sprintf("%d checks failed", failed), "mend what is marked FAIL above")
		}
		return nil
	})
}
