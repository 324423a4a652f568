package proxy

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

const ec2Namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"

// refuse is an error in the words of the service's protocol.
func (r *request) refuse(status int, code, message string) answer {
	var text bytes.Buffer
	_ = xml.EscapeText(&text, []byte(message)) // a buffer takes everything
	h := http.Header{"Content-Type": {"text/xml;charset=UTF-8"}}
	var body string
	switch r.service {
	case "EC2":
		body = xml.Header + fmt.Sprintf(`<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>proxy</RequestID></Response>`, code, text.String())
	case "S3":
		body = xml.Header + fmt.Sprintf(`<Error><Code>%s</Code><Message>%s</Message><RequestId>proxy</RequestId></Error>`, code, text.String())
	case "IAM", "STS", "AutoScaling", "ELB", "ELBv2", "RDS":
		side := "Sender"
		if status >= 500 {
			side = "Receiver"
		}
		body = xml.Header + fmt.Sprintf(`<ErrorResponse><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>proxy</RequestId></ErrorResponse>`, side, code, text.String())
	default:
		h.Set("Content-Type", "application/x-amz-json-1.1")
		h.Set("X-Amzn-Errortype", code)
		raw, err := json.Marshal(map[string]string{"__type": code, "message": message})
		if err != nil {
			panic("proxy: texts are JSON: " + err.Error())
		}
		body = string(raw)
	}
	return answer{status: status, header: h, body: []byte(body)}
}

// no is a refusal of EC2 for what the caller asked.
func (r *request) no(code, format string, args ...any) answer {
	return r.refuse(http.StatusBadRequest, code, fmt.Sprintf(format, args...))
}

// ec2 is an answer of EC2.
func (r *request) ec2(children ...*node) answer {
	root := branch(r.operation+"Response", append([]*node{leaf("requestId", "proxy")}, children...)...)
	root.attrs = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: ec2Namespace}}
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"text/xml;charset=UTF-8"}}, body: root.print()}
}

// json is an answer of a JSON protocol.
func (r *request) json(v any) answer {
	raw, err := json.Marshal(v)
	if err != nil {
		return r.refuse(http.StatusInternalServerError, "InternalServerError", err.Error())
	}
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, body: raw}
}

// dry is the answer to a DryRun, if it is one.
func (r *request) dry() (answer, bool) {
	if !strings.EqualFold(r.form.Get("DryRun"), "true") {
		return answer{}, false
	}
	return r.refuse(http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."), true
}

// rewrite changes an XML answer; f reports whether it did. An answer that f
// leaves alone keeps its bytes.
func (p *Proxy) rewrite(a answer, f func(*node) bool) answer {
	tree, err := parse(a.body)
	if err != nil || !f(tree) {
		return a
	}
	a.body = tree.print()
	a.header = a.header.Clone()
	a.header.Del("Content-Length")
	return a
}
