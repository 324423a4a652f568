package finding

import "strings"

// readAction reads the action by the block that is present; the word beside it
// is only checked, since generated findings contradict themselves.
func readAction(service value) Action {
	v := service.object("action")
	a := Action{Type: v.text("actionType")}
	if d := v.object("networkConnectionAction"); d.present() {
		a.Kind, a.NetworkConnection = ActionNetworkConnection, readConnection(d)
	}
	if d := v.object("portProbeAction"); d.present() && a.Kind == ActionNone {
		a.Kind, a.PortProbe = ActionPortProbe, readPortProbe(d)
	}
	if d := v.object("dnsRequestAction"); d.present() && a.Kind == ActionNone {
		a.Kind, a.DNSRequest = ActionDNSRequest, &DNSRequest{
			Domain: d.text("domain"), DomainWithSuffix: d.text("domainWithSuffix"), Protocol: d.get("protocol").word(),
			VPCOwnerAccountID: d.text("vpcOwnerAccountId"), Blocked: d.flag("blocked"),
		}
	}
	if d := v.object("awsApiCallAction"); d.present() && a.Kind == ActionNone {
		a.Kind, a.AWSAPICall = ActionAWSAPICall, readAPICall(d)
	}
	if d := v.object("kubernetesApiCallAction"); d.present() && a.Kind == ActionNone {
		a.Kind, a.KubernetesAPICall = ActionKubernetesAPICall, readKubernetesCall(d)
	}
	if d := v.object("rdsLoginAttemptAction"); d.present() && a.Kind == ActionNone {
		a.Kind, a.RDSLoginAttempt = ActionRDSLoginAttempt, readLogins(d)
	}
	if k := v.beside("kubernetes"); len(k) > 0 {
		if a.Kind == ActionNone {
			a.Kind, a.KubernetesAPICall = ActionKubernetesAPICall, &KubernetesAPICall{}
		}
		if c := a.KubernetesAPICall; c != nil {
			c.Permission = flattenAll(v.object("kubernetesPermissionCheckedDetails"))
			c.Role = flattenAll(v.object("kubernetesRoleDetails"))
			c.RoleBinding = flattenAll(v.object("kubernetesRoleBindingDetails"))
		}
	}
	switch want := kindOfActionType(a.Type); {
	case a.Kind == ActionNone && a.Type != "":
		a.Kind = orKind(want, ActionOther)
		switch a.Kind { // the block of a known kind is never nil
		case ActionNetworkConnection:
			a.NetworkConnection = &NetworkConnection{}
		case ActionPortProbe:
			a.PortProbe = &PortProbe{}
		case ActionDNSRequest:
			a.DNSRequest = &DNSRequest{}
		case ActionAWSAPICall:
			a.AWSAPICall = &AWSAPICall{}
		case ActionKubernetesAPICall:
			a.KubernetesAPICall = &KubernetesAPICall{}
		case ActionRDSLoginAttempt:
			a.RDSLoginAttempt = &RDSLoginAttempt{}
		}
		v.warn("service.action has the type %.60q and no block for it", a.Type)
	case a.Type != "" && want != a.Kind && want != ActionNone:
		v.warn("service.action.actionType is %.60s, but the block is that of %s: the block counts", a.Type, a.Kind)
	}
	return a
}

// beside returns the blocks that stand beside a Kubernetes call.
func (v value) beside(prefix string) []value {
	var all []value
	for _, name := range [...]string{"PermissionCheckedDetails", "RoleDetails", "RoleBindingDetails"} {
		if m := v.get(prefix + name); m.kind() == jsonObject {
			all = append(all, m)
		}
	}
	return all
}

func orKind(k, other ActionKind) ActionKind {
	if k != ActionNone {
		return k
	}
	return other
}

func kindOfActionType(s string) ActionKind {
	switch foldWord(s) {
	case "networkconnection":
		return ActionNetworkConnection
	case "portprobe":
		return ActionPortProbe
	case "dnsrequest":
		return ActionDNSRequest
	case "awsapicall":
		return ActionAWSAPICall
	case "kubernetesapicall":
		return ActionKubernetesAPICall
	case "rdsloginattempt":
		return ActionRDSLoginAttempt
	}
	return ActionNone
}

func readConnection(d value) *NetworkConnection {
	local := d.object("localIpDetails")
	return &NetworkConnection{
		Direction: d.text("connectionDirection"), Protocol: d.get("protocol").word(), Blocked: d.flag("blocked"),
		LocalPort: readPort(d.object("localPortDetails")), RemotePort: readPort(d.object("remotePortDetails")),
		LocalIPv4: local.text("ipAddressV4"), LocalIPv6: local.text("ipAddressV6"),
		LocalNetworkInterface: d.text("localNetworkInterface"),
		Remote:                readRemote(d),
	}
}

func readPort(d value) Port {
	p := Port{Port: d.integer("port"), Name: d.text("portName")}
	if p.Port < 0 || p.Port > 65535 {
		d.warn("%s.port is no port: read as none", d)
		p.Port = 0
	}
	return p
}

func readPortProbe(d value) *PortProbe {
	p := &PortProbe{Blocked: d.flag("blocked")}
	for _, e := range d.objects("portProbeDetails") {
		local := e.object("localIpDetails")
		p.Probes = append(p.Probes, Probe{
			LocalPort: readPort(e.object("localPortDetails")),
			LocalIPv4: local.text("ipAddressV4"), LocalIPv6: local.text("ipAddressV6"),
			Remote: readRemote(e),
		})
	}
	return p
}

func readAPICall(d value) *AWSAPICall {
	account := d.object("remoteAccountDetails")
	c := &AWSAPICall{
		API: d.text("api"), Service: d.text("serviceName"), CallerType: d.text("callerType"),
		ErrorCode: d.text("errorCode"), UserAgent: d.text("userAgent"),
		Remote: readRemote(d), Domain: d.object("domainDetails").text("domain"),
		RemoteAccountID: account.text("accountId"), RemoteAccountAffiliated: account.flag("affiliated"),
	}
	if m := d.object("affectedResources"); m.present() {
		for _, e := range m.children() { // the keys are data
			if e.kind() == jsonObject || e.kind() == jsonList {
				c.AffectedResources = flatten(c.AffectedResources, e.key(), e, 0)
				continue
			}
			c.AffectedResources = append(c.AffectedResources, Property{Name: e.key(), Value: e.asText()})
		}
		sortProperties(c.AffectedResources)
	}
	return c
}

func readKubernetesCall(d value) *KubernetesAPICall {
	return &KubernetesAPICall{
		Verb: d.text("verb"), RequestURI: d.text("requestUri"), Resource: d.text("resource"),
		ResourceName: d.text("resourceName"), Subresource: d.text("subresource"), Namespace: d.text("namespace"),
		StatusCode: d.integer("statusCode"), UserAgent: d.text("userAgent"), Parameters: d.get("parameters").textOrJSON(),
		SourceIPs: d.texts("sourceIPs"), Remote: readRemote(d),
	}
}

// textOrJSON keeps objects and lists as their JSON text.
func (v value) textOrJSON() string {
	if k := v.kind(); k == jsonObject || k == jsonList {
		return v.raw()
	}
	return v.asText()
}

func readLogins(d value) *RDSLoginAttempt {
	a := &RDSLoginAttempt{Remote: readRemote(d)}
	for _, e := range d.objects("LoginAttributes") {
		a.Logins = append(a.Logins, Login{
			User: e.text("user"), Application: e.text("application"),
			Failed: e.integer("failedLoginAttempts"), Successful: e.integer("successfulLoginAttempts"),
		})
	}
	return a
}

// readRemote reads remoteIpDetails of an action, nil if it has none.
func readRemote(action value) *Remote {
	d := action.object("remoteIpDetails")
	if !d.present() {
		return nil
	}
	org, country, geo := d.object("organization"), d.object("country"), d.object("geoLocation")
	r := &Remote{
		IPv4: d.text("ipAddressV4"), IPv6: d.text("ipAddressV6"),
		ASN: asNumber(org.get("asn").word()), ASNOrg: org.text("asnOrg"), ISP: org.text("isp"), Org: org.text("org"),
		Country: country.text("countryName"), CountryCode: country.text("countryCode"),
		City: d.object("city").text("cityName"),
		Lat:  geo.float("lat"), Lon: geo.float("lon"),
	}
	for _, ip := range [...]string{r.IPv4, r.IPv6} {
		if ip != "" && canonicalIP(ip) == "" {
			d.warn("%s holds %.60q, which is no address", d, ip)
		}
	}
	return r
}

// asNumber returns the digits of an AS number, and nothing for the placeholders
// -1 and 0.
func asNumber(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 2 && strings.EqualFold(s[:2], "AS") {
		s = s[2:]
	}
	s = strings.TrimSuffix(s, ".0")
	if !allDigits(s) || strings.Trim(s, "0") == "" || len(s) > 10 {
		return ""
	}
	return s
}

// Flattening keeps what has no field of its own: name and value, nested names
// joined by dots, plain lists joined by commas.
const (
	maxProperties   = 400
	maxFlattenDepth = 12
)

func flattenAll(v value) []Property {
	if !v.present() {
		return nil
	}
	var out []Property
	for _, m := range v.children() {
		out = flatten(out, lowerFirst(m.key()), m, 0)
	}
	sortProperties(out)
	return out
}

func flatten(out []Property, name string, v value, depth int) []Property {
	if len(out) >= maxProperties {
		return out
	}
	switch v.kind() {
	case jsonNull:
		return out
	case jsonObject:
		if depth >= maxFlattenDepth {
			return append(out, Property{Name: name, Value: v.raw()})
		}
		for _, m := range v.children() {
			out = flatten(out, name+"."+lowerFirst(m.key()), m, depth+1)
		}
		return out
	case jsonList:
		all := v.children()
		plain := true
		for _, e := range all {
			plain = plain && e.kind() != jsonObject && e.kind() != jsonList
		}
		if plain {
			words := make([]string, 0, len(all))
			for _, e := range all {
				words = append(words, e.word())
			}
			return append(out, Property{Name: name, Value: strings.Join(words, ", ")})
		}
		if depth >= maxFlattenDepth {
			return append(out, Property{Name: name, Value: v.raw()})
		}
		for i, e := range all {
			out = flatten(out, name+"["+itoa(i)+"]", e, depth+1)
		}
		return out
	}
	return append(out, Property{Name: name, Value: v.word()})
}

// lowerFirst turns the spelling of the SDKs into that of the wire.
func lowerFirst(s string) string {
	if len(s) > 0 && s[0] >= 'A' && s[0] <= 'Z' && (len(s) == 1 || s[1] < 'A' || s[1] > 'Z') {
		return string(s[0]+'a'-'A') + s[1:]
	}
	return s
}
