package finding

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// object finds out what an object is, by looking, and decodes what is in it.
func (d *decoder) object(v value, p place) {
	if p.layers > maxLayers {
		d.rejected(p, fmt.Sprintf("wrapped in more than %d layers", maxLayers), []byte(v.raw()))
		return
	}
	if p.event {
		d.finding(v, p)
		return
	}
	if v.get("detail-type").present() && v.get("detail").i >= 0 {
		d.eventBridge(v, p)
		return
	}
	if looksLikeASFF(v) {
		d.rejected(p, asffReason, []byte(v.raw()))
		return
	}
	if isFinding(v) {
		d.finding(v, p)
		return
	}
	if detail := v.get("detail"); detail.kind() == jsonObject && isFinding(detail) {
		p = p.in("partial-envelope")
		p.region, p.account = v.get("region").word(), v.get("account").word()
		d.finding(detail, p.below(detail.key()))
		return
	}
	if l := v.get("findings"); l.kind() == jsonList {
		d.list(l, p.in("get-findings").below(l.key()))
		return
	}
	if l := v.get("records"); l.kind() == jsonList {
		for i, r := range l.children() {
			d.record(r, p.below(l.key()+"["+strconv.Itoa(i)+"]"))
		}
		return
	}
	if l := v.get("messages"); l.kind() == jsonList {
		// The answer of ReceiveMessage.
		for i, m := range l.children() {
			if body := m.get("body"); body.kind() == jsonString {
				d.body(m, body, p.in("sqs").below(l.key()+"["+strconv.Itoa(i)+"]"))
			} else {
				d.notFinding(m, p.below(l.key()+"["+strconv.Itoa(i)+"]"))
			}
		}
		return
	}
	if data := v.object("awslogs").get("data"); data.i >= 0 {
		d.cloudWatchLogs(data, p.in("cloudwatch-logs").below("awslogs.data"))
		return
	}
	if v.get("messagetype").present() && v.get("logevents").kind() == jsonList {
		d.logEvents(v, p.in("cloudwatch-logs"))
		return
	}
	if message := v.get("message"); message.kind() == jsonString && v.get("type").word() == "Notification" {
		d.text(message.unquoted(false), p.in("sns").below(message.key()))
		return
	}
	switch word := v.get("type").word(); {
	case word == "SubscriptionConfirmation" || word == "UnsubscribeConfirmation":
		d.ignored(p, "SNS "+word, v)
		return
	case strings.EqualFold(v.get("event").word(), "s3:TestEvent"):
		d.ignored(p, "s3:TestEvent", v)
		return
	}
	if body := v.get("body"); body.kind() == jsonString && v.get("messageid").present() {
		d.body(v, body, p.in("sqs")) // one record of a batch
		return
	}
	d.notFinding(v, p)
}

// list decodes the elements of a list of findings, each as a value of its own:
// the strings of one finding must not hold the memory of a thousand.
func (d *decoder) list(l value, p place) {
	if p.layers > maxLayers {
		d.rejected(p, fmt.Sprintf("wrapped in more than %d layers", maxLayers), []byte(l.raw()))
		return
	}
	line, counted := p.at.Line, int32(0)
	for i, e := range l.children() {
		if d.err != nil {
			return
		}
		q := p.below("[" + strconv.Itoa(i) + "]")
		if start := e.node().start; !insideText(p) {
			line += strings.Count(l.t.src[counted:start], "\n")
			counted = start
			q.at.Line = line
			q.at.Offset += int64(start)
		}
		d.element([]byte(e.raw()), q)
	}
}

// element decodes one element of a list.
func (d *decoder) element(text []byte, p place) {
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		d.rejected(p, "not an object: an element of a list is a plain value or damaged", text)
		return
	}
	if p.layers > maxLayers {
		d.rejected(p, fmt.Sprintf("wrapped in more than %d layers", maxLayers), text)
		return
	}
	in := bytesInput(text)
	n, err := in.frame()
	if err == nil && len(bytes.TrimSpace(text[n:])) > 0 {
		err = errors.New("text behind the end of the value")
	}
	if err != nil {
		d.rejected(p, "damaged JSON: "+err.Error(), text)
		return
	}
	d.whole(text[:n], p)
}

// finding decodes the finding itself.
func (d *decoder) finding(v value, p place) {
	if v.kind() != jsonObject {
		d.rejected(p, "detail is "+v.kind().String()+", not an object", []byte(v.raw()))
		return
	}
	if looksLikeASFF(v) {
		d.rejected(p, asffReason, []byte(v.raw()))
		return
	}
	if n := len(v.raw()); n > d.limits.MaxFinding {
		d.rejected(p, fmt.Sprintf("the finding is larger than %d bytes", d.limits.MaxFinding), []byte(v.raw()))
		return
	}
	f, err := readFinding(v, p.account, p.region)
	if err != nil {
		d.rejected(p, err.Error(), []byte(v.raw()))
		return
	}
	d.emit(Item{Finding: f}, p)
}

// eventBridge decodes an EventBridge event by its detail-type: the source alone
// says little, since clicks in the console and health reports carry it too.
// https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-guardduty.html
func (d *decoder) eventBridge(v value, p place) {
	detail := v.get("detail")
	detailType := strings.TrimSpace(v.get("detail-type").word())
	switch {
	case strings.EqualFold(detailType, "GuardDuty Finding"):
		p = p.in("eventbridge").below(detail.key())
		p.event, p.account, p.region = true, v.get("account").word(), v.get("region").word()
		d.object(detail, p)
	case strings.EqualFold(detailType, "Object Created"):
		p = p.in("s3-event")
		ref := Reference{
			Bucket: detail.get("bucket").get("name").word(),
			Key:    detail.get("object").get("key").word(),
			Region: v.get("region").word(),
		}
		d.reference(ref, v, p)
	case len(detailType) >= 12 && strings.EqualFold(detailType[:12], "Security Hub"):
		d.rejected(p.in("eventbridge"), asffReason, []byte(v.raw()))
	default:
		d.ignored(p.in("eventbridge"), detailType, v)
	}
}

func (d *decoder) reference(ref Reference, v value, p place) {
	if ref.Bucket == "" || ref.Key == "" {
		d.rejected(p, "the S3 event names no bucket or no key", []byte(v.raw()))
		return
	}
	d.emit(Item{Reference: &ref}, p)
}

// record decodes one entry of Records: SQS, SNS and S3 use the same shape.
func (d *decoder) record(r value, p place) {
	if d.err != nil {
		return
	}
	if r.kind() != jsonObject {
		d.rejected(p, p.at.Path+" is "+r.kind().String()+", not an object", []byte(r.raw()))
		return
	}
	switch source := r.get("eventsource").word(); {
	case source == "aws:sns" || r.get("sns").kind() == jsonObject:
		message := r.get("sns").get("message")
		p = p.in("sns").below("Sns.Message")
		if message.kind() != jsonString {
			d.rejected(p, "Sns.Message is not a text", []byte(r.raw()))
			return
		}
		d.text(message.unquoted(false), p)
	case source == "aws:s3":
		d.s3Record(r, p.in("s3-event"))
	case source == "aws:sqs" || source == "" && r.get("body").i >= 0:
		p = p.in("sqs")
		body := r.get("body")
		if body.kind() != jsonString {
			p.messageID = r.get("messageid").word()
			d.rejected(p, "body is not a text", []byte(r.raw()))
			return
		}
		d.body(r, body, p)
	case source == "":
		d.notFinding(r, p)
	default:
		d.rejected(p, fmt.Sprintf("eventSource %.100q is neither aws:sqs, aws:sns nor aws:s3", source), []byte(r.raw()))
	}
}

func (d *decoder) body(r, body value, p place) {
	p.messageID = r.get("messageid").word()
	d.text(body.unquoted(false), p.below(body.key()))
}

// s3Record decodes one record of an S3 event notification. Its key is encoded
// as in a query string.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
func (d *decoder) s3Record(r value, p place) {
	name := r.get("eventname").word()
	if name != "" && !strings.Contains(name, "ObjectCreated") && !strings.Contains(name, "ObjectRestore") {
		d.ignored(p, "S3 "+name, r)
		return
	}
	s3 := r.get("s3")
	ref := Reference{
		Bucket: s3.get("bucket").get("name").word(),
		Key:    s3.get("object").get("key").word(),
		Region: r.get("awsregion").word(),
	}
	if key, err := url.QueryUnescape(ref.Key); err == nil {
		ref.Key = key
	}
	d.reference(ref, r, p)
}

// cloudWatchLogs decodes the data of a subscription: base64 of gzip of JSON.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
func (d *decoder) cloudWatchLogs(data value, p place) {
	if data.kind() != jsonString {
		d.rejected(p, "awslogs.data is not a text", []byte(data.raw()))
		return
	}
	packed, err := base64.StdEncoding.DecodeString(data.unquoted(false))
	if err != nil {
		d.rejected(p, "awslogs.data is not base64", []byte(data.raw()))
		return
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		d.rejected(p, "awslogs.data is not gzip", []byte(data.raw()))
		return
	}
	limit := int64(16 * d.limits.MaxFinding)
	text, err := io.ReadAll(io.LimitReader(z, limit+1))
	switch {
	case int64(len(text)) > limit:
		d.rejected(p, fmt.Sprintf("awslogs.data unpacks to more than %d bytes", limit), []byte(data.raw()))
		return
	case err != nil:
		d.rejected(p, "awslogs.data is damaged gzip", []byte(data.raw()))
		return
	}
	t := d.tree()
	defer d.release(t)
	if err := t.parse(strings.ToValidUTF8(string(text), "\uFFFD"), d.limits.MaxDepth); err != nil {
		d.rejected(p, "awslogs.data holds damaged JSON: "+err.Error(), text)
		return
	}
	d.logEvents(t.rootValue(), p)
}

func (d *decoder) logEvents(v value, p place) {
	if v.get("messagetype").word() == "CONTROL_MESSAGE" {
		d.ignored(p, "CloudWatch Logs CONTROL_MESSAGE", v)
		return
	}
	events := v.get("logevents")
	if events.kind() != jsonList {
		d.rejected(p, "the log subscription has no logEvents", []byte(v.raw()))
		return
	}
	for i, e := range events.children() {
		q := p.below(events.key() + "[" + strconv.Itoa(i) + "].message")
		if m := e.get("message"); m.kind() == jsonString {
			d.text(m.unquoted(false), q)
		} else {
			d.rejected(q, "message is not a text", []byte(e.raw()))
		}
	}
}

const asffReason = "this is a finding of Security Hub (ASFF), not of GuardDuty: send the GuardDuty finding itself"

func looksLikeASFF(v value) bool {
	if v.get("awsaccountid").i < 0 {
		return false
	}
	return v.get("productarn").i >= 0 || v.get("productfields").i >= 0 || v.get("schemaversion").word() == "2018-10-08"
}

// isFinding reports whether an object is meant to be a finding: by its type, or
// by enough of the other fields that it is better to say what is missing.
func isFinding(v value) bool {
	if v.kind() != jsonObject {
		return false
	}
	typ := v.get("type")
	if typ.kind() == jsonString {
		word := typ.unquoted(true)
		if strings.Contains(word, ":") && strings.Contains(word, "/") {
			return true
		}
	}
	n := 0
	for _, name := range [...]string{"type", "severity", "accountid", "id", "arn", "region", "service", "resource", "createdat", "updatedat"} {
		if m := v.get(name); m.i >= 0 {
			n++
			if name == "arn" && strings.Contains(m.word(), ":guardduty:") {
				return true
			}
		}
	}
	return n >= 4 || n >= 2 && v.get("severity").i >= 0
}

func (d *decoder) notFinding(v value, p place) {
	raw := []byte(v.raw())
	switch {
	case v.kind() != jsonObject:
		d.rejected(p, "not an object but "+v.kind().String(), raw)
		return
	case v.get("findingids").kind() == jsonList:
		d.rejected(p, "only ids of findings (ListFindings): send what GetFindings returns", raw)
		return
	case v.get("class_uid").present():
		d.rejected(p, "this is an OCSF event, not a finding of GuardDuty: send the GuardDuty finding itself", raw)
		return
	}
	var keys []string
	for _, m := range v.children() {
		key := m.key()
		if len(key) > 40 {
			key = strings.ToValidUTF8(key[:40], "") + "…"
		}
		keys = append(keys, strconv.Quote(key))
	}
	sort.Strings(keys)
	if len(keys) > 8 {
		keys = append(keys[:8], "…")
	}
	d.rejected(p, "not a finding: no type and no known wrapping; its keys are "+strings.Join(keys, ", "), raw)
}
