package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// The three accounts of the story; guardroom.yaml gives them their names.
const (
	payments = "111111111111" // payments-prod
	lake     = "222222222222" // data-lake
	sandbox  = "333333333333" // sandbox
)

const region = "eu-central-1"

// The people of the story.
const (
	ana = "ana" // on call
	raj = "raj" // owns the sandbox
	mei = "mei" // owns the data lake
)

// remote is somebody outside, at an address that documentation reserves
// (RFC 5737, RFC 5398).
type remote struct {
	ip, asn, org, country, code, city string
	lat, lon                          float64
}

// The outsiders of the story.
var (
	// intruder guesses a password, stays, and comes back with stolen keys.
	intruder  = remote{"203.0.113.50", "64500", "Cheap Servers Example", "Netherlands", "NL", "Amsterdam", 52.37, 4.9}
	mailbox   = remote{"203.0.113.12", "64501", "Bulletproof Hosting Example", "Panama", "PA", "Panama City", 8.98, -79.52}
	tor       = remote{"192.0.2.66", "64503", "Relay Friends Example", "Germany", "DE", "Berlin", 52.52, 13.4}
	traveller = remote{"192.0.2.140", "64504", "Hotel Network Example", "Portugal", "PT", "Porto", 41.15, -8.61}
	stranger  = remote{"192.0.2.9", "64505", "Cloud of Others Example", "United States", "US", "Columbus", 39.96, -83.0}
	tester    = remote{"198.51.100.23", "64506", "Hired Testers Example", "Austria", "AT", "Vienna", 48.2, 16.37}
	office    = remote{"198.51.100.5", "64508", "Office Example", "Austria", "AT", "Graz", 47.07, 15.44}
	victim    = remote{"192.0.2.201", "64509", "Somebody Else Example", "Japan", "JP", "Osaka", 34.69, 135.5}
	partner   = remote{"192.0.2.30", "64510", "Export Partner Example", "Ireland", "IE", "Dublin", 53.35, -6.26}
	crowd     = remote{"203.0.113.77", "64511", "Many Others Example", "Canada", "CA", "Toronto", 43.65, -79.38}
	scanner   = remote{"198.51.100.77", "64507", "Our Own Scanner Example", "Germany", "DE", "Frankfurt am Main", 50.11, 8.68}
)

// The instances of the story.
var (
	web1   = host{account: payments, id: "i-0a1b2c3d4e5f60001", name: "web-1", kind: "m6i.large", owner: "payments", private: "10.10.1.21", public: "198.51.100.21", role: "web"}
	batch1 = host{account: payments, id: "i-0a1b2c3d4e5f60002", name: "batch-1", kind: "m6i.xlarge", owner: "payments", private: "10.10.2.4", role: "batch"}
	batch2 = host{account: payments, id: "i-0a1b2c3d4e5f60007", name: "batch-2", kind: "m6i.xlarge", owner: "payments", private: "10.10.2.5", role: "batch"}
	etl2   = host{account: lake, id: "i-0a1b2c3d4e5f60003", name: "etl-2", kind: "r6i.xlarge", owner: "data", private: "10.20.1.12", role: "etl"}
	lab    = host{account: sandbox, id: "i-0a1b2c3d4e5f60004", name: "lab-0", kind: "t3.small", owner: "platform", private: "10.30.1.10", public: "198.51.100.130", role: "lab"}
	win    = host{account: sandbox, id: "i-0a1b2c3d4e5f60005", name: "build-win", kind: "t3.xlarge", platform: "windows", owner: "platform", private: "10.30.1.20", public: "198.51.100.131", role: "builder"}
	// drawn tries to paint over the terminal of who reads its name.
	drawn = host{account: sandbox, id: "i-0a1b2c3d4e5f60006", name: "\x1b[2J\x1b[31mALL CLEAR\x1b[0m", kind: "t3.micro", owner: "platform", private: "10.30.1.30", role: "lab"}
)

const detector = "12abc34d567e8fa901bc2d34e56789f0"

// digest makes an invented identifier of n hexadecimal digits, the same for the
// same name.
func digest(name string, n int) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:n]
}

// FindingID is the id of the finding with this name in the story.
func FindingID(name string) string { return digest("finding/"+name, 32) }

func findingARN(account, name string) string {
	return fmt.Sprintf("arn:aws:guardduty:%s:%s:detector/%s/finding/%s", region, account, detector, FindingID(name))
}

func arn(service, account, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, region, account, resource)
}
