package app

import (
	"slices"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// outline is what a playbook does, for people who have not seen a plan of it. A test
// plays every playbook and compares: the order of its steps, its guards and its calls.
type outline struct {
	does []deed
	// guards are its own, beside those of every plan.
	guards []string
	// undo is what its undo does, and back the actions that it is made of.
	undo  string
	back  []string
	never []string
	// of are the playbooks that it is made of.
	of []string
}

// deed is one of the things that a playbook does, by its actions.
type deed struct {
	words   string
	actions []string
}

// everyGuard is what every plan is asked, whatever its playbook.
func everyGuard() []string {
	return []string{"never-touch: what a tag or a rule forbids is not touched", "guardroom itself: its roles, host, buckets and database are not touched",
		"confirmation: GuardDuty itself says so, in that account", "sample or archived: such a finding is not responded to", "direction: who was only aimed at is not isolated",
		"protected hours: two people must approve then", "evidence: whether the bucket is there, locked, versioned and not public"}
}

// neverAll is what no playbook does.
func neverAll() []string {
	return []string{"delete sealed evidence", "overwrite what somebody else changed since", "begin without an approval of exactly this plan"}
}

// guardAsks is what the guards ask that only some playbooks have, by their names.
var guardAsks = map[string]string{
	"state of the instance":             "one that is terminated is refused, and of one that does not run it is said",
	"already contained":                 "what a run contained is not contained again",
	"started after the finding":         "what was in its memory then is gone",
	"last healthy target":               "whether a service stands still without it",
	"Auto Scaling group at its minimum": "whether fewer are left than the group wants",
	"shared role":                       "who else runs with its role, and whose sessions are denied",
	"managed by a service":              "EKS, ECS, EMR, Batch or CloudFormation may put back what is changed",
	"spot instance":                     "AWS may take it back at any time",
	"instance store":                    "a root disk that is lost when it stops",
	"room in the network ACL":           "whether the entries fit below its quota",
	"memory after isolation":            "what must stay open for it meanwhile",
	"not described":                     "what AWS did not answer about",
	"dry runs":                          "what AWS answered when each change was tried",
	"shared evidence":                   "a volume under a key of AWS needs a transfer key",
	"workstation":                       "whether there can be one",
	"break-glass":                       "who is kept for the worst day is not locked out",
	"size of the inline policies":       "whether one more fits below the limit of AWS",
	"key of the finding":                "whether it is still there",
	"in use":                            "what used its keys in the last hour",
	"same user":                         "whether it was deleted and made again",
	"managed role":                      "a role that belongs to AWS cannot be changed",
	"same role":                         "whether it was deleted and made again",
	"root":                              "no policy binds it, so a person must act",
	"break-glass list":                  "it names somebody who is there, and nobody in general",
	"guardroom's bucket":                "the evidence bucket is left to a person",
	"public policy":                     "whether the deny can be written at all",
	"quarantine tag":                    "whether it is in quarantine already, and has room for a tag",
	"addresses":                         "which may be blocked: no private, own or reserved ones, and no large networks",
	"place":                             "whether there is an IP set or a network ACL to block in",
	"family":                            "the IP set takes IPv4 or IPv6 only",
	"notify only":                       "there is no playbook for it, so people must act",
}

func outlines() map[string]outline {
	host := []deed{
		{"record everything as it is, in the store and in the evidence bucket", []string{"ec2.record"}},
		{"ask AWS by dry runs whether each change is allowed", []string{"ec2.preflight"}},
		{"tag what belongs to it with the incident", []string{"ec2.mark"}},
		{"protect it: termination and stop protection on, what a shutdown does, volumes and interfaces kept", []string{"ec2.protect-instance", "ec2.keep-volume", "ec2.keep-interface"}},
		{"take it out of service: Auto Scaling group, target groups, classic load balancers", []string{"ec2.leave-scaling-group", "ec2.deregister-targets", "ec2.deregister-group-targets", "ec2.deregister-instance", "ec2.deregister-group-instance"}},
		{"take its Elastic IPs off", []string{"ec2.disassociate-address"}},
		{"isolate each interface, connections that are open included", []string{"ec2.contain-group", "ec2.endpoint-group", "ec2.open-group", "ec2.idle-timeouts", "ec2.isolate-interface", "ec2.shut-interface", "ec2.close-group", "ec2.empty-endpoint-group", "ec2.network-acl"}},
		{"cut its credentials off: its sessions are denied, the profile is taken off, the metadata service is disabled, sessions of Session Manager are ended",
			[]string{"ec2.revoke-sessions", "ec2.disassociate-profile", "ec2.disable-metadata", "ec2.end-sessions"}},
		{"wait until the Auto Scaling group has let it go", []string{"ec2.left-scaling-group"}},
		{"describe everything again, and say what is still open", []string{"ec2.verify", "ec2.mark-status"}},
	}
	hostBack := []string{"ec2.enable-metadata", "ec2.associate-profile", "ec2.restore-role-policy", "ec2.restore-interface", "ec2.release-interface", "ec2.restore-idle-timeouts", "ec2.restore-network-acl", "ec2.associate-address",
		"ec2.register-targets", "ec2.register-instance", "ec2.return-to-scaling-group", "ec2.restore-instance", "ec2.restore-volume", "ec2.unmark"}
	hostGuards := []string{"state of the instance", "already contained", "started after the finding", "last healthy target", "Auto Scaling group at its minimum", "shared role", "managed by a service",
		"spot instance", "instance store", "room in the network ACL", "memory after isolation", "not described", "dry runs"}
	dry := "ask AWS by dry runs whether its changes are allowed"
	keep := []deed{
		{dry, []string{"preflight.forensics"}},
		{"keep the picture and the output of the console, what AWS says of it, its user data and its events of CloudTrail", []string{"forensics.screenshot", "forensics.console", "forensics.metadata", "forensics.user-data", "forensics.trail"}},
		{"keep its memory by SSM, where that can work", []string{"forensics.memory"}},
		{"take snapshots of all volumes at one instant, and lock them", []string{"forensics.snapshots", "forensics.lock-older", "forensics.lock", "forensics.snapshot-wait"}},
		{"give the forensic account a copy of its own, where one is configured", []string{"forensics.rekey", "forensics.share", "forensics.copy", "forensics.withdraw"}},
		{"hash every block of every snapshot, and compare copies with their originals", []string{"forensics.hash-original", "forensics.hash", "forensics.compare"}},
		{"start a workstation, and attach a working copy of each volume to it", []string{"forensics.workstation", "forensics.workstation-ready", "forensics.volume", "forensics.attach"}},
		{"say what was preserved, what was not, and where it is", []string{"forensics.report"}},
	}
	keepBack := []string{"forensics.detach", "forensics.delete-volume", "forensics.terminate-workstation"}
	sharing := func(kind, what string, database bool) outline {
		deeds := []deed{{"write down with whom it is shared", []string{"sharing." + kind + "-record"}}, {"share it with nobody any more", []string{"sharing." + kind + "-remove-shares"}},
			{"read that back", []string{"sharing." + kind + "-verify"}}}
		if !database { // RDS knows no dry runs
			deeds = slices.Insert(deeds, 1, deed{dry, []string{"preflight." + kind}})
		}
		never := []string{"delete " + what + " or change what it holds", "reach copies that others have made of it"}
		if database {
			never = append(never, "change the database that it was made of")
		}
		return outline{does: deeds, guards: []string{"already contained"}, undo: "shares it again with those that it was shared with, where nobody changed that since", back: []string{"sharing." + kind + "-add-shares"}, never: never}
	}
	return map[string]outline{
		"ec2-contain": {does: host, guards: hostGuards, back: hostBack,
			undo:  "in the reverse order from what was recorded, each only while it is still as guardroom left it: metadata service, profile, role policy, interfaces, network ACL, addresses, load balancers, Auto Scaling group, protection, tags",
			never: []string{"stop, reboot or terminate the instance", "change a rule of a security group that is there, or another instance in one", "take an automatic public address away", "stop names from being asked of the resolver of the VPC"}},
		"forensics": {does: keep, guards: []string{"shared evidence", "workstation"}, back: keepBack,
			undo:  "detaches and deletes the working copies and terminates the workstation; snapshots, copies and whatever else is sealed stay",
			never: []string{"stop, reboot or terminate the instance", "install or compile anything on it, or put a key of AWS there", "delete a snapshot, or take its lock off"}},
		"ec2-respond": {of: []string{"ec2-contain", "forensics"}, does: []deed{{words: "the dry runs of both, then both side by side: what vanishes is read before the isolation, unless data is leaving"}}},
		"iam-user": {does: []deed{
			{"write down its keys, policies, groups and login profile", []string{"iam.record-user"}},
			{"deny it everything by a policy of its own", []string{"iam.deny-user"}}, {"make its access keys inactive, those too that are made meanwhile", []string{"iam.disable-key", "iam.disable-rest"}},
			{"read both back, and look again", []string{"iam.verify-user", "iam.watch-user"}}, {"keep its events of CloudTrail", []string{"iam.trail"}}},
			guards: []string{"break-glass", "size of the inline policies", "key of the finding", "in use", "same user"},
			undo:   "takes the policy off where it still equals ours, and makes active again only the keys that this run made inactive", back: []string{"iam.undo-deny-user", "iam.enable-key"},
			never: []string{"delete the user, a key, or a policy of others", "change its groups"}},
		"iam-role": {does: []deed{
			{"write down its trust, policies and instance profiles", []string{"iam.record-role"}},
			{"deny the session of the finding, or sessions older than now where it is not known", []string{"iam.deny-session", "iam.deny-role", "iam.deny-role-again"}},
			{"read that back, and look again", []string{"iam.verify-role", "iam.watch-role"}}, {"keep the events of CloudTrail by the session", []string{"iam.trail"}}},
			guards: []string{"break-glass", "size of the inline policies", "managed role", "shared role", "same role"},
			undo:   "takes the policy off where it still equals what guardroom wrote last", back: []string{"iam.undo-deny-role"},
			never: []string{"delete the role, or change its trust or a policy of others", "stop whoever can still assume the role from getting new sessions"}},
		"iam-root": {guards: []string{"root"}, undo: "nothing is changed", never: []string{"change anything: a person is told what to do"}},
		"s3-bucket": {does: bucket("close it to all but break-glass roles, guardroom and AWS services"), guards: []string{"break-glass list", "guardroom's bucket", "public policy"}, back: bucketBack(),
			undo:  "puts the public access block back first, then the policy as it was, byte for byte; where it was changed since, takes out our statement only",
			never: []string{"change or delete an object, a version or an ACL", "reach copies that were made before"}},
		"s3-public": {does: bucket("close it to the public, and leave everybody else in"), guards: []string{"guardroom's bucket", "public policy"}, back: bucketBack(),
			undo:  "puts the public access block back first, then the policy as it was, byte for byte; where it was changed since, takes out our statement only",
			never: []string{"change or delete an object, a version or an ACL", "reach copies that were made before"}},
		"s3-object": {does: []deed{{"write down the object, its version and tags, and the policy of the bucket", []string{"s3.record-object"}},
			{"let nobody but a list read what is tagged so, and tag this version", []string{"s3.add-statement", "s3.tag-object"}}, {"read both back", []string{"s3.verify-object"}}},
			guards: []string{"quarantine tag", "break-glass list", "guardroom's bucket"}, back: []string{"s3.untag-object", "s3.restore-policy"},
			undo:  "takes our tag off this version, leaving tags that others set since, then puts the policy back as it was",
			never: []string{"delete, move or change the object", "make other versions or objects unreadable"}},
		"lambda-function": {does: []deed{{"write down its configuration, policy and triggers", []string{"lambda.record-function"}}, {"set its reserved concurrency to 0", []string{"lambda.stop-function"}},
			{"keep its code", []string{"lambda.keep-code"}}, {"read the concurrency back", []string{"lambda.verify-function"}}},
			guards: []string{"already contained"}, undo: "sets the reserved concurrency to what it was, or takes it away where it was not set", back: []string{"lambda.restore-concurrency", "lambda.restore-provisioned"},
			never: []string{"end invocations that run", "delete the function, or change its code, configuration or triggers"}},
		"ebs-snapshot": sharing("ebs", "the snapshot", false), "ec2-image": sharing("image", "the image", false),
		"rds-snapshot": sharing("rds", "the snapshot", true), "rds-cluster-snapshot": sharing("rds-cluster", "the snapshot", true),
		"block-actor": {does: []deed{{"write down the IP set of WAF, or the network ACL", []string{"block.record"}}, {dry, []string{"preflight.block"}}, {"shut the addresses out, for a time", []string{"block.add-to-set", "block.add-entries"}},
			{"read that back", []string{"block.verify-set", "block.verify-entries"}}},
			guards: []string{"addresses", "place", "room in the network ACL", "family"}, back: []string{"block.take-from-set", "block.delete-entries"},
			undo:  "takes off only what this run added, and what is still as it added it; so does the end of its time",
			never: []string{"change addresses or entries of others", "stop traffic that comes another way"}},
		"sequence": {does: []deed{{words: "of what is in it: credentials first, then hosts, then data"}}, of: []string{"iam-user", "iam-role", "iam-root", "ec2-respond", "lambda-function", "s3-bucket", "s3-public", "s3-object", "ebs-snapshot", "ec2-image", "rds-snapshot", "rds-cluster-snapshot", "manual"}},
		"manual":   {guards: []string{"notify only"}, undo: "nothing is changed", never: []string{"change anything: a person is told what to do"}},
	}
}

func bucket(closes string) []deed {
	return []deed{{"write down its policy, public access block, versioning and ownership", []string{"s3.record-bucket"}}, {closes, []string{"s3.add-statement", "s3.block-public"}},
		{"switch versioning on, so that what is overwritten is kept", []string{"s3.switch-versioning"}}, {"read policy and public access block back", []string{"s3.verify-bucket"}}}
}

func bucketBack() []string {
	return []string{"s3.restore-block", "s3.restore-policy", "s3.restore-versioning"}
}

// outlineOf is what a playbook does, with what it is made of.
func outlineOf(name string) outline {
	all := outlines()
	o := all[name]
	for _, part := range o.of {
		p := all[part]
		if len(p.of) > 0 {
			p = outlineOf(part)
		}
		for _, d := range p.does {
			if len(all[part].of) == 0 {
				d.words = part + ": " + d.words
			}
			o.does = append(o.does, d)
		}
		o.back = append(o.back, p.back...)
		for _, g := range p.guards {
			if !slices.Contains(o.guards, g) {
				o.guards = append(o.guards, g)
			}
		}
	}
	if len(o.of) > 0 {
		o.undo = "each part by itself, in the reverse order, as playbook show says of it"
		o.never = []string{"what its parts never do"}
	}
	return o
}

// questions are its guards, and those of every plan, with what they ask.
func (o outline) questions() []string {
	var out []string
	for _, g := range o.guards {
		out = append(out, g+": "+guardAsks[g])
	}
	return append(out, everyGuard()...)
}

// actions are all that its plans, and those that undo them, may do.
func (o outline) actions() []string {
	out := slices.Clone(o.back)
	for _, d := range o.does {
		out = append(out, d.actions...)
	}
	return out
}

// calls are the actions of IAM that some actions may need, by the role of guardroom
// that needs them.
func callsOf(names []string, all respond.Actions, table []cloud.Permission) []api.PlaybookCalls {
	need := map[awscalls.Role]map[string]bool{}
	for _, n := range names {
		for role, calls := range all[n].Calls {
			for _, p := range table {
				if cloud.RoleOf(p.As) == role && slices.Contains(calls, p.Call) {
					if need[role] == nil {
						need[role] = map[string]bool{}
					}
					need[role][p.Action] = true
				}
			}
		}
	}
	var out []api.PlaybookCalls
	for _, role := range []awscalls.Role{awscalls.Read, awscalls.Act, awscalls.Forensics} {
		var list []string
		for a := range need[role] {
			list = append(list, a)
		}
		if len(list) > 0 {
			slices.Sort(list)
			out = append(out, api.PlaybookCalls{Role: string(role), Actions: list})
		}
	}
	return out
}
