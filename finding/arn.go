package finding

import "strings"

// arn is an ARN in its six parts.
type arn struct{ partition, service, region, account, resource string }

// parseARN splits an ARN. It reports false for everything that is none.
func parseARN(s string) (arn, bool) {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[5] == "" {
		return arn{}, false
	}
	return arn{parts[1], parts[2], parts[3], parts[4], parts[5]}, true
}

// findingARN takes the detector and the finding's id out of the last part.
func (a arn) findingARN() (detector, id string, ok bool) {
	p := strings.Split(a.resource, "/")
	if a.service != "guardduty" || len(p) != 4 || p[0] != "detector" || p[2] != "finding" {
		return "", "", false
	}
	return p[1], p[3], true
}

// lastWord returns what follows the last slash or colon: what people call the
// thing.
func lastWord(s string) string {
	if i := strings.LastIndexAny(s, "/:"); i >= 0 && i+1 < len(s) {
		return s[i+1:]
	}
	return s
}

// builder builds ARNs for the resources of one account and region.
type builder struct{ partition, region, account string }

// arn returns an ARN when all parts are plain words, and nothing otherwise: a
// template's hole or an attacker's name makes no ARN.
func (b builder) arn(service, prefix, id string) string {
	if !plainWord(b.region) || !plainWord(b.account) || !plainWord(id) {
		return ""
	}
	return "arn:" + b.partition + ":" + service + ":" + b.region + ":" + b.account + ":" + prefix + id
}

func plainWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return s != ""
}

// partitionOf derives the partition from a region's name.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func partitionOf(region string) string {
	for _, p := range [...][2]string{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-isob-", "aws-iso-b"}, {"us-iso-", "aws-iso"},
		{"us-isof-", "aws-iso-f"}, {"eu-isoe-", "aws-iso-e"}, {"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p[0]) {
			return p[1]
		}
	}
	return "aws"
}
