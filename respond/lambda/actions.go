package lambda

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

const brief = 5 * time.Minute

func on(ctx context.Context, x *respond.Exec, role awscalls.Role) (awscalls.Lambda, error) {
	return x.AWS.Lambda(ctx, x.In(role, x.Def.Account, x.Def.Region))
}

func recordFunction() respond.Action {
	return respond.Action{
		Name: "lambda.record-function",
		Calls: map[awscalls.Role][]string{
			awscalls.Read:      {"Lambda.GetFunction", "Lambda.GetFunctionConcurrency", "Lambda.GetPolicy", "Lambda.ListEventSourceMappings", "Lambda.ListProvisionedConcurrencyConfigs"},
			awscalls.Forensics: kit.KeepCalls(),
		},
		Options: playbook.Options{Timeout: 2 * time.Minute},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			s, err := kit.Record(x, kit.Account[functionState]{
				What: "function " + p.Function, File: "function.json", Kind: evidence.Configuration, Source: p.ARN, How: "Lambda.GetFunction and others",
				Gaps: func(s functionState) []string { return s.Gaps },
				Look: func(ctx context.Context) (functionState, error) {
					api, err := on(ctx, x, awscalls.Read)
					if err != nil {
						return functionState{}, err
					}
					return describe(ctx, api, p.Function)
				},
			})
			if err == nil && len(s.Env) > 0 {
				err = x.Lack(fmt.Sprintf("the values of %s of %s", respond.Count(len(s.Env), "environment variable"), p.Function), "they may be secrets; their names are kept")
			}
			return playbook.Outcome{Message: fmt.Sprintf("%s, %s, %s", s.Package, respond.Count(len(s.Sources), "event source"), respond.Count(len(s.Env), "environment variable"))}, err
		}),
	}
}

func sameNumber(a, b *int32) bool { return a == b || a != nil && b != nil && *a == *b }

// concurrency is the reserved concurrency of a function; nil is not set, which is
// not 0.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
func concurrency(x *respond.Exec, name string) kit.Setting[*int32] {
	return kit.Setting[*int32]{
		What: "the reserved concurrency of function " + name,
		Same: sameNumber,
		Look: func(ctx context.Context) (*int32, error) {
			api, err := on(ctx, x, awscalls.Read)
			if err != nil {
				return nil, err
			}
			return reserved(ctx, api, name)
		},
		Put: func(ctx context.Context, n *int32) error {
			api, err := on(ctx, x, awscalls.Act)
			if err != nil {
				return err
			}
			if n == nil {
				_, err = api.DeleteFunctionConcurrency(ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: &name})
				return err
			}
			_, err = api.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: &name, ReservedConcurrentExecutions: n})
			return err
		},
	}
}

func stopFunction() respond.Action {
	return respond.Action{
		Name: "lambda.stop-function",
		Calls: map[awscalls.Role][]string{awscalls.Read: {"Lambda.GetFunctionConcurrency", "Lambda.ListProvisionedConcurrencyConfigs"},
			awscalls.Act: {"Lambda.PutFunctionConcurrency", "Lambda.DeleteProvisionedConcurrencyConfig"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			changed, err := stop(x, p)
			if err != nil {
				return playbook.Outcome{}, err
			}
			if !changed {
				return playbook.Outcome{Message: "it was 0 already; undo leaves it"}, nil
			}
			message := "no new invocation of " + p.Function + " starts"
			if list := taken(x); len(list) > 0 {
				message += "; provisioned concurrency was taken away: " + joined(list)
			}
			return playbook.Outcome{Message: message}, nil
		}),
		Undo:     undoStop,
		UndoRank: 30,
	}
}

// restoreConcurrency puts a number back, or takes it away where none was set.
// AWS refuses a number that would leave too few for other functions.
func restoreConcurrency() respond.Action {
	return respond.Action{
		Name:    "lambda.restore-concurrency",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"Lambda.GetFunctionConcurrency"}, awscalls.Act: {"Lambda.PutFunctionConcurrency", "Lambda.DeleteFunctionConcurrency"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b kit.Back[params, *int32]) (playbook.Outcome, error) {
			return kit.Restore(x, concurrency(x, b.Of.Function), b.Before, b.After)
		}),
	}
}

func verifyFunction() respond.Action {
	return respond.Action{
		Name:    "lambda.verify-function",
		Check:   kit.Check(missing),
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"Lambda.GetFunctionConcurrency"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			if err := kit.Until(x, time.Minute, func() ([]string, error) { return missing(x, p) }); err != nil {
				return playbook.Outcome{}, err
			}
			return playbook.Outcome{Message: "the reserved concurrency of " + p.Function + " is 0"}, x.Save(respond.SavedStillOpen, []string{
				"invocations of " + p.Function + " that were running go on until they end: " + goOn(p.Timeout),
				"asynchronous events for " + p.Function + " wait up to 6 hours, and those of event sources as long as the source keeps them: what still waits runs after an undo",
				"sessions of its role go on until they end, wherever their credentials are",
			})
		}),
	}
}

// missing says whether new invocations may start.
func missing(x *respond.Exec, p params) ([]string, error) {
	var now *int32
	err := x.Look(func(ctx context.Context) (err error) {
		now, err = concurrency(x, p.Function).Look(ctx)
		return err
	})
	if err != nil || now != nil && *now == 0 {
		return nil, err
	}
	return []string{"the reserved concurrency of " + p.Function + " is " + number(now) + ", not 0"}, nil
}
