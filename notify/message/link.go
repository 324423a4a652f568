package message

import (
	"net/url"
	"strings"

	"github.com/guardroom/guardroom/finding"
)

// guardDutyURL returns the link that shows the finding in the AWS console, or
// the findings of its type where the finding has no id; empty when the region
// or the partition is none that has a public console. The form is AWS's own:
// https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_cloudwatch.html
func guardDutyURL(partition, region string, id finding.ID, typ string) string {
	host, ok := consoleHost(partition)
	if !ok || !validRegion(region) {
		return ""
	}
	link := "https://" + host + "/guardduty/home?region=" + region + "#/findings"
	switch {
	case id != "":
		return link + "?search=" + percent("id="+string(id))
	case typ != "":
		return link + "?search=" + percent("type="+typ)
	}
	return link
}

func consoleHost(partition string) (string, bool) {
	switch partition {
	case "", "aws":
		return "console.aws.amazon.com", true
	case "aws-cn":
		return "console.amazonaws.cn", true
	case "aws-us-gov":
		return "console.amazonaws-us-gov.com", true
	}
	return "", false
}

// validRegion refuses whatever could change the meaning of a link: the region
// comes from the finding.
func validRegion(s string) bool {
	if len(s) < 4 || len(s) > 32 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	}) < 0
}

// percent encodes for the fragment; a plus would be read as a plus there.
func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
