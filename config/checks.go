package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// form is a pattern that is compiled when it is first asked for: most
// configurations ask for few of them, and repetitions up to a number are large.
type form func() *regexp.Regexp

func newForm(pattern string) form {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// MatchString reports whether s has the form.
func (f form) MatchString(s string) bool { return f().MatchString(s) }

// The forms of AWS's names.
var (
	accountID  = newForm(`^[0-9]{12}$`)
	regionName = newForm(`^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$`)
	bucketName = newForm(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	ec2ID      = newForm(`^[a-z]+-([0-9a-f]{8}|[0-9a-f]{17})$`)
	roleName   = newForm(`^[A-Za-z0-9_+=,.@/-]{1,512}$`)
	topicARN   = newForm(`^arn:aws[a-z-]*:sns:[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$`)
	headerName = newForm("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	hostForm   = newForm(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,252})$`)
	labelName  = newForm(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
)

// label says what is wrong with a name that commands and metrics use.
func label(s string) string {
	if labelName.MatchString(s) {
		return ""
	}
	return fmt.Sprintf("%q is no name that commands can use: letters, digits, dot, dash and underscore, at most 63", s)
}

// oneLine says what is wrong with a name that people read on one line.
func oneLine(s string) string {
	if len(s) > 120 || strings.TrimSpace(s) != s || strings.ContainsFunc(s, unicode.IsControl) {
		return "a name is one line of at most 120 characters, without spaces around it"
	}
	return ""
}

// urlWith reports a URL with a host and one of the schemes.
func urlWith(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && u.Opaque == "" && slices.Contains(schemes, u.Scheme)
}

func (d *decoder) url(path, s string) {
	if strings.Contains(s, "@") {
		// A password may be in it, and it is printed as it is.
		d.hide(d.places[path], d.values[path])
		d.failAt(path, "leave out what stands before the @; secrets have keys of their own", "this URL may hold a credential")
		return
	}
	if s != "" && !urlWith(s, "http", "https") {
		d.failAt(path, "write https://host/path", "%q is not an http(s) URL", s)
	}
}

// secretURL repeats nothing of the URL: it carries a secret.
func (d *decoder) secretURL(path string, s Secret) {
	if s.Reveal() != "" && !urlWith(s.Reveal(), "http", "https") {
		d.failAt(path, "write https://host/path", "this is not an http(s) URL")
	}
}

func (d *decoder) account(path, id string) {
	if id == "" || accountID.MatchString(id) {
		return
	}
	d.failAt(path, "leading zeros belong to it", "%q is not an account id of twelve digits", id)
}

func (d *decoder) region(path, s string) {
	if s != "" && !regionName.MatchString(s) {
		d.failAt(path, "write it as AWS does: eu-central-1", "%q is not a region", s)
	}
}

func (d *decoder) regions(path string, list []string) {
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case s == "":
			d.failAt(at, "", "this is empty")
		case slices.Index(list, s) < i:
			d.failAt(at, "keep one of them", "%q is there twice", s)
		}
		d.region(at, s)
	}
}

func (d *decoder) role(path, s string) {
	switch {
	case s == "":
	case strings.HasPrefix(s, "arn:"):
		d.failAt(path, "write what follows :role/", "this is an ARN; the role is given by its name, which is the same in every account")
	case !roleName.MatchString(s):
		d.failAt(path, "", "%q is not the name of a role", s)
	}
}

func (d *decoder) bucket(path, s string) {
	if s == "" {
		return
	}
	rest, ok := strings.CutPrefix(s, "s3://")
	name, _, _ := strings.Cut(rest, "/")
	switch {
	case !ok || name == "":
		d.failAt(path, "write s3://bucket/prefix", "%q is not a bucket with a prefix", s)
	case !bucketName.MatchString(name):
		d.failAt(path, "it has 3 to 63 characters: lower case, digits, . and -, with a letter or a digit at both ends", "%q is not the name of a bucket", name)
	}
}

// mailbox reports an address with or without a name.
func mailbox(s string) bool {
	a, err := mail.ParseAddress(s)
	if err != nil || strings.ContainsAny(s, "\r\n\x00") {
		return false
	}
	local, domain, _ := strings.Cut(a.Address, "@")
	return plainToken(local) && plainToken(domain)
}

// hostName reports the name or the address of a host.
func hostName(s string) bool { return hostForm.MatchString(s) || net.ParseIP(s) != nil }

// plainToken reports printable ASCII without what means something in SMTP.
func plainToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`<>()[]\,;"@`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}
