package lambda

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// provision is provisioned concurrency of a version or an alias: environments that
// are kept ready, and paid for.
// https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
type provision struct {
	Qualifier string `json:"qualifier"` // a version or an alias
	Requested int32  `json:"requested"`
	status    types.ProvisionedConcurrencyStatusEnum
	why       string
}

func (p provision) String() string { return fmt.Sprintf("%d of %s", p.Requested, p.Qualifier) }

func provisionsOf(ctx context.Context, api awscalls.Lambda, name string) ([]provision, error) {
	list := []provision{}
	in := &lambda.ListProvisionedConcurrencyConfigsInput{FunctionName: &name}
	for {
		out, err := api.ListProvisionedConcurrencyConfigs(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, c := range out.ProvisionedConcurrencyConfigs {
			arn := aws.ToString(c.FunctionArn)
			list = append(list, provision{Qualifier: arn[strings.LastIndex(arn, ":")+1:], Requested: aws.ToInt32(c.RequestedProvisionedConcurrentExecutions), status: c.Status, why: aws.ToString(c.StatusReason)})
		}
		if out.NextMarker == nil {
			slices.SortFunc(list, func(a, b provision) int { return cmp.Compare(a.Qualifier, b.Qualifier) })
			return list, nil
		}
		in.Marker = out.NextMarker
	}
}

// savedProvisions is the key under which a step saves the provisioned concurrency
// that it takes away.
const savedProvisions = "provisioned"

// longest is how long AWS may go on to refuse.
const longest = 2 * time.Minute

// stop reserves 0. AWS refuses that while any is provisioned, so what there is then
// is recorded and taken away, and the call made again: who uses the function may
// provision some at any time, and a plan that knew of none stops it as well.
// https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html
func stop(x *respond.Exec, p params) (changed bool, err error) {
	end := x.Now().Add(longest)
	for {
		changed, err = kit.Set(x, concurrency(x, p.Function), func(*int32) (*int32, error) { return new(int32), nil })
		if !respond.Is(err, "InvalidParameterValueException") {
			return changed, err
		}
		released, other := release(x, p)
		switch {
		case other != nil:
			return false, other
		case !released && len(taken(x)) == 0, !x.Now().Before(end):
			return false, err // it has another reason, or somebody provisions faster than it is taken away
		case released:
			continue
		}
		if err := x.Sleep(5 * time.Second); err != nil {
			return false, err
		}
	}
}

// taken is what was recorded before it was taken away.
func taken(x *respond.Exec) (list []provision) {
	x.Load(savedProvisions, &list)
	return list
}

// release takes away what is provisioned, once it is recorded. It reports whether
// there was any.
func release(x *respond.Exec, p params) (bool, error) {
	var now []provision
	err := x.Look(func(ctx context.Context) error {
		api, err := on(ctx, x, awscalls.Read)
		if err != nil {
			return err
		}
		now, err = provisionsOf(ctx, api, p.Function)
		return err
	})
	if err != nil {
		return false, unreleased(err, "read what concurrency is provisioned for function "+p.Function, p.Function)
	}
	all := taken(x)
	for _, c := range now { // the newest number is what is put back
		all = append(slices.DeleteFunc(all, func(a provision) bool { return a.Qualifier == c.Qualifier }), c)
	}
	if len(now) == 0 {
		return false, nil
	}
	if err := x.Save(savedProvisions, all); err != nil {
		return false, err
	}
	for _, c := range now {
		err := x.Change(func(ctx context.Context) error {
			api, err := on(ctx, x, awscalls.Act)
			if err != nil {
				return err
			}
			_, err = api.DeleteProvisionedConcurrencyConfig(ctx, &lambda.DeleteProvisionedConcurrencyConfigInput{FunctionName: &p.Function, Qualifier: &c.Qualifier})
			return err
		})
		if err != nil && !respond.Gone(err) {
			return false, unreleased(err, "take the provisioned concurrency of "+p.Function+":"+c.Qualifier+" away", p.Function)
		}
	}
	return true, nil
}

// unreleased says what people can do, where it will not pass by itself.
func unreleased(err error, what, function string) error {
	err = respond.Explain(err, what, "AWS reserves 0 only once nothing is provisioned, so function "+function+" is not stopped")
	if f := fault.Of(err); playbook.IsPermanent(err) && f.Code != fault.Internal {
		f.Hint = byHand(function) + "; " + f.Hint
	}
	return err
}

// byHand is what people do where guardroom may not.
func byHand(function string) string {
	return "aws lambda list-provisioned-concurrency-configs --function-name " + function + ", then aws lambda delete-provisioned-concurrency-config --function-name " + function +
		" --qualifier … for each, then make a new plan"
}

// provisionBack is what puts provisioned concurrency back.
type provisionBack struct {
	Function  string `json:"function"`
	Qualifier string `json:"qualifier"`
	Requested int32  `json:"requested"`
}

// undoStop puts the reserved concurrency back, and then what was provisioned.
func undoStop(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	steps, err := kit.UndoSetting(restoreConcurrency(), "put the reserved concurrency back")(s, rec)
	if err != nil {
		return nil, err
	}
	var p params
	var list []provision
	if !rec.Load(savedProvisions, &list) {
		return steps, nil
	}
	if err := json.Unmarshal(s.Params, &p); err != nil {
		return nil, fmt.Errorf("read the parameters of step %s: %w", s.ID, err)
	}
	for _, c := range list {
		back := kit.UndoStep(s, restoreProvisioned(), "", json.RawMessage(kit.MustJSON(provisionBack{p.Function, c.Qualifier, c.Requested})))
		back.ID += "/" + c.Qualifier
		back.Title = fmt.Sprintf("provisioned concurrency of %s:%s: none -> %d", p.Function, c.Qualifier, c.Requested)
		steps = append(steps, back)
	}
	return steps, nil
}

// allocating is how long the undo looks whether AWS has allocated it.
const allocating = 5 * time.Minute

// restoreProvisioned asks for provisioned concurrency again, where there is none
// now. AWS allocates it over minutes.
// https://docs.aws.amazon.com/lambda/latest/api/API_PutProvisionedConcurrencyConfig.html
func restoreProvisioned() respond.Action {
	return respond.Action{
		Name:    "lambda.restore-provisioned",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"Lambda.ListProvisionedConcurrencyConfigs"}, awscalls.Act: {"Lambda.PutProvisionedConcurrencyConfig"}},
		Options: playbook.Options{Timeout: brief + allocating},
		Do: kit.Do(func(x *respond.Exec, b provisionBack) (playbook.Outcome, error) {
			out, err := kit.Restore(x, provisioned(x, b), &b.Requested, nil)
			if err != nil {
				return out, err
			}
			return allocated(x, b)
		}),
	}
}

// provisioned is what is asked for; nil is none.
func provisioned(x *respond.Exec, b provisionBack) kit.Setting[*int32] {
	return kit.Setting[*int32]{
		What: "the provisioned concurrency of " + b.Function + ":" + b.Qualifier,
		Same: sameNumber,
		Look: func(ctx context.Context) (*int32, error) {
			c, err := b.now(ctx, x)
			if err != nil || c == nil {
				return nil, err
			}
			return &c.Requested, nil
		},
		Put: func(ctx context.Context, n *int32) error {
			api, err := on(ctx, x, awscalls.Act)
			if err != nil {
				return err
			}
			_, err = api.PutProvisionedConcurrencyConfig(ctx, &lambda.PutProvisionedConcurrencyConfigInput{FunctionName: &b.Function, Qualifier: &b.Qualifier, ProvisionedConcurrentExecutions: n})
			return err
		},
	}
}

// now is what there is of it; nil: nothing.
func (b provisionBack) now(ctx context.Context, x *respond.Exec) (*provision, error) {
	api, err := on(ctx, x, awscalls.Read)
	if err != nil {
		return nil, err
	}
	list, err := provisionsOf(ctx, api, b.Function)
	if i := slices.IndexFunc(list, func(c provision) bool { return c.Qualifier == b.Qualifier }); i >= 0 {
		return &list[i], nil
	}
	return nil, err
}

// allocated waits a while for AWS to allocate it.
func allocated(x *respond.Exec, b provisionBack) (playbook.Outcome, error) {
	what := fmt.Sprintf("provisioned concurrency %d of %s:%s", b.Requested, b.Function, b.Qualifier)
	for end := x.Now().Add(allocating); ; {
		var c *provision
		err := x.Look(func(ctx context.Context) (err error) {
			c, err = b.now(ctx, x)
			return err
		})
		switch {
		case err != nil:
			return playbook.Outcome{}, err
		case c == nil:
			return playbook.Outcome{}, kit.Changed("the provisioned concurrency of " + b.Function + ":" + b.Qualifier)
		case c.status == types.ProvisionedConcurrencyStatusEnumReady:
			return playbook.Outcome{Message: what + " is allocated again"}, nil
		case c.status == types.ProvisionedConcurrencyStatusEnumFailed:
			f := fault.New(fault.Conflict, what+" is asked for again, and AWS cannot allocate it: "+c.why, "mend what AWS says, and ask for it again")
			f.Safe = "the function runs without it"
			return playbook.Outcome{}, playbook.Permanent(f)
		case !x.Now().Before(end):
			return playbook.Outcome{Message: what + " is asked for again; AWS is still allocating it, and the function runs without it meanwhile"}, nil
		}
		if err := x.Sleep(10 * time.Second); err != nil {
			return playbook.Outcome{}, err
		}
	}
}
