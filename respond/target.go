package respond

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/escape"
)

// Names of Target.Parts. All come from the finding, checked by their pattern,
// and none is believed before AWS has shown it.
const (
	PartAccessKeyID = "access_key_id" // AKIA… or ASIA…
	PartUserName    = "user_name"     // of an IAM user, or the name of a role
	PartUserType    = "user_type"     // IAMUser, AssumedRole, Role, Root, FederatedUser, …
	PartPrincipalID = "principal_id"  // AIDA…, or AROA…:session
	PartInstanceID  = "instance_id"   // of the instance whose credentials they are
	PartObjectKey   = "object_key"
	PartObjectVer   = "object_version"
	PartRemoteIPs   = "remote_ips" // separated by commas
	PartTaskARN     = "task_arn"
	PartCluster     = "cluster"
	PartNamespace   = "namespace"
)

// form is a pattern that is compiled when it is first asked for.
func form(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

var partForms = map[string]func() *regexp.Regexp{
	PartAccessKeyID: form(`^(AKIA|ASIA)[A-Z0-9]{12,28}$`),
	PartUserName:    form(`^[\w+=,.@-]{1,128}$`),
	PartUserType:    form(`^[A-Za-z]{1,40}$`),
	PartPrincipalID: form(`^[A-Za-z0-9]{1,128}(:[\w+=,.@:/-]{1,128})?$`),
	PartInstanceID:  form(`^i-([0-9a-f]{8}|[0-9a-f]{17})$`),
	PartObjectVer:   form(`^[A-Za-z0-9._-]{1,1000}$`),
	PartRemoteIPs:   form(`^[0-9a-fA-F:.,]{2,1000}$`),
	PartTaskARN:     form(`^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:task/[\w/-]{1,255}$`),
	PartCluster:     form(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`),
	PartNamespace:   form(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`),
}

var idForms = map[finding.ResourceKind]func() *regexp.Regexp{
	finding.KindInstance:    partForms[PartInstanceID],
	finding.KindS3Bucket:    form(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`),
	finding.KindS3Object:    form(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$`),
	finding.KindLambda:      form(`^[A-Za-z0-9_-]{1,140}$`),
	finding.KindEBSSnapshot: form(`^snap-([0-9a-f]{8}|[0-9a-f]{17})$`),
	finding.KindImage:       form(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`),
	finding.KindAccessKey:   form(`^[\w+=,.@:/-]{1,256}$`),
}

var accountForm = form(`^[0-9]{12}$`)
var regionForm = form(`^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$`)

// Targets returns what a finding names as targets, the primary resource first.
// Only ids are taken from it. A resource whose id has not its form is left out:
// it cannot be described.
func Targets(f *finding.Finding) []Target {
	out, _ := targets(f)
	return out
}

// Unfit names the resources of a finding that Targets leaves out, each with the
// reason. Their names are as somebody wrote them: every sink escapes.
func Unfit(f *finding.Finding) []string {
	_, unfit := targets(f)
	return unfit
}

func targets(f *finding.Finding) (out []Target, unfit []string) {
	if !accountForm().MatchString(f.AccountID) || !regionForm().MatchString(f.Region) {
		return nil, []string{fmt.Sprintf("account %q, region %q: AWS has none of that form", f.AccountID, f.Region)}
	}
	for _, r := range slices.Concat([]finding.Resource{f.Resource}, f.Context) {
		t := targetOf(f, r)
		if t.ID == "" && r.Kind != finding.KindAttackSequence {
			name := r.ID
			if name == "" {
				name = r.Name
			}
			if r.Kind == finding.KindOther && r.Type != "" {
				unfit = append(unfit, fmt.Sprintf("guardroom does not know resources of the type %q", escape.CutEnd(r.Type, 100)))
				continue
			}
			if name == "" {
				unfit = append(unfit, KindWords(r.Kind)+": the finding names no id that guardroom can read, so it cannot be described")
				continue
			}
			unfit = append(unfit, fmt.Sprintf("%s %q: AWS has no such id, so it cannot be described", KindWords(r.Kind), name[:min(len(name), 200)]))
		}
		if t.ID == "" || slices.ContainsFunc(out, func(o Target) bool { return o.Key() == t.Key() }) {
			continue
		}
		out = append(out, t)
	}
	return out, unfit
}

func targetOf(f *finding.Finding, r finding.Resource) Target {
	t := Target{Kind: r.Kind, ID: r.ID, Account: f.AccountID, Region: f.Region, Parts: map[string]string{}}
	if r.Kind == finding.KindAttackSequence {
		return Target{}
	}
	part := func(name, value string) {
		if f := partForms[name]; value != "" && len(value) <= 1024 && (f == nil || f().MatchString(value)) {
			t.Parts[name] = value
		}
	}
	if k := r.AccessKey; k != nil {
		part(PartAccessKeyID, k.AccessKeyID)
		part(PartUserName, k.UserName)
		part(PartUserType, k.UserType)
		part(PartPrincipalID, k.PrincipalID)
		for _, c := range append([]finding.Resource{f.Resource}, f.Context...) {
			if c.Kind == finding.KindInstance {
				part(PartInstanceID, c.ID) // its credentials: plan both
			}
		}
	}
	if b := r.Bucket; b != nil {
		if b.Name != "" {
			t.ID = b.Name
		}
		if len(b.Objects) > 0 && r.Kind == finding.KindS3Object {
			o := b.Objects[max(0, slices.IndexFunc(b.Objects, func(o finding.Object) bool { return o.Key == r.Name }))]
			t.ID = b.Name + "/" + o.Key
			part(PartObjectKey, o.Key)
			part(PartObjectVer, o.VersionID)
		}
	}
	if r.Kind == finding.KindLambda && r.Lambda != nil && r.Lambda.Name != "" {
		t.ID = r.Lambda.Name
	}
	if v := lastOf(r.ARN); v != "" && (r.Kind == finding.KindEBSSnapshot || r.Kind == finding.KindImage) && !idForms[r.Kind]().MatchString(t.ID) {
		t.ID = v
	}
	if c := r.ECSCluster; c != nil && c.Task != nil {
		part(PartTaskARN, c.Task.ARN)
		part(PartCluster, c.Name)
	}
	if c := r.EKSCluster; c != nil {
		part(PartCluster, c.Name)
	}
	if w := r.Workload; w != nil {
		part(PartNamespace, w.Namespace)
	}
	part(PartRemoteIPs, strings.Join(f.Actor.IPs[:min(len(f.Actor.IPs), 20)], ","))
	if f := idForms[r.Kind]; f != nil && !f().MatchString(t.ID) || len(t.ID) > 1100 {
		return Target{}
	}
	return t
}

// KindWords is a kind of resource as people say it: s3 bucket.
func KindWords(k finding.ResourceKind) string {
	if k == finding.KindUnknown {
		return "resource"
	}
	return strings.ReplaceAll(string(k), "_", " ")
}

func lastOf(arn string) string {
	if i := strings.LastIndexAny(arn, "/:"); i >= 0 {
		return arn[i+1:]
	}
	return ""
}

// Named says which of the resources that a finding names the target is: 0 is the
// primary one, 1 the first of the context; -1: none.
func Named(f *finding.Finding, t Target) int {
	return slices.IndexFunc(slices.Concat([]finding.Resource{f.Resource}, f.Context), func(r finding.Resource) bool {
		return targetOf(f, r).Key() == t.Key()
	})
}
