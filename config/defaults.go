package config

import "time"

// Default is the configuration without any file: it works, and tells nobody
// until there are destinations and routes.
func Default() *Config {
	c := &Config{}
	c.setDefaults()
	return c
}

// Sample has every section and one element in each list, all at their defaults.
// It is what the reference is made from, and no valid configuration: names and
// addresses are missing.
func Sample() *Config {
	c := Default()
	c.Accounts = []Account{{}}
	c.Sources.SQS, c.Sources.GuardDuty, c.Sources.S3 = []SQSSource{{}}, []GuardDutySource{{}}, []S3Source{{}}
	c.Triage.Enrich.Lists = []AddressList{{}}
	c.Suppress, c.Routes = []Suppression{{}}, []Route{{}}
	c.Respond.ProtectedHours, c.Respond.Freezes = []ProtectedHours{{}}, []Freeze{{}}
	c.Respond.NeverTouch, c.Respond.PreAuthorize = []NeverTouch{{}}, []PreAuthorization{{}}
	c.Destinations = []Destination{{Slack: &Slack{}, Jira: &Jira{}, PagerDuty: &PagerDuty{}, Webhook: &Webhook{}, Email: &Email{}}}
	c.setListDefaults()
	return c
}

func fill[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

const day = Duration(24 * time.Hour)

// setDefaults fills in what is not set. It is the only place where defaults
// are; the reference and the schema are made from it.
func (c *Config) setDefaults() {
	if !c.Store.IsSet() {
		c.Store = NewSecret("sqlite:guardroom.db")
	}
	fill(&c.Name, "guardroom")
	fill(&c.Log.Level, "info")
	fill(&c.Log.Format, "auto")
	fill(&c.Sources.HTTP.APIKeyHeader, "X-Api-Key")
	fill(&c.Sources.HTTP.MaxBody, 10<<20)
	fill(&c.Triage.Merge.Window, day)
	fill(&c.Triage.Root, "page")
	fill(&c.Triage.Enrich.Timeout, Duration(2*time.Second))
	fill(&c.Incidents.ReopenWithin, 7*day)
	fill(&c.Audit.Head.Interval, Duration(30*time.Second))
	fill(&c.Watch.SilentAfter, day)
	fill(&c.Watch.UndeliveredAfter, Duration(10*time.Minute))
	fill(&c.Watch.HeartbeatInterval, Duration(time.Minute))
	fill(&c.Worker.Concurrency, 8)
	fill(&c.Worker.Lease, Duration(time.Minute))
	fill(&c.Worker.TimeScale, 1)
	c.Respond.setDefaults()
	c.setListDefaults()
}

// setListDefaults fills in lists and their elements. It runs again after a file
// was read, and changes nothing that the file says.
func (c *Config) setListDefaults() {
	if len(c.Triage.Merge.Keys) == 0 {
		c.Triage.Merge.Keys = []string{"finding", "sequence", "family_resource", "actor"}
	}
	c.Respond.setListDefaults()
	for i := range c.Sources.SQS {
		s := &c.Sources.SQS[i]
		fill(&s.Visibility, Duration(time.Minute))
		fill(&s.MaxReceives, 5)
	}
	for i := range c.Sources.GuardDuty {
		s := &c.Sources.GuardDuty[i]
		fill(&s.Interval, Duration(time.Minute))
		fill(&s.Overlap, Duration(15*time.Minute))
		fill(&s.LookBack, 30*day)
	}
	for i := range c.Sources.S3 {
		fill(&c.Sources.S3[i].Interval, Duration(5*time.Minute))
	}
	for i := range c.Destinations {
		c.Destinations[i].setDefaults()
	}
}

func (d *Destination) setDefaults() {
	fill(&d.Timeout, Duration(10*time.Second))
	if d.DigestAbove == nil {
		n := 20
		d.DigestAbove = &n
	}
	if d.Type == "webhook" {
		// An endpoint of one's own may be down over a weekend.
		fill(&d.GiveUpAfter, 3*day)
	}
	fill(&d.GiveUpAfter, day)
	if s := d.Slack; s != nil {
		fill(&s.Mention.At, "high")
		fill(&s.Mention.Who, "<!here>")
	}
	if j := d.Jira; j != nil {
		fill(&j.API, "auto")
		fill(&j.SearchSettle, Duration(65*time.Second))
	}
	if p := d.PagerDuty; p != nil {
		fill(&p.Mode, "events")
		fill(&p.Region, "us")
		fill(&p.PageAgainAt, "critical")
		fill(&p.MinSeverity, "low")
	}
	if e := d.Email; e != nil {
		fill(&e.TLS, "starttls")
		fill(&e.Port, map[string]int{"starttls": 587, "implicit": 465, "none": 25}[e.TLS])
	}
}
