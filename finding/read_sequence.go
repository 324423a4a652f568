package finding

import "strings"

// readSequence reads an attack sequence with all of its members.
func readSequence(v value) *Sequence {
	s := &Sequence{
		UID: v.text("uid"), Description: v.text("description"),
		AdditionalTypes: v.texts("additionalSequenceTypes"), Indicators: readIndicators(v, "sequenceIndicators"),
	}
	for _, e := range v.objects("signals") {
		sig := Signal{
			UID: e.text("uid"), Type: e.text("type"), Name: e.text("name"), Description: e.text("description"),
			Count:     e.integer("count"),
			CreatedAt: e.time("createdAt"), UpdatedAt: e.time("updatedAt"),
			FirstSeen: e.time("firstSeenAt"), LastSeen: e.time("lastSeenAt"),
			ResourceUIDs: e.texts("resourceUids"), ActorIDs: e.texts("actorIds"), EndpointIDs: e.texts("endpointIds"),
			Indicators: readIndicators(e, "signalIndicators"),
		}
		if m := e.get("severity"); m.present() {
			var err error
			if sig.Severity, err = readSeverity(m); err != nil {
				m.warn("%s: %v", m, err)
			}
		}
		s.Signals = append(s.Signals, sig)
	}
	for _, e := range v.objects("actors") {
		user, session, process := e.object("user"), e.object("session"), e.object("process")
		s.Actors = append(s.Actors, SequenceActor{
			ID: e.text("id"), UserName: user.text("name"), UserType: user.text("type"), UserUID: user.text("uid"),
			CredentialUID: user.text("credentialUid"), AccountID: user.object("account").text("uid"),
			SessionUID: session.text("uid"), SessionMFA: session.text("mfaStatus"), SessionIssuer: session.text("issuer"),
			ProcessName: process.text("name"), ProcessPath: process.text("path"), ProcessSHA256: process.text("sha256"),
		})
	}
	for _, e := range v.objects("endpoints") {
		location, as := e.object("location"), e.object("autonomousSystem")
		s.Endpoints = append(s.Endpoints, Endpoint{
			ID: e.text("id"), IP: e.text("ip"), Domain: e.text("domain"), Port: readPort(e).Port,
			City: location.text("city"), Country: location.text("country"),
			ASN: asNumber(as.get("number").word()), ASNOrg: as.text("name"),
			Direction: e.object("connection").text("direction"),
		})
	}
	for _, e := range v.objects("resources") {
		s.Resources = append(s.Resources, readSequenceResource(e))
	}
	return s
}

func readIndicators(v value, name string) []Indicator {
	var all []Indicator
	for _, e := range v.objects(name) {
		all = append(all, Indicator{Key: e.text("key"), Title: e.text("title"), Values: e.texts("values")})
	}
	return all
}

func readSequenceResource(e value) SequenceResource {
	r := SequenceResource{
		UID: e.text("uid"), Name: e.text("name"), AccountID: e.text("accountId"), Region: e.text("region"),
		Service: e.text("service"), Partition: e.text("cloudPartition"), Type: e.text("resourceType"),
		Tags: readTags(e),
	}
	var known bool
	if r.Kind, known = kindWords[foldWord(r.Type)]; !known && r.Type != "" {
		r.Kind = KindOther
	}
	data := e.object("data")
	if k := data.object("accessKey"); k.present() {
		r.AccessKey = readAccessKey(k)
	}
	// kubernetesWorkload.type has another name in the Go SDK.
	if w := data.object("kubernetesWorkload"); w.present() {
		r.Workload = &Workload{
			Namespace: w.text("namespace"), Type: w.either("type", "kubernetesResourcesTypes").asText(), Name: r.Name,
		}
	}
	if i := data.object("ec2Instance"); i.present() {
		profile := i.object("IamInstanceProfile")
		r.Instance = &Instance{
			ID: lastWord(r.UID), Type: i.text("instanceType"), State: i.text("instanceState"),
			AvailabilityZone: i.text("availabilityZone"), Platform: i.text("platform"),
			ImageDescription: i.text("imageDescription"), OutpostARN: i.text("outpostArn"),
			ProfileARN: profile.text("arn"), ProfileID: profile.text("id"),
		}
	}
	r.Data = flattenAll(data)
	return r
}

// resource returns the member as a resource of the finding.
func (s SequenceResource) resource() Resource {
	r := Resource{Kind: s.Kind, Type: s.Type, ID: lastWord(s.UID), Name: s.Name, Tags: s.Tags, AccessKey: s.AccessKey, Workload: s.Workload, Instance: s.Instance}
	if strings.HasPrefix(s.UID, "arn:") {
		r.ARN = s.UID
	}
	if a, ok := parseARN(s.UID); ok && s.Kind == KindS3Object {
		r.ID = a.resource
	}
	if s.AccessKey != nil {
		r.ID = orElse(s.AccessKey.UserName, orElse(s.AccessKey.PrincipalID, r.ID))
	}
	if r.Name == "" {
		r.Name = nameTag(s.Tags)
	}
	return r
}
