package s3

import (
	"encoding/json"
	"fmt"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

type objectParams struct {
	Bucket    string          `json:"bucket"`
	ARN       string          `json:"arn"` // of the bucket
	Key       string          `json:"key,omitempty"`
	Version   string          `json:"version,omitempty"`
	Value     string          `json:"value,omitempty"` // of our tag
	Sid       string          `json:"sid,omitempty"`
	Statement json.RawMessage `json:"statement,omitempty"`
}

func (object) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	o, ok := w.Value.(objectWorld)
	if !ok {
		return respond.Draft{}, internal("the description is not one of an object", nil)
	}
	t := r.Target
	t.Region, t.Name, t.ARN = o.bucket.Region, o.Key, o.bucket.ARN+"/"+o.Key
	d := kit.NewDraft(t, Actions())
	d.Guarded(kit.NeverTouch(o.Tags), kit.NeverTouch(o.bucket.Tags), ownBucket(o.Bucket, r.Policy))
	d.Guarded(o.exempt.guards(r.Policy)...)
	p := objectParams{Bucket: o.Bucket, ARN: o.bucket.ARN, Key: o.Key, Version: o.Version, Value: r.Incident.Number.String(), Sid: sid("Quarantine", r) + respond.Digest([]byte(o.Key + "\x00" + o.Version))[:8]}
	// The name is that of the object as well: the undo of one leaves what keeps others of the incident.
	p.Statement = denyTagged(p.Sid, p.ARN, p.Value, o.exempt.all())
	d.Guarded(tagGuard(o, p))

	rec := d.Add(respond.Step{ID: "record/object", Action: "s3.record-object", Stage: "record", Title: fmt.Sprintf("write down object %q%s", o.Key, versionWords(o.Version)), Effect: respond.NoChange}, p)
	deny := d.Add(respond.Step{ID: "contain/deny", Action: "s3.add-statement", Stage: "contain", Effect: respond.Reversible, Contains: true, After: []string{rec},
		Title: "policy of " + o.Bucket + ": one statement more, which denies reading what is tagged " + quarantineTag + "=" + p.Value}, p)
	tag := d.Add(respond.Step{ID: "contain/tag", Action: "s3.tag-object", Stage: "contain", Effect: respond.Reversible, Contains: true, After: []string{rec, deny},
		Title: fmt.Sprintf("object %q%s: one tag more, %s=%s", o.Key, versionWords(o.Version), quarantineTag, p.Value)}, p)
	d.Add(respond.Step{ID: "verify/object", Action: "s3.verify-object", Stage: "verify", Title: "read tags and policy back", Effect: respond.NoChange, Contains: true, After: []string{deny, tag}}, p)

	d.AlsoHits = append(d.AlsoHits, "every application and person that reads this version of the object")
	d.WillNot = append(d.WillNot, "the object and its versions are not deleted, moved or changed", "other versions and objects stay readable", "copies in replicas and caches are out of reach")
	if o.Version == "" {
		d.WillNot = append(d.WillNot, "the bucket was never versioned: whoever writes the object anew takes the tag off with it")
	}
	d.Manual = append(d.Manual, "List replicas and caches of the object: a replica has tags of its own.", "Look in CloudTrail data events who uploaded it.")
	d.Undo = "takes our tag off this version, leaving tags that others set since, then puts the policy back as it was, byte for byte; where it was changed since, takes out our statement only"
	d.ShortestSeconds, d.LongestSeconds = 5, 120
	return d.Draft, nil
}

func versionWords(version string) string {
	if version == "" {
		return ""
	}
	return " version " + version
}

// tagGuard answers whether our tag can be set.
func tagGuard(o objectWorld, p objectParams) respond.Guard {
	g := respond.Guard{Name: "quarantine tag", Answer: respond.Pass}
	value, has := o.Tags[quarantineTag]
	switch {
	case has && value != p.Value:
		g.Answer, g.Why, g.Hint = respond.Refuse, "it is in quarantine for "+value+" already", "look at that incident"
	case !has && len(o.Tags) >= mostTags:
		g.Answer, g.Why, g.Hint = respond.Refuse, fmt.Sprintf("it has %d tags, and AWS allows no more", len(o.Tags)), "take one off by hand, and make the plan again"
	}
	return g
}
