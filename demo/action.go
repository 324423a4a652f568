package demo

func (r remote) details() object {
	return object{"ipAddressV4": r.ip, "organization": object{"asn": r.asn, "asnOrg": r.org, "isp": r.org, "org": r.org},
		"country": object{"countryCode": r.code, "countryName": r.country}, "city": object{"cityName": r.city}, "geoLocation": object{"lat": r.lat, "lon": r.lon}}
}

var portNames = map[int]string{22: "SSH", 80: "HTTP", 443: "HTTPS", 3389: "RDP", 25: "SMTP"}

func port(n int) object {
	name := portNames[n]
	if name == "" {
		name = "Unknown"
	}
	return object{"port": n, "portName": name}
}

// inbound is a connection from outside to a port of ours.
func inbound(from remote, h host, p int) object {
	return connection("INBOUND", from, h, port(p), port(40000+p%997))
}

// outbound is a connection of ours to a port outside.
func outbound(to remote, h host, p int) object {
	return connection("OUTBOUND", to, h, port(41000+p%997), port(p))
}

func connection(direction string, r remote, h host, local, far object) object {
	return object{"actionType": "NETWORK_CONNECTION", "networkConnectionAction": object{"connectionDirection": direction, "protocol": "TCP", "blocked": false,
		"localPortDetails": local, "remotePortDetails": far, "localIpDetails": object{"ipAddressV4": h.private},
		"localNetworkInterface": "eni-" + digest("net/"+h.id, 17), "remoteIpDetails": r.details()}}
}

// functionConnection is a connection of something that has no interface.
func functionConnection(to remote, p int) object {
	return object{"actionType": "NETWORK_CONNECTION", "networkConnectionAction": object{"connectionDirection": "OUTBOUND", "protocol": "TCP", "blocked": false,
		"localPortDetails": port(52311), "remotePortDetails": port(p), "remoteIpDetails": to.details()}}
}

// probe touches several ports, each an entry of its own.
func probe(from remote, h host, ports ...int) object {
	var list []object
	for _, p := range ports {
		list = append(list, object{"localPortDetails": port(p), "localIpDetails": object{"ipAddressV4": h.private}, "remoteIpDetails": from.details()})
	}
	return object{"actionType": "PORT_PROBE", "portProbeAction": object{"blocked": false, "portProbeDetails": list}}
}

func dns(domain, suffix string) object {
	return object{"actionType": "DNS_REQUEST", "dnsRequestAction": object{"domain": domain, "domainWithSuffix": suffix, "protocol": "UDP", "blocked": false, "vpcOwnerAccountId": payments}}
}

// call is an AWS API call; a non-empty failure is the error that AWS answered.
func call(api, service string, from remote, agent, failure string, affected object) object {
	c := object{"api": api, "serviceName": service, "callerType": "Remote IP", "userAgent": agent, "remoteIpDetails": from.details(),
		"remoteAccountDetails": object{"accountId": "", "affiliated": false}, "affectedResources": affected}
	if affected == nil {
		c["affectedResources"] = object{}
	}
	if failure != "" {
		c["errorCode"] = failure
	}
	return object{"actionType": "AWS_API_CALL", "awsApiCallAction": c}
}

// byService is a call that an AWS service made for somebody.
func byService(api, service, domain string) object {
	return object{"actionType": "AWS_API_CALL", "awsApiCallAction": object{"api": api, "serviceName": service, "callerType": "Domain",
		"domainDetails": object{"domain": domain}, "affectedResources": object{}}}
}

func kube(verb, uri, resource, namespace string, status int, from remote) object {
	return object{"actionType": "KUBERNETES_API_CALL", "kubernetesApiCallAction": object{"verb": verb, "requestUri": uri, "resource": resource, "namespace": namespace,
		"statusCode": status, "userAgent": "kubectl/v1.31.2 (linux/amd64)", "parameters": "", "sourceIPs": []string{from.ip}, "remoteIpDetails": from.details()}}
}

func login(from remote, username string, failed, good int) object {
	return object{"actionType": "RDS_LOGIN_ATTEMPT", "rdsLoginAttemptAction": object{"remoteIpDetails": from.details(),
		"LoginAttributes": []object{{"user": username, "application": "psql", "failedLoginAttempts": failed, "successfulLoginAttempts": good}}}}
}
