package finding

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// minimal is the least that is a finding, with room for more members.
func minimal(more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"id":"0123456789abcdef0123456789abcdef","type":"UnauthorizedAccess:EC2/SSHBruteForce","accountId":"012345678901","region":"eu-west-1","severity":5,"updatedAt":"2025-03-02T10:21:44.001Z"` + more + `}`
}

func hasWarning(f *Finding, part string) bool {
	for _, w := range f.Warnings {
		if strings.Contains(w, part) {
			return true
		}
	}
	return false
}

// check decodes input and reports what is false.
func check(t *testing.T, input string, facts func(f *Finding) map[string]bool) {
	t.Helper()
	f := one(t, []byte(input))
	for fact, holds := range facts(f) {
		if !holds {
			b, _ := json.MarshalIndent(Print(f, true), "", " ")
			t.Errorf("%s does not hold in %s", fact, b)
		}
	}
}

func TestEachTrapIsReadAsIntended(t *testing.T) {
	t.Parallel()
	ips := func(f *Finding) string { return strings.Join(f.Actor.IPs, " ") }
	all := fixtures(t)
	for _, c := range []struct {
		name, input string
		facts       func(f *Finding) map[string]bool
	}{
		{"1 PascalCase in an envelope", envelope(string(respell(t, all["port-probe"], pascal))), func(f *Finding) map[string]bool {
			return map[string]bool{"two actors": ips(f) == "198.51.100.23 198.51.100.77", "kind": f.Action.Kind == ActionPortProbe}
		}},
		{"4 region from the outside", `{"region":"eu-west-3","account":"222222222222","detail":{"id":"a","type":"A:B/C","severity":1,"createdAt":1740909600}}`, func(f *Finding) map[string]bool {
			return map[string]bool{"region": f.Region == "eu-west-3", "account": f.AccountID == "222222222222", "warned": hasWarning(f, "region is missing") && hasWarning(f, "accountId is missing")}
		}},
		{"account and region from the ARN before the envelope", `{"detail-type":"GuardDuty Finding","account":"333333333333","region":"us-east-1","detail":{"id":"f","arn":"arn:aws-us-gov:guardduty:us-gov-west-1:222222222222:detector/d/finding/f","type":"A:B/C","severity":1,"createdAt":1740909600}}`, func(f *Finding) map[string]bool {
			return map[string]bool{"region": f.Region == "us-gov-west-1", "account": f.AccountID == "222222222222", "partition": f.Partition == "aws-us-gov", "detector": f.DetectorID == "d"}
		}},
		{"5 defaults", minimal(`"service":{}`), func(f *Finding) map[string]bool {
			return map[string]bool{"count": f.Count == 1, "archived": !f.Archived, "role": f.Role == RoleUnknown, "partition": f.Partition == "aws"}
		}},
		{"6 severity with decimals", strings.Replace(minimal(""), `"severity":5`, `"severity":8.7`, 1), func(f *Finding) map[string]bool {
			return map[string]bool{"high": f.Severity == 8.7 && f.Severity.Label() == "High"}
		}},
		{"8 DNS without an address", string(all["dns-request"]), func(f *Finding) map[string]bool {
			return map[string]bool{"domain": cmp.Equal(f.Actor.Domains, []string{"tunnel.Example.net"}), "no address": len(f.Actor.IPs) == 0 && f.Actor.IPs != nil}
		}},
		{"9 sample only in the text", minimal(`"service":{"additionalInfo":{"type":"default","value":"{\"sample\":true}"}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"sample": f.Sample}
		}},
		{"9 sample in PascalCase, as text", `{"Id":"a","Type":"A:B/C","AccountId":"111111111111","Region":"r","Severity":1,"UpdatedAt":"2025-03-02T10:21:44Z","Service":{"AdditionalInfo":{"Type":"default","Value":"{\"Sample\": \"true\"}"}}}`, func(f *Finding) map[string]bool {
			return map[string]bool{"sample": f.Sample}
		}},
		{"sample by its title", minimal(`"title":"[SAMPLE] something"`), func(f *Finding) map[string]bool { return map[string]bool{"sample": f.Sample} }},
		{"10 placeholders without a flag", minimal(`"service":{"action":{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"remoteIpDetails":{"city":{"cityName":"GeneratedFindingCityName"}}}}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"sample": f.Sample}
		}},
		{"10 the placeholder instance", minimal(`"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-99999999"}}`), func(f *Finding) map[string]bool { return map[string]bool{"sample": f.Sample} }},
		{"a placeholder user", minimal(`"resource":{"resourceType":"AccessKey","accessKeyDetails":{"userName":"GeneratedFindingUserName","principalId":"x"}}`), func(f *Finding) map[string]bool { return map[string]bool{"sample": f.Sample} }},
		{"an attacker's user agent, tag or user name makes no sample", minimal(`"resource":{"resourceType":"AccessKey","accessKeyDetails":{"userName":"GeneratedFindingUserName","principalId":"AIDAEXAMPLEEXAMPLE02","userType":"IAMUser"},"instanceDetails":{"instanceId":"i-0ee00000000000001","tags":[{"key":"GeneratedFinding","value":"GeneratedFinding"}]}},"service":{"action":{"awsApiCallAction":{"userAgent":"GeneratedFinding"}}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"real": !f.Sample}
		}},
		{"11 times, numbers and placeholders of another type", minimal(`"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-1","launchTime":1492735675000}},"service":{"action":{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"remoteIpDetails":{"ipAddressV4":"198.51.100.1","organization":{"asn":64500}}}},"additionalInfo":{"unusual":22}}`), func(f *Finding) map[string]bool {
			return map[string]bool{
				"launch": f.Resource.Instance.LaunchTime.Equal(time.Date(2017, 4, 21, 0, 47, 55, 0, time.UTC)),
				"asn":    f.Actor.ASN == "64500", "unusual": cmp.Equal(f.Extra, []Property{{"unusual", "22"}}),
			}
		}},
		{"an AS number of -1 is none", minimal(`"service":{"action":{"networkConnectionAction":{"remoteIpDetails":{"organization":{"asn":-1}}}}}`), func(f *Finding) map[string]bool { return map[string]bool{"none": f.Actor.ASN == ""} }},
		{"12 13 bucket times as number and as digits", string(all["s3-bucket"]), func(f *Finding) map[string]bool {
			at := time.Date(2017, 12, 18, 15, 58, 12, 0, time.UTC)
			return map[string]bool{
				"float":  f.Resource.Bucket.CreatedAt.Equal(at.Add(500 * time.Millisecond)),
				"digits": f.Context[1].Bucket.CreatedAt.Equal(at),
				"chosen": f.Resource.ID == "cards-export", "both kept": f.Context[1].ID == "cards-archive",
			}
		}},
		{"14 the bucket is context", string(all["api-call-remote"]), func(f *Finding) map[string]bool {
			return map[string]bool{"primary": f.Resource.Kind == KindAccessKey, "context": len(f.Context) == 3, "failed call": f.Action.AWSAPICall.ErrorCode == "AccessDenied"}
		}},
		{"15 archived", minimal(`"service":{"archived":true}`), func(f *Finding) map[string]bool { return map[string]bool{"archived": f.Archived} }},
		{"17 an invented role", minimal(`"service":{"resourceRole":"SOURCE"},"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"${instance_id}"}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"kept": f.Role == "SOURCE", "warned": hasWarning(f, "SOURCE"), "no ARN from a hole": f.Resource.ARN == ""}
		}},
		{"18 booleans and counts as text", minimal(`"service":{"archived":"false","count":"20","action":{"networkConnectionAction":{"blocked":"true"}}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"archived": !f.Archived, "count": f.Count == 20, "blocked": *f.Action.NetworkConnection.Blocked, "warned": hasWarning(f, "archived is a boolean written as text")}
		}},
		{"20 id and region differ from the ARN", minimal(`"arn":"arn:aws:guardduty:us-west-2:012345678901:detector/d/finding/other","service":{"action":{"actionType":"AWS_API_CALL","awsApiCallAction":{"callerType":"Domain","domainDetails":{"domain":"cloudformation.amazonaws.com"}}}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"field counts": f.Region == "eu-west-1", "warned": hasWarning(f, "region is eu-west-1") && hasWarning(f, "id is "), "no actor": len(f.Actor.IPs)+len(f.Actor.Domains) == 0, "service": f.Actor.Service == "cloudformation.amazonaws.com"}
		}},
		{"21 a sequence that lost its detection", `{"id":"abc","type":"AttackSequence:S3/CompromisedData","accountId":"111111111111","region":"us-east-1","severity":9,"updatedAt":"2025-02-25 20:40:06.765","resource":{"resourceType":"AttackSequence"},"title":"of IAMUser/x","description":"a\n - b\n","service":{"eventFirstSeen":"2025-02-25 20:40:06.000000000"}}`, func(f *Finding) map[string]bool {
			return map[string]bool{
				"kind": f.Resource.Kind == KindAttackSequence && f.Resource.ID == "abc", "time": f.UpdatedAt.Equal(time.Date(2025, 2, 25, 20, 40, 6, 765e6, time.UTC)),
				"flagged": hasWarning(f, "updatedAt has no time zone"), "nothing from the prose": f.Actor.UserName == "", "critical": f.Severity.Band() == Critical,
			}
		}},
		{"22 type and action disagree", strings.Replace(string(all["port-probe"]), "Recon:EC2/PortProbeUnprotectedPort", "Trojan:EC2/DriveBySourceTraffic!DNS", 1), func(f *Finding) map[string]bool {
			return map[string]bool{"action wins": f.Action.Kind == ActionPortProbe && len(f.Actor.IPs) == 2, "warned": hasWarning(f, "the action counts")}
		}},
		{"24 the interface that the action names", string(all["network-connection"]), func(f *Finding) map[string]bool {
			ni, ok := f.AttackedInterface()
			return map[string]bool{"third": ok && ni.ID == "eni-0aa00000000000003", "both addresses": ips(f) == "198.51.100.23 2001:db8::23"}
		}},
		{"24 the interface that owns the address", string(all["port-probe"]), func(f *Finding) map[string]bool {
			ni, ok := f.AttackedInterface()
			return map[string]bool{"second": ok && ni.ID == "eni-0aa00000000000002"}
		}},
		{"24 no hint, no interface", string(all["dns-request"]), func(f *Finding) map[string]bool {
			_, ok := f.AttackedInterface()
			return map[string]bool{"none": !ok}
		}},
		{"25 26 evidence", minimal(`"service":{"evidence":{"threatIntelligenceDetails":[{"threatListName":"a","threatNames":["x","x","y"]},{"threatListName":"a","threatNames":["y","z"]},{"threatListName":"b","threatNames":null}]},"additionalInfo":{"value":"{}","type":"default"}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"joined": cmp.Equal(f.Threats, []Threat{{ListName: "a", Names: []string{"x", "y", "z"}}, {ListName: "b"}}), "no extra": f.Extra == nil}
		}},
		{"26 null in all places", minimal(`"arn":null,"title":null,"resource":null,"service":{"evidence":null,"additionalInfo":null,"action":null,"count":null,"archived":null,"detection":null}`), func(f *Finding) map[string]bool {
			return map[string]bool{"silent": len(f.Warnings) == 0}
		}},
		{"27 a realistic finding is real", string(all["network-connection"]), func(f *Finding) map[string]bool {
			return map[string]bool{"real": !f.Sample, "count": f.Count == 47}
		}},
		{"28 additionalInfo that is damaged stays text", minimal(`"service":{"additionalInfo":{"type":"default","value":"{\"a\":"}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"kept": cmp.Equal(f.Extra, []Property{{"value", `{"a":`}}), "warned": hasWarning(f, "damaged JSON")}
		}},
		{"28 members win over the text", minimal(`"service":{"additionalInfo":{"type":"default","value":"{\"a\":1,\"b\":2}","a":3}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"merged": cmp.Equal(f.Extra, []Property{{"a", "3"}, {"b", "2"}})}
		}},
		{"30 role against direction", minimal(`"service":{"resourceRole":"TARGET","action":{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"connectionDirection":"OUTBOUND"}}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"role kept": f.Role == RoleTarget, "warned": hasWarning(f, "outbound")}
		}},
		{"32 float and integer are equal", strings.Replace(minimal(`"service":{"count":2.0}`), `"severity":5`, `"severity":5.0`, 1), func(f *Finding) map[string]bool {
			other := one(t, []byte(minimal(`"service":{"count":2}`)))
			return map[string]bool{"revision": f.Revision() == other.Revision(), "severity": f.Severity == other.Severity}
		}},
		{"33 duplicate keys", minimal(`"title":"first","Title":"last"`), func(f *Finding) map[string]bool {
			return map[string]bool{"last": f.Title == "last", "warned": hasWarning(f, "more than once")}
		}},
		{"33 NUL stays escaped", minimal(`"title":"a\u0000b\u00e9\ud83d\ude00\ud800"`), func(f *Finding) map[string]bool {
			return map[string]bool{"title": f.Title == "a\\u0000bé😀\ufffd"}
		}},
		{"33 invalid UTF-8", minimal("\"title\":\"a\xff\xfeb\""), func(f *Finding) map[string]bool {
			return map[string]bool{"replaced": strings.Contains(f.Title, "\ufffd") && strings.HasSuffix(f.Title, "b"), "raw": json.Valid(f.Raw)}
		}},
		{"a key written with escapes", strings.Replace(minimal(""), `"severity"`, `"s\u0065verity"`, 1), func(f *Finding) map[string]bool { return map[string]bool{"severity": f.Severity == 5} }},
		{"leading zeros of the account", minimal(""), func(f *Finding) map[string]bool { return map[string]bool{"kept": f.AccountID == "012345678901"} }},
		{"a resource type without its block falls to the only block", minimal(`"resource":{"resourceType":"Mainframe","lambdaDetails":{"functionArn":"arn:aws:lambda:eu-west-1:012345678901:function:thumbs:7"}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"lambda": f.Resource.Kind == KindLambda && f.Resource.ID == "thumbs", "type kept": f.Resource.Type == "Mainframe"}
		}},
		{"updatedAt missing: the newest other time is the revision", strings.Replace(minimal(`"createdAt":"2025-03-02T10:00:00Z","service":{"eventLastSeen":"2025-03-02T11:00:00Z"}`), `"updatedAt"`, `"x"`, 1), func(f *Finding) map[string]bool {
			return map[string]bool{"zero": f.UpdatedAt.IsZero(), "at": f.Revision().UpdatedAt.Equal(time.Date(2025, 3, 2, 11, 0, 0, 0, time.UTC))}
		}},
		{"a remote that is no address", minimal(`"service":{"action":{"networkConnectionAction":{"remoteIpDetails":{"ipAddressV4":"${ip}"}}}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"dropped": len(f.Actor.IPs) == 0, "shown": f.Action.NetworkConnection.Remote.IPv4 == "${ip}"}
		}},
		{"Kubernetes sources beside the remote", string(all["kubernetes-api-call"]), func(f *Finding) map[string]bool {
			return map[string]bool{"all": ips(f) == "198.51.100.23 203.0.113.99 10.0.0.8", "user": f.Actor.UserName == "system:anonymous", "principal": f.Actor.PrincipalID == "AIDAEXAMPLEEXAMPLE02"}
		}},
		{"the Go SDK's own words", `{"Findings":[` + minimal(`"Resource":{"ResourceType":"ECSCluster","EcsClusterDetails":{"Name":"c","TaskDetails":{"Arn":"arn:aws:ecs:r:1:task/c/t","TaskCreatedAt":"2025-03-02T10:00:00Z"}},"InstanceDetails":{"InstanceId":"i-1","ProductCodes":[{"Code":"p","ProductType":"marketplace"}]}},"Service":{"Detection":{"Sequence":{"Uid":"s","Resources":[{"Uid":"w","ResourceType":"KUBERNETES_WORKLOAD","Data":{"KubernetesWorkload":{"Namespace":"n","KubernetesResourcesTypes":"pods"}}}]}}}`) + `],"ResultMetadata":{}}`, func(f *Finding) map[string]bool {
			return map[string]bool{
				"task":     f.Resource.ECSCluster.Task.CreatedAt.Equal(time.Date(2025, 3, 2, 10, 0, 0, 0, time.UTC)),
				"product":  cmp.Equal(f.Context[0].Instance.ProductCodes, []Property{{"p", "marketplace"}}),
				"workload": f.Sequence.Resources[0].Workload.Type == "pods",
			}
		}},
		{"a database user that an attacker typed makes no sample", minimal(`"resource":{"rdsDbUserDetails":{"user":"GeneratedFinding"},"kubernetesDetails":{"kubernetesUserDetails":{"username":"GeneratedFinding"}}},"service":{"action":{"rdsLoginAttemptAction":{"LoginAttributes":[{"user":"GeneratedFinding"}]}}}`), func(f *Finding) map[string]bool {
			return map[string]bool{"real": !f.Sample}
		}},
		{"container of a hand-made lineage", minimal(`"service":{"runtimeDetails":{"process":{"name":"x","lineage":[{"ancestorPid":7},{"pid":8,"ancestorPid":7}]}}}`), func(f *Finding) map[string]bool {
			l := f.Runtime.Process.Lineage
			return map[string]bool{"spellings": len(l) == 2 && l[0].PID == 7 && l[1].PID == 8}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check(t, c.input, c.facts)
		})
	}
}

func TestARequiredFieldThatIsMissingOrWrongIsNamed(t *testing.T) {
	t.Parallel()
	field := func(from, to string) string {
		s := strings.Replace(minimal(""), from, to, 1)
		if s == minimal("") {
			t.Fatalf("%s is not in the input", from)
		}
		return s
	}
	for _, c := range []struct{ name, input, want string }{
		{"id", field(`"id":"0123456789abcdef0123456789abcdef",`, ``), "id is missing"},
		{"id empty", field(`"id":"0123456789abcdef0123456789abcdef"`, `"id":" "`), "id is missing"},
		{"id number", field(`"id":"0123456789abcdef0123456789abcdef"`, `"id":5`), "id is a number, not a text"},
		{"type", field(`"type":"UnauthorizedAccess:EC2/SSHBruteForce"`, `"type":null`), "type is missing"},
		{"type list", field(`"type":"UnauthorizedAccess:EC2/SSHBruteForce"`, `"type":[]`), "type is a list, not a text"},
		{"account", field(`"accountId":"012345678901",`, ``), "accountId is missing, and neither the ARN nor the envelope has it"},
		{"account as number", field(`"accountId":"012345678901"`, `"accountId":12345678901`), "accountId is a number, not a text"},
		{"region", field(`"region":"eu-west-1",`, ``), "region is missing"},
		{"severity", field(`"severity":5,`, ``), "severity is missing"},
		{"severity null", field(`"severity":5`, `"severity":null`), "severity is missing"},
		{"severity word", field(`"severity":5`, `"severity":"HIGH"`), "severity is a text, not a number"},
		{"severity negative", field(`"severity":5`, `"severity":-0.1`), "severity -0.1 is not between 0 and 10"},
		{"severity above", field(`"severity":5`, `"severity":10.1`), "severity 10.1 is not between 0 and 10"},
		{"severity huge", field(`"severity":5`, `"severity":1e999`), "severity 1e999 is not between 0 and 10"},
		{"time", field(`,"updatedAt":"2025-03-02T10:21:44.001Z"`, ``), "updatedAt is missing"},
		{"time that is none", field(`"updatedAt":"2025-03-02T10:21:44.001Z"`, `"updatedAt":"yesterday"`), "updatedAt is not a time"},
		{"time list", field(`"updatedAt":"2025-03-02T10:21:44.001Z"`, `"updatedAt":[1]`), "updatedAt is a list"},
		{"several", `{"type":"A:B/C","severity":-1}`, "id is missing; accountId is missing, and neither the ARN nor the envelope has it; region is missing, and neither the ARN nor the envelope has it; severity -1 is not between 0 and 10; updatedAt is missing"},
		{"damaged database event", `{"AccountId":"1234567891234","Region":"us-east-1","Id":"r","Type":"CredentialAccess:RDS/AnomalousBehavior.SuccessfulLogin","Severity":5.0,"Resource":{"ResourceType":"DBInstance","RdsDbInstanceDetails":[{"Engine":"mysql"}]}}`, "updatedAt is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			items, err := DecodeAll([]byte(c.input), Limits{})
			if err != nil || len(items) != 1 || items[0].Rejected == nil {
				t.Fatalf("%v %s", err, describe(items))
			}
			if got := items[0].Rejected; !strings.HasPrefix(strings.TrimPrefix(got.Reason, "no usable time: "), c.want) || string(got.Raw) != c.input {
				t.Errorf("got %q, want %q", got.Reason, c.want)
			}
		})
	}
}

func TestSeverityHasNoGapsAndBothEnds(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"0": "Informational", "-0.0": "Informational", "0.99": "Informational", "1": "Low", "3.9": "Low", "3.95": "Low",
		"4": "Medium", "6.99": "Medium", "7": "High", "8.9": "High", "8.95": "High", "9": "Critical", "10": "Critical", "10.0": "Critical", "1e1": "Critical",
	} {
		f := one(t, []byte(strings.Replace(minimal(""), `"severity":5`, `"severity":`+number, 1)))
		if f.Severity.Label() != want || strings.HasPrefix(f.Severity.String(), "-") {
			t.Errorf("%s is %s (%s), want %s", number, f.Severity.Label(), f.Severity, want)
		}
	}
}

func TestEveryFormOfATimeIsRead(t *testing.T) {
	t.Parallel()
	want := time.Date(2025, 3, 2, 10, 21, 44, 0, time.UTC)
	for form, at := range map[string]time.Time{
		`"2025-03-02T10:21:44Z"`: want, `"2025-03-02T10:21:44.120Z"`: want.Add(120 * time.Millisecond),
		`"2025-03-02t10:21:44.123456789z"`: want.Add(123 * time.Millisecond), `"2025-03-02 10:21:44"`: want,
		`"2025-03-02 10:21:44.000000000"`: want, `"2025-03-02 15:51:44.5+05:30"`: want.Add(500 * time.Millisecond),
		`"2025-03-02T05:21:44-0500"`: want, `1740910904`: want, `1740910904.5`: want.Add(500 * time.Millisecond),
		`1740910904000`: want, `"1740910904"`: want, `"1740910904.25"`: want.Add(250 * time.Millisecond), `1.740910904E9`: want,
		`" 2025-03-02T10:21:44Z "`: want,
		// None of these is a time.
		`0`: {}, `-5`: {}, `1e15`: {}, `"2025-02-30T10:00:00Z"`: {}, `"2025-13-02T10:00:00Z"`: {}, `"2025-03-02T25:00:00Z"`: {},
		`"2025-03-02"`: {}, `""`: {}, `true`: {}, `{}`: {}, `"2025-03-02T10:21:44.Z"`: {}, `"2025-03-02T10:21:44+99:00"`: {},
		`"9999-12-31T23:59:59-12:00"`: {}, `"0001-01-01T00:00:00Z"`: {}, `"NaN"`: {}, `"Infinity"`: {},
	} {
		f := one(t, []byte(minimal(`"createdAt":`+form)))
		if !f.CreatedAt.Equal(at) || f.CreatedAt.Location() != time.UTC {
			t.Errorf("%s is read as %s, want %s", form, f.CreatedAt, at)
		}
	}
}
