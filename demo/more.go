package demo

import "fmt"

// later is the second half of the day: a burst on several instances and the
// attack sequence that gathers two earlier findings.
func later() []beat {
	var out []beat
	burst := []string{
		"Recon:EC2/Portscan", "Impact:EC2/PortSweep", "Trojan:EC2/DropPoint", "Trojan:EC2/BlackholeTraffic",
		"Backdoor:EC2/Spambot", "Backdoor:EC2/DenialOfService.Tcp", "Backdoor:EC2/DenialOfService.Udp",
		"Impact:EC2/WinRMBruteForce", "UnauthorizedAccess:EC2/TorClient", "UnauthorizedAccess:EC2/TorRelay",
		"Behavior:EC2/NetworkPortUnusual", "Behavior:EC2/TrafficVolumeUnusual", "Backdoor:EC2/C&CActivity.B",
	}
	for i, typ := range burst {
		b := beat{300, fmt.Sprintf("burst-%d", i), sandbox, typ, 5,
			instance(fmt.Sprintf("i-0a1b2c3d4e5f7%04d", i), fmt.Sprintf("lab-%d", i)), network("203.0.113.77", 8080+i), 1, "", nil}
		if i == 0 {
			b.caption = "A burst in the sandbox"
		}
		out = append(out, b)
	}
	return append(out, beat{400, "sequence", lake, "AttackSequence:S3/CompromisedData", 9, object{"resourceType": "AttackSequence"}, nil, 1,
		"GuardDuty reports one attack made of several findings", func(f object) {
			f["service"].(object)["detection"] = object{"sequence": object{"uid": findingID("sequence"), "description": "Several signals on lake-raw.",
				"signals": []object{
					{"uid": arn(lake, "list"), "type": "FINDING", "name": "Discovery:S3/MaliciousIPCaller", "severity": 8, "count": 2},
					{"uid": arn(lake, "inject"), "type": "FINDING", "name": "Policy:S3/BucketAnonymousAccessGranted", "severity": 8, "count": 1},
				}}}
		}})
}
