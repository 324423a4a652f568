package configdoc

import (
	"fmt"
	"strings"
)

// Examples are whole configurations, by the section that they show. A test
// loads each.
func Examples() map[string]string {
	return map[string]string{
		"listen": `
listen:
  address: ":8443"
  tls_cert: /etc/guardroom/tls.crt
  tls_key: /etc/guardroom/tls.key
  api_token: ${file:/run/secrets/guardroom-api}
`,
		"aws": `
aws:
  region: eu-central-1
  read_role: guardroom-read
  external_id: ${ssm:/guardroom/external-id}
  organizations: true
`,
		"accounts[]": `
accounts:
  - {id: "111122223333", name: payments-prod, environment: production, owner: payments}
  - {id: "444455556666", name: sandbox, environment: sandbox, regions: [eu-central-1]}
`,
		"sources.sqs[]": `
sources:
  sqs:
    - name: findings
      queue_url: https://sqs.eu-central-1.amazonaws.com/111122223333/guardduty-findings
`,
		"sources.guardduty[]": `
sources:
  guardduty:
    - name: organization
      accounts: ["111122223333", "444455556666"]
      regions: [eu-central-1, us-east-1]
      role: guardroom-read
`,
		"sources.s3[]": `
sources:
  s3:
    - {name: export, url: "s3://example-guardduty-export/AWSLogs", region: eu-central-1}
`,
		"triage": `
triage:
  merge: {window: 12h, keys: [finding, sequence, resource]}
  enrich:
    lists: [{name: office, file: office-addresses.txt}]
    geoip: GeoLite2-City.mmdb
`,
		"suppress[]": `
suppress:
  - name: our scanner
    when: finding.type startsWith "Recon:EC2/" && "198.51.100.77" in actor.ips
    owner: platform
    reason: the weekly scan of our own addresses
    until: 2099-01-31
`,
		"destinations[].jira": `
routes:
  - {name: tickets, when: severity >= 4, to: [security-project]}
destinations:
  - name: security-project
    type: jira
    jira:
      api_url: https://example.atlassian.net
      email: guardroom@example.com
      api_token: ${secretsmanager:guardroom/jira#api_token}
      project: SEC
      issue_type: Task
      close_transition: Done
`,
		"destinations[].pagerduty": `
routes:
  - {name: page, when: severity >= 7, to: [on-call]}
destinations:
  - name: on-call
    type: pagerduty
    rate_limit: 60/min
    pagerduty: {region: eu, routing_key: "${env:PAGERDUTY_ROUTING_KEY}"}
`,
		"destinations[].webhook": `
routes:
  - {name: archive, to: [lake]}
destinations:
  - name: lake
    type: webhook
    webhook:
      url: https://lake.example.com/guardroom
      secret: ${env:WEBHOOK_SECRET}
      raw: true
`,
		"destinations[].email": `
routes:
  - {name: team, when: severity >= 7, to: [mail]}
destinations:
  - name: mail
    type: email
    email:
      host: smtp.example.com
      username: guardroom
      password: ${env:SMTP_PASSWORD}
      from: Guardroom <guardroom@example.com>
      to: [soc@example.com]
`,
		"audit.head": `
audit:
  head: {s3: "s3://example-audit/guardroom", log: true}
`,
		"retention": `
retention: {findings: 365d, rejected: 30d}
`,
	}
}

func example(b *strings.Builder, path string) {
	if text := Examples()[path]; text != "" {
		fmt.Fprintf(b, "\n```yaml\n%s```\n", strings.TrimPrefix(text, "\n"))
	}
}
