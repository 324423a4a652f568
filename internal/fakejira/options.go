package fakejira

import (
	"time"
)

// Dialect is one of the two Jiras.
type Dialect string

// The dialects.
const (
	Cloud      Dialect = "cloud"
	DataCenter Dialect = "datacenter"
)

// What a site of zero Options consists of.
const (
	DefaultEmail     = "demo@example.com"
	DefaultToken     = "demo-token" // the API token of Cloud, the personal access token of Data Center
	DefaultProject   = "SEC"
	DefaultIssueType = "Task"
	DefaultCloudID   = "11111111-2222-3333-4444-555555555555"
)

// Options describe the site that the server plays. The zero value is a Cloud
// site with the project SEC (Task, Bug), five priorities and a workflow of
// three statuses.
type Options struct {
	// Dialect; empty: Cloud.
	Dialect Dialect
	// Now is the server's clock; nil: time.Now.
	Now func() time.Time
	// TimeScale divides IndexLag and the windows of limits; 0: 1.
	TimeScale float64
	// IndexLag is how long a fresh, changed or deleted issue stays as it was
	// for the search.
	IndexLag time.Duration
	// Email and Token authenticate; empty: the Default constants.
	Email, Token string
	// Projects of the site; nil: DefaultProjects.
	Projects []Project
	// Priorities by name, the highest first; nil: Highest to Lowest. An empty,
	// non-nil slice is a site without priorities.
	Priorities []Value
	// Workflow of every project; nil: DefaultWorkflow.
	Workflow *Workflow
	// WritesPerIssue within two seconds; 0: 20, negative: no limit. A write
	// above it is answered 429 and is a violation.
	WritesPerIssue int
	// Burst is how many requests of one method and endpoint are taken within a
	// second; 0: no limit. One above it is answered 429 and is a violation.
	Burst int
	// NoMeta has no calls about projects and what they demand, as simple
	// stand-ins and old proxies have none.
	NoMeta bool
	// NoDelete refuses to delete issues, as most projects do.
	NoDelete bool
	// Faults happen at random.
	Faults Faults
	// Hook is called for each request, without locks held: "received" before
	// anything is done, "effect" when it is done and not yet answered,
	// "answered" after the answer.
	Hook func(stage, path string)
	// Address to listen on; empty: 127.0.0.1:0.
	Address string
}

// Value is something to choose from: a priority, a resolution, an option.
type Value struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Project is one project with its types of issues.
type Project struct {
	ID, Key, Name string
	Types         []IssueType
}

// IssueType is one type of issue with what is on its screens beside summary,
// issue type and project.
type IssueType struct {
	ID, Name string
	Fields   []Field
}

// Field is one field on a type's screens.
type Field struct {
	ID, Name   string
	Required   bool
	HasDefault bool
	Allowed    []Value // what may be chosen; nil: anything
	NoEdit     bool    // on the create screen only
}

// Workflow is the statuses that an issue can have; a new one has the first.
type Workflow struct{ Statuses []Status }

// Status is one status with the ways out of it. Category is new,
// indeterminate or done.
type Status struct {
	ID, Name, Category string
	Transitions        []Transition
}

// Transition is a way to another status. Its id differs per status. Fields are
// on its screen.
type Transition struct {
	ID, Name string
	To       string // name of the status
	Fields   []Field
}

// StandardFields returns what is on the screens of an ordinary issue type.
func StandardFields() []Field {
	return []Field{
		{ID: "description", Name: "Description"},
		{ID: "labels", Name: "Labels"},
		{ID: "priority", Name: "Priority", HasDefault: true},
		{ID: "duedate", Name: "Due date"},
	}
}

// DefaultProjects returns the projects of zero Options.
func DefaultProjects() []Project {
	return []Project{
		{ID: "10000", Key: DefaultProject, Name: "Security operations", Types: []IssueType{
			{ID: "10001", Name: DefaultIssueType, Fields: StandardFields()},
			{ID: "10002", Name: "Bug", Fields: StandardFields()},
		}},
		{ID: "10010", Key: "OPS", Name: "Operations", Types: []IssueType{
			{ID: "10001", Name: DefaultIssueType, Fields: StandardFields()},
		}},
	}
}

// DefaultWorkflow returns the workflow of zero Options.
func DefaultWorkflow() *Workflow {
	return &Workflow{Statuses: []Status{
		{ID: "1", Name: "To Do", Category: "new", Transitions: []Transition{
			{ID: "11", Name: "Start", To: "In Progress"}, {ID: "12", Name: "Resolve", To: "Done"}}},
		{ID: "3", Name: "In Progress", Category: "indeterminate", Transitions: []Transition{
			{ID: "21", Name: "Stop", To: "To Do"}, {ID: "22", Name: "Resolve", To: "Done"}}},
		{ID: "5", Name: "Done", Category: "done", Transitions: []Transition{{ID: "31", Name: "Reopen", To: "To Do"}}},
	}}
}

// Resolutions returns the resolutions that a site has from the start.
func Resolutions() []Value {
	return []Value{{"10100", "Done"}, {"10101", "Won't Do"}, {"10102", "False positive"}}
}

func (o Options) filled() Options {
	fill := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	if o.Dialect == "" {
		o.Dialect = Cloud
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TimeScale == 0 {
		o.TimeScale = 1
	}
	fill(&o.Address, "127.0.0.1:0")
	fill(&o.Email, DefaultEmail)
	fill(&o.Token, DefaultToken)
	if o.Projects == nil {
		o.Projects = DefaultProjects()
	}
	if o.Priorities == nil {
		o.Priorities = []Value{{"1", "Highest"}, {"2", "High"}, {"3", "Medium"}, {"4", "Low"}, {"5", "Lowest"}}
	}
	if o.Workflow == nil {
		o.Workflow = DefaultWorkflow()
	}
	if o.WritesPerIssue == 0 {
		o.WritesPerIssue = 20
	}
	if o.Hook == nil {
		o.Hook = func(string, string) {}
	}
	return o
}

// scale returns d at the server's tempo.
func (o Options) scale(d time.Duration) time.Duration {
	return time.Duration(float64(d) / o.TimeScale)
}
