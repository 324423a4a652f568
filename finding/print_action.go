package finding

// PrintedAction is what happened. Which of the fields are there depends on the
// kind; the others are left out.
type PrintedAction struct {
	Kind string `json:"kind"` // empty where the finding has no action
	Type string `json:"type"` // actionType as received

	// Network connection and, in part, port probe and DNS request.
	Direction      string         `json:"direction,omitempty"`
	Protocol       string         `json:"protocol,omitempty"`
	Blocked        *bool          `json:"blocked,omitempty"`
	LocalPort      *PrintedPort   `json:"local_port,omitempty"`
	RemotePort     *PrintedPort   `json:"remote_port,omitempty"`
	LocalIPs       []string       `json:"local_ips,omitempty"`
	LocalInterface string         `json:"local_interface,omitempty"`
	Remote         *PrintedRemote `json:"remote,omitempty"`

	Probes []PrintedProbe `json:"probes,omitempty"`

	Domain            string `json:"domain,omitempty"`
	DomainWithSuffix  string `json:"domain_with_suffix,omitempty"`
	VPCOwnerAccountID string `json:"vpc_owner_account_id,omitempty"`

	// AWS API call.
	API                     string            `json:"api,omitempty"`
	Service                 string            `json:"service,omitempty"`
	CallerType              string            `json:"caller_type,omitempty"`
	ErrorCode               string            `json:"error_code,omitempty"`
	UserAgent               string            `json:"user_agent,omitempty"`
	RemoteAccountID         string            `json:"remote_account_id,omitempty"`
	RemoteAccountAffiliated *bool             `json:"remote_account_affiliated,omitempty"`
	AffectedResources       map[string]string `json:"affected_resources,omitempty"`

	// Kubernetes API call.
	Verb         string            `json:"verb,omitempty"`
	RequestURI   string            `json:"request_uri,omitempty"`
	StatusCode   int               `json:"status_code,omitempty"`
	Resource     string            `json:"resource,omitempty"`
	ResourceName string            `json:"resource_name,omitempty"`
	Subresource  string            `json:"subresource,omitempty"`
	Namespace    string            `json:"namespace,omitempty"`
	Parameters   string            `json:"parameters,omitempty"`
	SourceIPs    []string          `json:"source_ips,omitempty"`
	Permission   []PrintedProperty `json:"permission,omitempty"`
	Role         []PrintedProperty `json:"role,omitempty"`
	RoleBinding  []PrintedProperty `json:"role_binding,omitempty"`

	Logins []PrintedLogin `json:"logins,omitempty"`
}

// PrintedPort is a port with its name.
type PrintedPort struct {
	Port int    `json:"port"`
	Name string `json:"name"`
}

// PrintedRemote is the far end.
type PrintedRemote struct {
	IPv4        string   `json:"ipv4"`
	IPv6        string   `json:"ipv6"`
	ASN         string   `json:"asn"`
	ASNOrg      string   `json:"asn_org"`
	ISP         string   `json:"isp"`
	Org         string   `json:"org"`
	Country     string   `json:"country"`
	CountryCode string   `json:"country_code"`
	City        string   `json:"city"`
	Lat         *float64 `json:"lat"` // null where unknown
	Lon         *float64 `json:"lon"`
}

// PrintedProbe is one probed port.
type PrintedProbe struct {
	LocalPort PrintedPort    `json:"local_port"`
	LocalIPs  []string       `json:"local_ips"`
	Remote    *PrintedRemote `json:"remote"`
}

// PrintedLogin is one login of a database.
type PrintedLogin struct {
	User        string `json:"user"`
	Application string `json:"application"`
	Failed      int    `json:"failed"`
	Successful  int    `json:"successful"`
}

func printAction(a Action) PrintedAction {
	p := PrintedAction{Kind: string(a.Kind), Type: a.Type}
	if c := a.NetworkConnection; c != nil {
		p.Direction, p.Protocol, p.Blocked = c.Direction, c.Protocol, c.Blocked
		p.LocalPort, p.RemotePort = printPort(c.LocalPort), printPort(c.RemotePort)
		p.LocalIPs = addOnce(addOnce(nil, c.LocalIPv4), c.LocalIPv6)
		p.LocalInterface, p.Remote = c.LocalNetworkInterface, printRemote(c.Remote)
	}
	if c := a.PortProbe; c != nil {
		p.Blocked = c.Blocked
		p.Probes = mapped(c.Probes, func(e Probe) PrintedProbe {
			return PrintedProbe{
				LocalPort: PrintedPort(e.LocalPort), Remote: printRemote(e.Remote),
				LocalIPs: texts(addOnce(addOnce(nil, e.LocalIPv4), e.LocalIPv6)),
			}
		})
	}
	if c := a.DNSRequest; c != nil {
		p.Domain, p.DomainWithSuffix, p.Protocol = c.Domain, c.DomainWithSuffix, c.Protocol
		p.Blocked, p.VPCOwnerAccountID = c.Blocked, c.VPCOwnerAccountID
	}
	if c := a.AWSAPICall; c != nil {
		p.API, p.Service, p.CallerType, p.ErrorCode, p.UserAgent = c.API, c.Service, c.CallerType, c.ErrorCode, c.UserAgent
		p.Remote, p.Domain = printRemote(c.Remote), c.Domain
		p.RemoteAccountID, p.RemoteAccountAffiliated = c.RemoteAccountID, c.RemoteAccountAffiliated
		for _, r := range c.AffectedResources {
			if p.AffectedResources == nil {
				p.AffectedResources = map[string]string{}
			}
			p.AffectedResources[r.Name] = r.Value
		}
	}
	if c := a.KubernetesAPICall; c != nil {
		p.Verb, p.RequestURI, p.StatusCode, p.UserAgent = c.Verb, c.RequestURI, c.StatusCode, c.UserAgent
		p.Resource, p.ResourceName, p.Subresource, p.Namespace = c.Resource, c.ResourceName, c.Subresource, c.Namespace
		p.Parameters, p.SourceIPs, p.Remote = c.Parameters, c.SourceIPs, printRemote(c.Remote)
		p.Permission, p.Role = printProperties(c.Permission), printProperties(c.Role)
		p.RoleBinding = printProperties(c.RoleBinding)
	}
	if c := a.RDSLoginAttempt; c != nil {
		p.Remote = printRemote(c.Remote)
		p.Logins = mapped(c.Logins, func(l Login) PrintedLogin { return PrintedLogin(l) })
	}
	return p
}

func printPort(p Port) *PrintedPort {
	if p == (Port{}) {
		return nil
	}
	return &PrintedPort{Port: p.Port, Name: p.Name}
}

func printRemote(r *Remote) *PrintedRemote {
	if r == nil {
		return nil
	}
	p := &PrintedRemote{
		IPv4: r.IPv4, IPv6: r.IPv6, ASN: r.ASN, ASNOrg: r.ASNOrg, ISP: r.ISP, Org: r.Org,
		Country: r.Country, CountryCode: r.CountryCode, City: r.City,
	}
	if r.Lat != 0 || r.Lon != 0 {
		lat, lon := r.Lat, r.Lon
		p.Lat, p.Lon = &lat, &lon
	}
	return p
}
