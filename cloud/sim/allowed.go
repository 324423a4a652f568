package sim

import (
	"strings"
	"time"
)

// UserKey is a user who calls with a long-term key. A key alone is found in its
// account; who calls with one that is not there is nobody.
func (w *World) UserKey(accountID, keyID string) Principal {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, _ := w.at(accountID, "us-east-1")
	u, k := a.key(keyID)
	if k == nil {
		return Principal{}
	}
	return Principal{Account: accountID, User: u.Name, UserID: u.ID, Key: keyID}
}

// Allowed reports whether a principal may do an action now, on a resource (any
// when it is left out): by its inline policies as far as they have propagated,
// its key, its session's end, and the policy and public access block of a
// bucket. The simulation lets everybody of an account do what is not denied; an
// unknown principal may do only what a bucket opens to all.
func (w *World) Allowed(p Principal, action string, on ...string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	resource := "*"
	if len(on) > 0 {
		resource = on[0]
	}
	now := w.now()
	q := request{Action: action, Resource: resource, Account: p.Account, Keys: map[string]string{}}
	if p.Account == "" {
		return w.bucketAllows(q, false) // who does not sign has no keys of a principal
	}
	q.Keys["aws:principalisawsservice"] = "false"
	a, _ := w.at(p.Account, "us-east-1")
	inline, valid := a.identityOf(p, &q, now, w.opts.Propagation)
	if !valid {
		return false
	}
	for _, i := range inline {
		doc, err := parseDocument(i.in(now.Add(-w.opts.Propagation)), false)
		if err != nil {
			continue // none there
		}
		if _, deny := doc.decide(q); deny {
			return false
		}
	}
	return w.bucketAllows(q, true)
}

// identityOf fills in who asks, and returns its inline policies; valid is false
// for credentials that AWS does not accept.
func (a *account) identityOf(p Principal, q *request, now time.Time, delay time.Duration) (map[string]*identity, bool) {
	q.Keys["aws:userid"] = p.UserID
	q.Keys["aws:principalaccount"] = p.Account
	if !p.Issued.IsZero() {
		q.Keys["aws:tokenissuetime"] = p.Issued.UTC().Format(time.RFC3339)
		if !p.Expires.IsZero() && !now.Before(p.Expires) {
			return nil, false
		}
	}
	if p.Role != "" {
		r := a.IAM.Roles[p.Role]
		if r == nil || !strings.HasPrefix(p.UserID, r.ID+":") {
			return nil, false
		}
		q.Principal = r.ARN
		q.Keys["aws:principalarn"] = r.ARN
		return r.Inline, true
	}
	u := a.IAM.Users[p.User]
	if u == nil {
		return nil, false
	}
	q.Principal = u.ARN
	q.Keys["aws:principalarn"], q.Keys["aws:username"] = u.ARN, u.Name
	if p.Key == "" {
		return u.Inline, true
	}
	owner, k := a.key(p.Key)
	if owner != u {
		return nil, false
	}
	active := k.Active
	if now.Before(k.Changed.Add(delay)) {
		active = !active
	}
	return u.Inline, active
}

// InstanceCredentials are what the metadata service of an instance hands out
// now: a session of the role in its profile, issued now. false: it hands out
// none, as it is switched off or the instance has no profile.
func (w *World) InstanceCredentials(accountID, regionName, instanceID string) (Principal, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(w.now())
	a, r := w.at(accountID, regionName)
	s := w.scopeOf(a, r, w.now())
	i := s.Instances[instanceID]
	if i == nil || i.State != "running" || i.Metadata.Endpoint == "disabled" {
		return Principal{}, false
	}
	for _, link := range inOrder(s.Profiles) {
		if link.Instance != instanceID || link.State == "disassociating" {
			continue
		}
		p := a.profileByARN(link.ARN)
		if p == nil || a.IAM.Roles[p.Role] == nil {
			return Principal{}, false
		}
		return Principal{Account: accountID, Role: p.Role, UserID: a.IAM.Roles[p.Role].ID + ":" + instanceID, Issued: s.now, Expires: s.now.Add(sessionLives)}, true
	}
	return Principal{}, false
}
