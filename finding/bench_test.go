package finding

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// benchFinding returns a finding of about 6 kB, the size of those with an
// instance, several interfaces and an anomaly.
func benchFinding(n int) []byte {
	var interfaces []string
	for i := range 3 {
		interfaces = append(interfaces, fmt.Sprintf(`{"networkInterfaceId":"eni-0aa0000000000%04d","vpcId":"vpc-0bb0000000000001","subnetId":"subnet-0cc000000000000%d","privateIpAddress":"10.20.%d.15","privateIpAddresses":[{"privateDnsName":"ip-10-20-%d-15.eu-central-1.compute.internal","privateIpAddress":"10.20.%d.15"}],"privateDnsName":"ip-10-20-%d-15.eu-central-1.compute.internal","publicIp":"203.0.113.%d","publicDnsName":"ec2-203-0-113-%d.eu-central-1.compute.amazonaws.com","ipv6Addresses":["2001:db8:1::%d"],"securityGroups":[{"groupId":"sg-0dd000000000000%d","groupName":"payments-web"},{"groupId":"sg-0ee000000000000%d","groupName":"payments-admin"}]}`, i, i, i, i, i, i, i, i, i, i, i))
	}
	var tags []string
	for i := range 12 {
		tags = append(tags, fmt.Sprintf(`{"key":"cost-center-%d","value":"payments platform team %d"}`, i, i))
	}
	var facts []string
	for _, scope := range []string{"AccountProfiling", "UserIdentityProfiling"} {
		for _, feature := range []string{"APIs", "UserNames", "ASNs", "UserAgents"} {
			facts = append(facts, fmt.Sprintf(`\"rareProfiled%s%s\":\"ListBuckets , GetCallerIdentity , DescribeInstances\"`, feature, scope))
		}
	}
	return fmt.Appendf(nil, `{"schemaVersion":"2.0","accountId":"111111111111","region":"eu-central-1","partition":"aws","id":"%032x","arn":"arn:aws:guardduty:eu-central-1:111111111111:detector/aab0000000000000000000000000000a/finding/%032x","type":"UnauthorizedAccess:EC2/SSHBruteForce","resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-0ff00000000000001","instanceType":"m7g.large","launchTime":"2025-03-01T08:00:00Z","platform":null,"productCodes":[{"productCodeId":"code1","productCodeType":"marketplace"}],"iamInstanceProfile":{"arn":"arn:aws:iam::111111111111:instance-profile/payments","id":"AIPAEXAMPLEEXAMPLE"},"networkInterfaces":[%s],"tags":[{"key":"Name","value":"payments-web-1"},%s],"instanceState":"running","availabilityZone":"eu-central-1a","imageId":"ami-01100000000000001","imageDescription":"Amazon Linux 2023 AMI 2023.6.20250203.1 arm64 HVM kernel-6.1"}},"service":{"serviceName":"guardduty","detectorId":"aab0000000000000000000000000000a","action":{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"connectionDirection":"INBOUND","remoteIpDetails":{"ipAddressV4":"198.51.100.23","organization":{"asn":"64500","asnOrg":"Example Carrier","isp":"Example Carrier","org":"Example Carrier"},"country":{"countryName":"Netherlands"},"city":{"cityName":"Amsterdam"},"geoLocation":{"lat":52.37,"lon":4.89}},"remotePortDetails":{"port":52034,"portName":"Unknown"},"localPortDetails":{"port":22,"portName":"SSH"},"localIpDetails":{"ipAddressV4":"10.20.1.15"},"localNetworkInterface":"eni-0aa00000000000001","protocol":"TCP","blocked":false}},"resourceRole":"TARGET","additionalInfo":{"type":"default","value":"{\"userAgent\":{\"fullUserAgent\":\"aws-cli/2.15\",\"userAgentCategory\":\"CLI\"},\"profiledBehavior\":{%s}}"},"evidence":{"threatIntelligenceDetails":[{"threatListName":"ProofPoint","threatNames":["scanner","ssh"]}]},"eventFirstSeen":"2025-03-02T10:00:00.000Z","eventLastSeen":"2025-03-02T10:20:00.000Z","archived":false,"count":3},"severity":2,"createdAt":"2025-03-02T10:05:12.120Z","updatedAt":"2025-03-02T10:21:44.001Z","title":"198.51.100.23 is performing SSH brute force attacks against i-0ff00000000000001.","description":"198.51.100.23 is performing SSH brute force attacks against i-0ff00000000000001. Such attacks guess the password in order to get unauthorized access to the instance."}`,
		n, n, strings.Join(interfaces, ","), strings.Join(tags, ","), strings.Join(facts, ","))
}

func BenchmarkDecode(b *testing.B) {
	one := benchFinding(1)
	var lines bytes.Buffer
	var records []string
	for i := range 100 {
		lines.Write(benchFinding(i))
		lines.WriteByte('\n')
		if i < 10 {
			body, err := json.Marshal(`{"version":"0","id":"e","detail-type":"GuardDuty Finding","source":"aws.guardduty","account":"111111111111","time":"2025-03-02T10:22:00Z","region":"eu-central-1","resources":[],"detail":` + string(benchFinding(i)) + `}`)
			if err != nil {
				b.Fatal(err)
			}
			records = append(records, fmt.Sprintf(`{"messageId":"m-%d","body":%s,"eventSource":"aws:sqs"}`, i, body))
		}
	}
	for _, c := range []struct {
		name  string
		input []byte
		n     int
	}{
		{"bare", one, 1},
		{"json lines", lines.Bytes(), 100},
		{"sqs batch", []byte(`{"Records":[` + strings.Join(records, ",") + `]}`), 10},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.input)))
			b.ReportAllocs()
			r := bytes.NewReader(nil)
			for b.Loop() {
				r.Reset(c.input)
				n := 0
				if err := Decode(r, Limits{}, func(it Item) bool {
					if it.Finding != nil {
						n++
					}
					return true
				}); err != nil || n != c.n {
					b.Fatalf("%d findings, want %d: %v", n, c.n, err)
				}
			}
			b.ReportMetric(float64(b.N*c.n)/b.Elapsed().Seconds(), "findings/s")
			b.ReportMetric(float64(len(one)), "B/finding")
		})
	}
}
