package s3

import (
	"encoding/json"
	"strings"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

type bucketParams struct {
	Bucket string `json:"bucket"`
	ARN    string `json:"arn"`
	// Sid and Statement are what is added to the policy.
	Sid       string          `json:"sid,omitempty"`
	Statement json.RawMessage `json:"statement,omitempty"`
	// Versioned says that versioning must be on.
	Versioned bool `json:"versioned,omitempty"`
}

// wantsVersions reports whether a type of finding is about objects that are
// deleted or overwritten.
func wantsVersions(kind string) bool {
	return strings.HasPrefix(kind, "Impact:S3/") || strings.HasPrefix(kind, "AttackSequence:S3/")
}

func (b bucket) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	s, ok := w.Value.(bucketWorld)
	if !ok {
		return respond.Draft{}, internal("the description is not one of a bucket", nil)
	}
	t := r.Target
	t.ARN, t.Name, t.Region = s.ARN, s.Name, s.Region
	d := kit.NewDraft(t, Actions())
	d.Guarded(kit.NeverTouch(s.Tags), ownBucket(s.Name, r.Policy))
	p := bucketParams{Bucket: s.Name, ARN: s.ARN}
	rec := d.Add(respond.Step{ID: "record/bucket", Action: "s3.record-bucket", Stage: "record", Title: "write down bucket " + s.Name + ": policy, public access block, versioning, ACL", Effect: respond.NoChange}, p)
	done := []string{rec}
	if !b.publicOnly {
		d.Guarded(s.exempt.guards(r.Policy)...)
		p.Sid = sid("Contain", r)
		p.Statement = denyEverybodyBut(p.Sid, s.ARN, s.exempt.all())
		if s.Block != nil && s.Block.BlockPolicy && s.Public == "public" {
			d.Guard("public policy", respond.Warn, "the policy is public and the public access block refuses such a policy to be written again; the deny may be refused", "the public is shut out by the block already")
		}
		done = append(done, d.Add(respond.Step{ID: "contain/deny", Action: "s3.add-statement", Stage: "contain", Effect: respond.Reversible, Contains: true, After: []string{rec},
			Title:    "policy of " + s.Name + ": one statement more, which denies everything to all but the list",
			Approval: "shuts everybody out of bucket " + s.Name + " but " + kit.Join(s.exempt.all()) + " and AWS services"}, p))
	}
	// The block comes after the policy: it would refuse a policy that is public still.
	if !s.closed() {
		done = append(done, d.Add(respond.Step{ID: "contain/public-access", Action: "s3.block-public", Stage: "contain", Effect: respond.Reversible, Contains: true, After: done,
			Title: "public access block of " + s.Name + ": " + s.Block.String() + " -> all on"}, p))
	}
	if wantsVersions(r.Type) && s.Versioning != versioningOn {
		p.Versioned = true
		done = append(done, b.versioningStep(d, s, p, rec))
	}
	d.Add(respond.Step{ID: "verify/bucket", Action: "s3.verify-bucket", Stage: "verify", Title: "read policy and public access block of " + s.Name + " back", Effect: respond.NoChange, Contains: true, After: done}, p)
	b.words(d, s)
	d.ShortestSeconds, d.LongestSeconds = 5, 120
	return d.Draft, nil
}

func (bucket) versioningStep(d *kit.Draft, s bucketWorld, p bucketParams, rec string) string {
	step := respond.Step{ID: "contain/versioning", Action: "s3.switch-versioning", Stage: "contain", Effect: respond.Reversible, After: []string{rec},
		Title: "versioning of " + s.Name + ": " + orNever(s.Versioning) + " -> Enabled"}
	if s.Versioning == "" {
		step.Effect = respond.Irreversible
		step.Approval = "versioning of " + s.Name + " can only be suspended later, never switched off again; versions cost storage"
		d.Irreversible = append(d.Irreversible, "bucket "+s.Name+" stays versioned: undo suspends it")
	}
	d.CostWhy = "every version that is overwritten or deleted from now on is stored"
	return d.Add(step, p)
}

func orNever(versioning string) string {
	if versioning == "" {
		return "never on"
	}
	return versioning
}

// ownBucket answers whether it is a bucket that guardroom itself needs.
func ownBucket(name string, p respond.Policy) respond.Guard {
	g := respond.Guard{Name: "guardroom's bucket", Answer: respond.Pass}
	if name == p.Evidence.Bucket {
		g.Answer, g.Why, g.Hint = respond.Refuse, name+" is the evidence bucket", "a person must look at it"
	}
	return g
}

func (b bucket) words(d *kit.Draft, s bucketWorld) {
	if s.Public == "public" {
		d.AlsoHits = append(d.AlsoHits, "everybody who reads "+s.Name+" as the public: websites, downloads, links")
	}
	for _, g := range s.Grants {
		if g.To == "AllUsers" || g.To == "AuthenticatedUsers" {
			d.AlsoHits = append(d.AlsoHits, "who has "+g.Permission+" as "+g.To+" by the ACL")
		}
	}
	d.WillNot = append(d.WillNot, "no object, version, ACL, lifecycle rule or replication is changed", "copies that were made before are out of reach")
	d.Undo = "puts the public access block back first, then the policy as it was, byte for byte, where it still equals what guardroom wrote; where it was changed since, takes out our statement only"
	if b.publicOnly {
		d.WillNot = append(d.WillNot, "nobody of this account loses access; other accounts do only where the policy is public")
	} else {
		d.AlsoHits = append(d.AlsoHits, "every application, person and account that uses "+s.Name+", pre-signed links, and replication by a role")
		d.WillNot = append(d.WillNot, "services of AWS that act for themselves go on, such as log delivery", "root of the account can always take the policy off")
	}
	for _, g := range s.Gaps {
		d.WillNot = append(d.WillNot, "not written down: "+g)
	}
	d.Manual = append(d.Manual, "Contain the principal of the finding too: it can do elsewhere what it did here.",
		"Look at lifecycle rules and replication of "+s.Name+" that are newer than the finding: guardroom does not change them.")
}
