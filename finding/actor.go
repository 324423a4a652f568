package finding

import (
	"net/netip"
	"strings"
)

// canonicalIP returns the canonical text of an address, and nothing for what is
// none.
func canonicalIP(s string) string {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

// readActor collects who did it. Where that stands depends on the action: a
// port probe has an address in each entry, a DNS request has only a domain, and
// a call by an AWS service has no actor address at all.
func readActor(f *Finding, in info) Actor {
	a := Actor{IPs: []string{}, Domains: []string{}, FileHashes: []string{}}
	switch act := f.Action; act.Kind {
	case ActionNetworkConnection:
		a.remote(act.NetworkConnection.Remote)
	case ActionPortProbe:
		for _, p := range act.PortProbe.Probes {
			a.remote(p.Remote)
		}
	case ActionDNSRequest:
		a.domain(act.DNSRequest.Domain)
	case ActionAWSAPICall:
		c := act.AWSAPICall
		a.UserAgent, a.AccountID = c.UserAgent, c.RemoteAccountID
		if c.Domain != "" {
			a.Service = c.Domain
		}
		a.remote(c.Remote)
	case ActionKubernetesAPICall:
		c := act.KubernetesAPICall
		a.UserAgent = c.UserAgent
		a.remote(c.Remote)
		for _, ip := range c.SourceIPs {
			a.ip(ip)
		}
	case ActionRDSLoginAttempt:
		a.remote(act.RDSLoginAttempt.Remote)
	}
	// Who the cluster or the database took the caller for comes before the IAM
	// identity behind it, which stays in PrincipalID.
	a.local(&f.Resource)
	for i := range f.Context {
		a.local(&f.Context[i])
	}
	if c := f.Action.RDSLoginAttempt; c != nil {
		for _, l := range c.Logins {
			a.UserName = orElse(a.UserName, l.User)
		}
	}
	a.UserAgent = orElse(a.UserAgent, in.userAgent)
	a.sequence(f.Sequence)
	if f.Sequence == nil { // its keys are victims as well as tools
		a.identity(&f.Resource)
		for i := range f.Context {
			a.identity(&f.Context[i])
		}
	}
	a.files(f)
	return a
}

func (a *Actor) ip(s string) {
	if ip := canonicalIP(s); ip != "" {
		a.IPs = addOnce(a.IPs, ip)
	}
}

func (a *Actor) domain(s string) {
	a.Domains = addOnce(a.Domains, strings.TrimSuffix(strings.TrimSpace(s), "."))
}

// remote adds an address; origin and place are those of the first one that has
// them, so that they belong together.
func (a *Actor) remote(r *Remote) {
	if r == nil {
		return
	}
	a.ip(r.IPv4)
	a.ip(r.IPv6)
	if a.ASN == "" && a.ASNOrg == "" && a.Country == "" {
		a.ASN, a.ASNOrg = r.ASN, orElse(r.ASNOrg, orElse(r.Org, r.ISP))
		a.Country, a.City = orElse(r.Country, r.CountryCode), r.City
	}
}

// identity takes the principal from the resource block that has one.
func (a *Actor) identity(r *Resource) {
	if k := r.AccessKey; k != nil && a.PrincipalID == "" && a.AccessKeyID == "" {
		a.UserName, a.UserType = orElse(a.UserName, k.UserName), orElse(a.UserType, k.UserType)
		a.PrincipalID, a.AccessKeyID = k.PrincipalID, k.AccessKeyID
	}
}

// local takes the user of a Kubernetes cluster or a database.
func (a *Actor) local(r *Resource) {
	if c := r.EKSCluster; c != nil && c.User != nil {
		a.UserName = orElse(a.UserName, c.User.Name)
	}
	if d := r.DBInstance; d != nil && d.User != nil {
		a.UserName = orElse(a.UserName, d.User.User)
	}
}

func (a *Actor) sequence(s *Sequence) {
	if s == nil {
		return
	}
	for _, e := range s.Endpoints {
		a.ip(e.IP)
		a.domain(e.Domain)
		if a.ASN == "" && a.ASNOrg == "" && a.Country == "" {
			a.ASN, a.ASNOrg, a.Country, a.City = e.ASN, e.ASNOrg, e.Country, e.City
		}
	}
	for i, u := range s.Actors {
		if i == 0 || a.UserName == "" && a.PrincipalID == "" {
			a.UserName, a.UserType = orElse(u.UserName, a.UserName), orElse(u.UserType, a.UserType)
			a.PrincipalID, a.AccessKeyID = orElse(u.UserUID, a.PrincipalID), orElse(u.CredentialUID, a.AccessKeyID)
		}
		a.FileHashes = addOnce(a.FileHashes, u.ProcessSHA256)
	}
}

func (a *Actor) files(f *Finding) {
	if f.Runtime != nil && f.Runtime.Process != nil {
		a.FileHashes = addOnce(a.FileHashes, f.Runtime.Process.ExecutableSHA256)
	}
	if f.Runtime != nil {
		for _, p := range f.Runtime.Processes {
			a.FileHashes = addOnce(a.FileHashes, p.Process.ExecutableSHA256)
		}
	}
	if f.Scan != nil {
		for _, t := range f.Scan.Threats {
			for _, file := range t.Files {
				a.FileHashes = addOnce(a.FileHashes, file.SHA256)
			}
		}
	}
	for _, t := range f.Threats {
		a.FileHashes = addOnce(a.FileHashes, t.FileSHA256)
	}
}

// AttackedInterface returns the network interface of the instance that took
// part in the action: the one that the action names, else the one that owns the
// local address, else the only one. It reports false where that is not known;
// an instance has several interfaces more often than not.
func (f *Finding) AttackedInterface() (NetworkInterface, bool) {
	in := f.Instance()
	if in == nil {
		return NetworkInterface{}, false
	}
	var name string
	var local []string
	switch f.Action.Kind {
	case ActionNetworkConnection:
		c := f.Action.NetworkConnection
		name = c.LocalNetworkInterface
		local = addOnce(addOnce(nil, c.LocalIPv4), c.LocalIPv6)
	case ActionPortProbe:
		for _, p := range f.Action.PortProbe.Probes {
			local = addOnce(addOnce(local, p.LocalIPv4), p.LocalIPv6)
		}
	}
	if name != "" {
		for _, ni := range in.Interfaces {
			if ni.ID == name {
				return ni, true
			}
		}
		return NetworkInterface{}, false
	}
	if len(local) > 0 {
		found := -1
		for i, ni := range in.Interfaces {
			if ni.owns(local) {
				if found >= 0 {
					return NetworkInterface{}, false
				}
				found = i
			}
		}
		if found < 0 {
			return NetworkInterface{}, false
		}
		return in.Interfaces[found], true
	}
	if len(in.Interfaces) == 1 {
		return in.Interfaces[0], true
	}
	return NetworkInterface{}, false
}

func (ni NetworkInterface) owns(addresses []string) bool {
	for _, s := range addresses {
		want := canonicalIP(s)
		if want == "" {
			continue
		}
		if canonicalIP(ni.PrivateIP) == want || canonicalIP(ni.PublicIP) == want {
			return true
		}
		for _, list := range [...][]string{ni.PrivateIPs, ni.IPv6} {
			for _, ip := range list {
				if canonicalIP(ip) == want {
					return true
				}
			}
		}
	}
	return false
}

// Instance returns the instance of the finding, as primary resource or as
// context, nil if it has none.
func (f *Finding) Instance() *Instance {
	if f.Resource.Instance != nil {
		return f.Resource.Instance
	}
	for i := range f.Context {
		if f.Context[i].Instance != nil {
			return f.Context[i].Instance
		}
	}
	return nil
}
