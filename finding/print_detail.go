package finding

import "time"

// PrintedThreat is one threat list that had a match.
type PrintedThreat struct {
	ListName   string   `json:"list_name"`
	Names      []string `json:"names"`
	FileSHA256 string   `json:"file_sha256"`
}

// PrintedRuntime is what the runtime agent saw.
type PrintedRuntime struct {
	Process   *PrintedProcess           `json:"process"`
	Context   map[string]string         `json:"context"`
	Processes map[string]PrintedProcess `json:"processes"`
}

// PrintedProcess is one process.
type PrintedProcess struct {
	Name             string           `json:"name"`
	ExecutablePath   string           `json:"executable_path"`
	ExecutableSHA256 string           `json:"executable_sha256"`
	PWD              string           `json:"pwd"`
	PID              int              `json:"pid"`
	NamespacePID     int              `json:"namespace_pid"`
	UUID             string           `json:"uuid"`
	ParentUUID       string           `json:"parent_uuid"`
	User             string           `json:"user"`
	UserID           int              `json:"user_id"`
	EUID             int              `json:"euid"`
	StartTime        *time.Time       `json:"start_time"`
	Lineage          []PrintedProcess `json:"lineage"`
}

// PrintedScan is a malware scan.
type PrintedScan struct {
	ID                  string           `json:"id"`
	Type                string           `json:"type"`
	Category            string           `json:"category"`
	TriggerType         string           `json:"trigger_type"`
	TriggerFindingID    string           `json:"trigger_finding_id"`
	BaselineResourceARN string           `json:"baseline_resource_arn"`
	StartedAt           *time.Time       `json:"started_at"`
	CompletedAt         *time.Time       `json:"completed_at"`
	Sources             []string         `json:"sources"`
	FilesScanned        int              `json:"files_scanned"`
	ThreatFiles         int              `json:"threat_files"`
	Truncated           bool             `json:"truncated"`
	Threats             []PrintedMalware `json:"threats"`
}

// PrintedMalware is one malware with the files it was found in.
type PrintedMalware struct {
	Name     string               `json:"name"`
	Severity string               `json:"severity"`
	Count    int                  `json:"count"`
	Files    []PrintedMalwareFile `json:"files"`
}

// PrintedMalwareFile is one file.
type PrintedMalwareFile struct {
	Path     string `json:"path"`
	Name     string `json:"name"`
	SHA256   string `json:"sha256"`
	Resource string `json:"resource"`
}

// PrintedAnomaly is why the behaviour is unusual.
type PrintedAnomaly struct {
	Profiled []PrintedFact     `json:"profiled"`
	Unusual  []PrintedFact     `json:"unusual"`
	APIs     []PrintedProperty `json:"apis"`
}

// PrintedFact is one observation.
type PrintedFact struct {
	Entity    string   `json:"entity"`
	Feature   string   `json:"feature"`
	Frequency string   `json:"frequency"`
	Values    []string `json:"values"`
}

// PrintedSequence is an attack sequence with all of its members.
type PrintedSequence struct {
	UID             string                    `json:"uid"`
	Description     string                    `json:"description"`
	AdditionalTypes []string                  `json:"additional_types"`
	Indicators      []PrintedIndicator        `json:"indicators"`
	Signals         []PrintedSignal           `json:"signals"`
	Actors          []PrintedSequenceActor    `json:"actors"`
	Endpoints       []PrintedEndpoint         `json:"endpoints"`
	Resources       []PrintedSequenceResource `json:"resources"`
}

// PrintedIndicator is one indicator.
type PrintedIndicator struct {
	Key    string   `json:"key"`
	Title  string   `json:"title"`
	Values []string `json:"values"`
}

// PrintedSignal is one signal.
type PrintedSignal struct {
	UID          string             `json:"uid"`
	Type         string             `json:"type"`
	Name         string             `json:"name"`
	Description  string             `json:"description"`
	Severity     float64            `json:"severity"`
	Count        int                `json:"count"`
	CreatedAt    *time.Time         `json:"created_at"`
	UpdatedAt    *time.Time         `json:"updated_at"`
	FirstSeen    *time.Time         `json:"first_seen"`
	LastSeen     *time.Time         `json:"last_seen"`
	ResourceUIDs []string           `json:"resource_uids"`
	ActorIDs     []string           `json:"actor_ids"`
	EndpointIDs  []string           `json:"endpoint_ids"`
	Indicators   []PrintedIndicator `json:"indicators"`
}

// PrintedSequenceActor is one actor.
type PrintedSequenceActor struct {
	ID            string `json:"id"`
	UserName      string `json:"user_name"`
	UserType      string `json:"user_type"`
	UserUID       string `json:"user_uid"`
	CredentialUID string `json:"credential_uid"`
	Account       string `json:"account"`
	SessionUID    string `json:"session_uid"`
	SessionMFA    string `json:"session_mfa"`
	SessionIssuer string `json:"session_issuer"`
	ProcessName   string `json:"process_name"`
	ProcessPath   string `json:"process_path"`
	ProcessSHA256 string `json:"process_sha256"`
}

// PrintedEndpoint is one network endpoint.
type PrintedEndpoint struct {
	ID        string `json:"id"`
	IP        string `json:"ip"`
	Domain    string `json:"domain"`
	Port      int    `json:"port"`
	City      string `json:"city"`
	Country   string `json:"country"`
	ASN       string `json:"asn"`
	ASNOrg    string `json:"asn_org"`
	Direction string `json:"direction"`
}

// PrintedSequenceResource is one resource of a sequence.
type PrintedSequenceResource struct {
	UID       string            `json:"uid"`
	Name      string            `json:"name"`
	Account   string            `json:"account"`
	Region    string            `json:"region"`
	Service   string            `json:"service"`
	Partition string            `json:"partition"`
	Type      string            `json:"type"`
	Kind      string            `json:"kind"`
	Tags      []PrintedTag      `json:"tags"`
	Data      []PrintedProperty `json:"data"`
}

func printRuntime(r *Runtime) *PrintedRuntime {
	if r == nil {
		return nil
	}
	p := &PrintedRuntime{Context: map[string]string{}, Processes: map[string]PrintedProcess{}}
	if r.Process != nil {
		proc := printProcess(*r.Process)
		p.Process = &proc
	}
	for _, c := range r.Context {
		p.Context[c.Name] = c.Value
	}
	for _, n := range r.Processes {
		p.Processes[n.Name] = printProcess(n.Process)
	}
	return p
}

func printProcess(p Process) PrintedProcess {
	return PrintedProcess{
		Name: p.Name, ExecutablePath: p.ExecutablePath, ExecutableSHA256: p.ExecutableSHA256, PWD: p.PWD,
		PID: p.PID, NamespacePID: p.NamespacePID, UUID: p.UUID, ParentUUID: p.ParentUUID,
		User: p.User, UserID: p.UserID, EUID: p.EUID, StartTime: printTime(p.StartTime),
		Lineage: mapped(p.Lineage, printProcess),
	}
}

func printScan(s *Scan) *PrintedScan {
	if s == nil {
		return nil
	}
	return &PrintedScan{
		ID: s.ID, Type: s.Type, Category: s.Category, TriggerType: s.TriggerType, TriggerFindingID: s.TriggerFindingID,
		BaselineResourceARN: s.BaselineResourceARN,
		StartedAt:           printTime(s.StartedAt), CompletedAt: printTime(s.CompletedAt), Sources: texts(s.Sources),
		FilesScanned: s.FilesScanned, ThreatFiles: s.ThreatFiles, Truncated: s.Truncated,
		Threats: mapped(s.Threats, func(t MalwareThreat) PrintedMalware {
			return PrintedMalware{
				Name: t.Name, Severity: t.Severity, Count: t.Count,
				Files: mapped(t.Files, func(f MalwareFile) PrintedMalwareFile { return PrintedMalwareFile(f) }),
			}
		}),
	}
}

func printAnomaly(a *Anomaly) *PrintedAnomaly {
	if a == nil {
		return nil
	}
	fact := func(f AnomalyFact) PrintedFact {
		return PrintedFact{Entity: f.Entity, Feature: f.Feature, Frequency: f.Frequency, Values: texts(f.Values)}
	}
	return &PrintedAnomaly{Profiled: mapped(a.Profiled, fact), Unusual: mapped(a.Unusual, fact), APIs: printProperties(a.APIs)}
}

func printIndicators(all []Indicator) []PrintedIndicator {
	return mapped(all, func(i Indicator) PrintedIndicator {
		return PrintedIndicator{Key: i.Key, Title: i.Title, Values: texts(i.Values)}
	})
}

func printSequence(s *Sequence) *PrintedSequence {
	if s == nil {
		return nil
	}
	return &PrintedSequence{
		UID: s.UID, Description: s.Description, AdditionalTypes: texts(s.AdditionalTypes),
		Indicators: printIndicators(s.Indicators),
		Signals: mapped(s.Signals, func(g Signal) PrintedSignal {
			return PrintedSignal{
				UID: g.UID, Type: g.Type, Name: g.Name, Description: g.Description,
				Severity: float64(g.Severity), Count: g.Count,
				CreatedAt: printTime(g.CreatedAt), UpdatedAt: printTime(g.UpdatedAt),
				FirstSeen: printTime(g.FirstSeen), LastSeen: printTime(g.LastSeen),
				ResourceUIDs: texts(g.ResourceUIDs), ActorIDs: texts(g.ActorIDs), EndpointIDs: texts(g.EndpointIDs),
				Indicators: printIndicators(g.Indicators),
			}
		}),
		Actors: mapped(s.Actors, func(a SequenceActor) PrintedSequenceActor {
			return PrintedSequenceActor{
				ID: a.ID, UserName: a.UserName, UserType: a.UserType, UserUID: a.UserUID,
				CredentialUID: a.CredentialUID, Account: a.AccountID,
				SessionUID: a.SessionUID, SessionMFA: a.SessionMFA, SessionIssuer: a.SessionIssuer,
				ProcessName: a.ProcessName, ProcessPath: a.ProcessPath, ProcessSHA256: a.ProcessSHA256,
			}
		}),
		Endpoints: mapped(s.Endpoints, func(e Endpoint) PrintedEndpoint {
			return PrintedEndpoint{
				ID: e.ID, IP: e.IP, Domain: e.Domain, Port: e.Port, City: e.City, Country: e.Country,
				ASN: e.ASN, ASNOrg: e.ASNOrg, Direction: e.Direction,
			}
		}),
		Resources: mapped(s.Resources, func(r SequenceResource) PrintedSequenceResource {
			return PrintedSequenceResource{
				UID: r.UID, Name: r.Name, Account: r.AccountID, Region: r.Region, Service: r.Service,
				Partition: r.Partition, Type: r.Type, Kind: string(r.Kind),
				Tags: printTags(r.Tags), Data: printProperties(r.Data),
			}
		}),
	}
}
