package e2e

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// revision is one revision of a finding as a source would send it.
type revision struct {
	id       string
	count    int
	severity float64
	updated  time.Time
	body     []byte
}

// kinds are types with a resource and an action that go with them.
var kinds = []struct {
	typ, resource, action string
}{
	{"UnauthorizedAccess:EC2/SSHBruteForce", `{"resourceType":"Instance","instanceDetails":{"instanceId":"i-%017x","instanceType":"t3.small","tags":[{"key":"Name","value":"web-%d"}]}}`,
		`{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"connectionDirection":"INBOUND","protocol":"TCP","localPortDetails":{"port":22},"remoteIpDetails":{"ipAddressV4":"198.51.100.%d"}}}`},
	{"CryptoCurrency:EC2/BitcoinTool.B!DNS", `{"resourceType":"Instance","instanceDetails":{"instanceId":"i-%017x","instanceType":"m6i.large","tags":[{"key":"Name","value":"batch-%d"}]}}`,
		`{"actionType":"DNS_REQUEST","dnsRequestAction":{"domain":"pool-%d.example.com","protocol":"UDP","blocked":false}}`},
	{"Discovery:S3/MaliciousIPCaller", `{"resourceType":"S3Bucket","s3BucketDetails":[{"name":"data-%x","arn":"arn:aws:s3:::data-%d","type":"Destination"}]}`,
		`{"actionType":"AWS_API_CALL","awsApiCallAction":{"api":"ListObjects","serviceName":"s3.amazonaws.com","callerType":"Remote IP","remoteIpDetails":{"ipAddressV4":"203.0.113.%d"}}}`},
	{"CredentialAccess:RDS/AnomalousBehavior.SuccessfulLogin", `{"resourceType":"RDSDBInstance","rdsDbInstanceDetails":{"dbInstanceIdentifier":"db-%x","engine":"postgres","dbInstanceArn":"arn:aws:rds:eu-west-1:111111111111:db:db-%d"}}`,
		`{"actionType":"RDS_LOGIN_ATTEMPT","rdsLoginAttemptAction":{"remoteIpDetails":{"ipAddressV4":"192.0.2.%d"}}}`},
	{"Backdoor:Lambda/C&CActivity.B", `{"resourceType":"Lambda","lambdaDetails":{"functionName":"fn-%x","functionArn":"arn:aws:lambda:eu-west-1:111111111111:function:fn-%d"}}`,
		`{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"connectionDirection":"OUTBOUND","protocol":"TCP","remoteIpDetails":{"ipAddressV4":"203.0.113.%d"},"remotePortDetails":{"port":443}}}`},
}

// makeRevision makes a finding's revision: number says which finding, and with
// it type, resource and actor.
func makeRevision(number, count int, severity float64, first, updated time.Time) revision {
	k := kinds[number%len(kinds)]
	id := fmt.Sprintf("%032x", 0xabc000000+number)
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	body := fmt.Appendf(nil, `{"schemaVersion":"2.0","accountId":"111111111111","region":"eu-west-1","partition":"aws","id":%q,`+
		`"arn":"arn:aws:guardduty:eu-west-1:111111111111:detector/12abc34d567e8fa901bc2d34e56789f0/finding/%s","type":%q,"severity":%g,`+
		`"title":"Something was seen","description":"Made by a test.","createdAt":%q,"updatedAt":%q,"resource":%s,`+
		`"service":{"serviceName":"guardduty","detectorId":"12abc34d567e8fa901bc2d34e56789f0","archived":false,"count":%d,"eventFirstSeen":%q,"eventLastSeen":%q,"action":%s}}`,
		id, id, k.typ, severity, stamp(first), stamp(updated), fmt.Sprintf(k.resource, number, number), count, stamp(first), stamp(updated), fmt.Sprintf(k.action, number%250+1))
	return revision{id: id, count: count, severity: severity, updated: updated.UTC().Truncate(time.Millisecond), body: body}
}

// ledger is the test's own record of what was acknowledged.
type ledger struct {
	mu    sync.Mutex
	acked map[string]map[int]revision // finding -> count -> revision
	total int
}

func (l *ledger) acknowledged(r revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked == nil {
		l.acked = map[string]map[int]revision{}
	}
	if l.acked[r.id] == nil {
		l.acked[r.id] = map[int]revision{}
	}
	l.acked[r.id][r.count] = r
	l.total++
}

// grow waits until something more is acknowledged, or for the limit.
func (l *ledger) grow(limit time.Duration) {
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.total
	}
	before := count()
	for until := time.Now().Add(limit); count() == before && time.Now().Before(until); {
		time.Sleep(2 * time.Millisecond)
	}
}

// newest is the newest acknowledged revision of every finding.
func (l *ledger) newest() map[string]revision {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]revision{}
	for id, counts := range l.acked {
		for _, r := range counts {
			if old, ok := out[id]; !ok || r.count > old.count {
				out[id] = r
			}
		}
	}
	return out
}

// stream makes revisions of a growing set of findings, now and then of an old
// one, the same for the same seed.
type stream struct {
	mu     sync.Mutex
	random *rand.Rand
	start  time.Time
	counts []int
	rises  []float64
	tick   int
}

func newStream(seed uint64, start time.Time) *stream {
	return &stream{random: rand.New(rand.NewPCG(seed, 99)), start: start}
}

func (s *stream) next() revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick++
	n := len(s.counts)
	if n > 0 && s.random.IntN(3) > 0 {
		n = s.random.IntN(n)
	} else {
		s.counts, s.rises = append(s.counts, 0), append(s.rises, float64(2+s.random.IntN(7)))
	}
	s.counts[n]++
	if s.random.IntN(8) == 0 {
		s.rises[n] = min(9.5, s.rises[n]+2)
	}
	return makeRevision(n, s.counts[n], s.rises[n], s.start, s.start.Add(time.Duration(s.tick)*time.Second))
}
