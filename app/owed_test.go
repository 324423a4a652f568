package app

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// A door that cannot be closed, because the permission was taken away, reaches
// people before its time is over: in the incident and as a notice, once, and they
// are told when it is closed.
func TestDefect57WhatCannotBeClosedIsToldOnceAndTakenBack(t *testing.T) {
	onBoth(t, func(t *testing.T, storeOf func() string) {
		t.Parallel()
		cfg := testConfig(t, storeOf())
		cfg.Worker.TimeScale = 1
		cfg.Watch = config.Watch{To: []string{"chat"}}
		a := testApp(t, cfg, map[string]notify.Notifier{"chat": &recorder{}})
		allowed := false
		a.desk.closings = map[string]respond.Closing{"k": {Kind: "k", Close: func(context.Context, awscalls.AWS, respond.Owed, time.Time) error {
			if allowed {
				return nil
			}
			return &smithy.OperationError{ServiceID: "EC2", OperationName: "ModifyNetworkInterfaceAttribute", Err: &awshttp.ResponseError{RequestID: "x", ResponseError: &smithyhttp.ResponseError{
				Response: &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusForbidden}}, Err: &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "no"}}}}
		}}}
		if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: minerFinding()}); err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC()
		if err := a.db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.PutRun(t.Context(), respond.RunRow{ID: "run_1", Plan: "pln_1", Incident: 1, Target: "t", Account: "1", Class: respond.Other, State: respond.RunPartFailed, CreatedAt: now, EndedAt: now})
		}); err != nil {
			t.Fatal(err)
		}
		owe := func(id string) {
			t.Helper()
			if err := (owing{a.desk}).Owe(t.Context(), respond.Owed{ID: id, Run: "run_1", Kind: "k", Params: json.RawMessage(`{}`), Due: now.Add(time.Hour), Why: "eni-0c1 is in the group that lets everything through"}); err != nil {
				t.Fatal(err)
			}
		}
		try := func() {
			t.Helper()
			list, err := a.db.OwedOf(t.Context(), "run_1")
			if err != nil {
				t.Fatal(err)
			}
			if err := a.runs.closeAll(t.Context(), list); err != nil {
				t.Fatal(err)
			}
		}
		// look returns what is said of it in the incident, and the open notices.
		look := func() (said []incident.Entry, open []store.Notice) {
			t.Helper()
			for range 2 {
				if err := a.late.look(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			entries, err := a.db.Timeline(t.Context(), 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			said = slices.DeleteFunc(entries, func(e incident.Entry) bool {
				return e.Kind != incident.KindLeftOpen && e.Kind != incident.KindClosedAgain
			})
			if open, err = a.db.OpenNotices(t.Context()); err != nil {
				t.Fatal(err)
			}
			return said, open
		}
		owe("run_1/eni")
		for range owedTries - 1 {
			try()
		}
		if said, open := look(); len(said)+len(open) != 0 {
			t.Errorf("after a few tries: %+v %+v", said, open)
		}
		try()
		stale, err := a.db.OwedOf(t.Context(), "run_1") // as another sweeper has read it
		if err != nil {
			t.Fatal(err)
		}
		said, open := look()
		if len(said) != 1 || said[0].Kind != incident.KindLeftOpen || !strings.Contains(said[0].Text, "Left open by run_1: eni-0c1 is in the group that lets everything through; tried 5 times to close it: AWS answered EC2.ModifyNetworkInterfaceAttribute with UnauthorizedOperation: no") {
			t.Errorf("it is told: %+v", said)
		}
		if len(open) != 1 || open[0].Key != "owed/run_1/eni" || open[0].Topic != "not_closed" || !strings.HasSuffix(open[0].Message, " to close it: AWS answered EC2.ModifyNetworkInterfaceAttribute with UnauthorizedOperation: no") {
			t.Errorf("the notice: %+v", open)
		}
		if err := a.runs.closeAll(t.Context(), stale); err != nil {
			t.Fatal(err)
		}
		owe("run_1/eni") // the run opens it again: people know already
		try()
		if said, open := look(); len(said) != 1 || len(open) != 1 {
			t.Errorf("it is told once: %+v %+v", said, open)
		}
		allowed = true
		try()
		if said, open = look(); len(said) != 2 || said[1].Kind != incident.KindClosedAgain || said[1].Text != "Closed again what run_1 had left open: eni-0c1 is in the group that lets everything through" || len(open) != 0 {
			t.Errorf("it is closed: %+v %+v", said, open)
		}
		// The run's own step closes one that people were told of.
		allowed = false
		owe("run_1/eni/2")
		for range owedTries {
			try()
		}
		look()
		for range 2 {
			if err := (owing{a.desk}).Settle(t.Context(), "run_1/eni/2"); err != nil {
				t.Fatal(err)
			}
		}
		if said, open = look(); len(said) != 4 || said[3].Kind != incident.KindClosedAgain || len(open) != 0 {
			t.Errorf("the run closed it: %+v %+v", said, open)
		}
		// Nobody is told that something is closed of which nobody knew.
		owe("run_1/eni/3")
		allowed = true
		try()
		if said, _ = look(); len(said) != 4 {
			t.Errorf("nobody knew: %+v", said)
		}
	})
}
