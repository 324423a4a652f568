package manual

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type book struct{}

var _ respond.Playbook = book{}

// Playbook fits every target, so it comes after all others.
func Playbook() respond.Playbook { return book{} }

// Actions is empty: nothing is done.
func Actions() []respond.Action { return nil }

// Closings is empty: nothing is opened.
func Closings() []respond.Closing { return nil }

func (book) Name() string { return "manual" }
func (book) Version() int { return 1 }
func (book) Summary() string {
	return "Say what people must do, with the right names; guardroom changes nothing."
}
func (book) Fits(respond.Target) bool { return true }

// Describe asks AWS nothing. The facts are the names of the target.
func (book) Describe(_ context.Context, _ awscalls.AWS, r respond.Request) (respond.World, error) {
	var f kit.Facts
	f.Add("resource", r.Target.Key())
	before, err := json.Marshal(f)
	if err != nil {
		return respond.World{}, fault.Wrap(fault.Internal, err, "write down the names of the target", "nothing was changed", "")
	}
	return respond.World{Before: before, Facts: f}, nil
}

func (book) Draft(_ respond.World, r respond.Request) (respond.Draft, error) {
	d := kit.NewDraft(r.Target, nil)
	n := namesOf(r.Target)
	d.Guard("notify only", respond.Warn, "guardroom has no playbook that changes "+n.what+"; people must act", "see the manual steps")
	d.Manual = steps(r.Target.Kind, n)
	d.WillNot = []string{"guardroom changes nothing"}
	d.Undo = "nothing is changed"
	return d.Draft, nil
}

// steps are what people do for a kind of resource.
func steps(k finding.ResourceKind, n names) []string {
	switch k {
	case finding.KindEKSCluster:
		return eksCluster(n)
	case finding.KindWorkload:
		return workload(n)
	case finding.KindECSCluster, finding.KindECSTask:
		return ecsTask(n)
	case finding.KindContainer:
		return container(n)
	case finding.KindDBInstance:
		return database(n)
	case finding.KindLimitlessDB:
		return shardGroup(n)
	case finding.KindEBSVolume:
		return volume(n)
	case finding.KindRecoveryPoint:
		return recoveryPoint(n)
	case finding.KindAccessKey:
		return principal(n)
	}
	return anything(n)
}

// names are those of a target that have the form of such names; a placeholder in
// capitals stands for one that is missing or has not.
type names struct {
	what                       string // for people
	id, account, region        string
	cluster, namespace         string
	kind, workload             string // of Kubernetes: deployment, payments
	task, database, volume     string
	vault, point, user, access string
}

var (
	wordForm      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	namespaceForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	workloadForm  = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	taskForm      = regexp.MustCompile(`^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:task/[\w/-]{1,255}$`)
	databaseForm  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,62}$`)
	volumeForm    = regexp.MustCompile(`^vol-[0-9a-f]{8,17}$`)
	pointForm     = regexp.MustCompile(`^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{0,12}:[\w:/.-]{1,512}$`)
	userForm      = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)
	keyForm       = regexp.MustCompile(`^(AKIA|ASIA)[A-Z0-9]{12,124}$`)
	regionForm    = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$`)
	accountForm   = regexp.MustCompile(`^[0-9]{12}$`)
)

func fit(form *regexp.Regexp, value, placeholder string) string {
	if form.MatchString(value) {
		return value
	}
	return placeholder
}

// workloads are the kinds of Kubernetes that stand in a command.
var workloads = map[string]string{
	"pods": "pod", "pod": "pod", "deployments": "deployment", "deployment": "deployment", "daemonsets": "daemonset", "daemonset": "daemonset",
	"statefulsets": "statefulset", "statefulset": "statefulset", "replicasets": "replicaset", "replicaset": "replicaset",
	"jobs": "job", "job": "job", "cronjobs": "cronjob", "cronjob": "cronjob", "replicationcontrollers": "replicationcontroller",
}

func namesOf(t respond.Target) names {
	n := names{
		account: fit(accountForm, t.Account, "ACCOUNT"), region: fit(regionForm, t.Region, "REGION"),
		cluster: fit(wordForm, t.Parts[respond.PartCluster], "CLUSTER"), namespace: fit(namespaceForm, t.Parts[respond.PartNamespace], "NAMESPACE"),
		task: fit(taskForm, t.Parts[respond.PartTaskARN], "TASK"), database: fit(databaseForm, t.ID, "DATABASE"), volume: fit(volumeForm, t.ID, "VOLUME"),
		point: fit(pointForm, t.ARN, "RECOVERY-POINT-ARN"), vault: "VAULT",
		user: fit(userForm, t.Parts[respond.PartUserName], "PRINCIPAL"), access: fit(keyForm, t.Parts[respond.PartAccessKeyID], "KEY"),
		kind: "pod", workload: "NAME",
	}
	if t.Kind == finding.KindEKSCluster || t.Kind == finding.KindECSCluster {
		n.cluster = fit(wordForm, t.ID, n.cluster)
	}
	if t.Kind == finding.KindWorkload { // namespace/type/name
		if parts := strings.Split(t.ID, "/"); len(parts) == 3 {
			n.namespace = fit(namespaceForm, parts[0], n.namespace)
			if k, ok := workloads[strings.ToLower(parts[1])]; ok {
				n.kind = k
			}
			n.workload = fit(workloadForm, parts[2], n.workload)
		}
	}
	n.what = kindWords(t.Kind)
	n.id = fmt.Sprintf("%q", t.ID)
	return n
}

func kindWords(k finding.ResourceKind) string {
	if k == finding.KindUnknown || k == finding.KindOther {
		return "this kind of resource"
	}
	return "a resource of the kind " + strings.ReplaceAll(string(k), "_", " ")
}
