package sim

import (
	"crypto/md5" //nolint:gosec // AWS' ETag is an MD5
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// s3State is what an account has of S3. Names of buckets are unique in the world.
type s3State struct {
	Buckets map[string]*Bucket `json:"buckets,omitempty"`
}

// Bucket is a bucket. What is empty or nil is absent, as AWS tells it from empty.
type Bucket struct {
	Name    string       `json:"name"`
	Account string       `json:"account"`
	Region  string       `json:"region"`
	Created time.Time    `json:"created"`
	Policy  string       `json:"policy,omitempty"`
	Block   *PublicBlock `json:"block,omitempty"`
	// Versioning is Enabled, Suspended, or empty: never switched on.
	Versioning string `json:"versioning,omitempty"`
	// Ownership is BucketOwnerEnforced and so on; empty: no controls.
	Ownership string `json:"ownership,omitempty"`
	// PublicACL are the permissions that its ACL gives to everybody: READ, WRITE.
	PublicACL []string `json:"public_acl,omitempty"`
	// Tags of the bucket; none at all is absent.
	Tags map[string]string `json:"tags,omitempty"`
	// ObjectLock allows retention; such a bucket stays versioned.
	ObjectLock bool `json:"object_lock,omitempty"`
	// RetentionMode and RetentionDays lock what is put without a lock of its own.
	RetentionMode string               `json:"retention_mode,omitempty"` // GOVERNANCE, COMPLIANCE
	RetentionDays int                  `json:"retention_days,omitempty"`
	Objects       map[string][]*Object `json:"objects,omitempty"` // versions, the newest last
	Uploads       map[string]*Upload   `json:"uploads,omitempty"`
}

// PublicBlock is the public access block of a bucket.
type PublicBlock struct {
	BlockACLs      bool `json:"block_acls"`
	IgnoreACLs     bool `json:"ignore_acls"`
	BlockPolicy    bool `json:"block_policy"`
	RestrictBucket bool `json:"restrict_bucket"`
}

// Object is one version of an object.
type Object struct {
	Version     string            `json:"version"` // null in a bucket that is not versioned
	Body        []byte            `json:"body,omitempty"`
	ETag        string            `json:"etag,omitempty"`
	SHA256      string            `json:"sha256,omitempty"` // base64, where a checksum was asked for
	Composite   bool              `json:"composite,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Modified    time.Time         `json:"modified"`
	Deleted     bool              `json:"deleted,omitempty"` // a delete marker
	KMSKey      string            `json:"kms_key,omitempty"`
	LockMode    string            `json:"lock_mode,omitempty"`
	LockUntil   time.Time         `json:"lock_until,omitzero"`
}

// Upload is a multipart upload that has not ended.
type Upload struct {
	Key     string        `json:"key"`
	Object  Object        `json:"object"` // what it will be
	Sums    bool          `json:"sums,omitempty"`
	Started time.Time     `json:"started"`
	Parts   map[int]*Part `json:"parts,omitempty"`
}

// Part is a part of an upload.
type Part struct {
	Body     []byte    `json:"body,omitempty"`
	ETag     string    `json:"etag"`
	SHA256   string    `json:"sha256,omitempty"`
	Modified time.Time `json:"modified"`
}

// AddBucket adds a bucket to an account. Only what is named is there.
func (e *Editor) AddBucket(accountID string, b Bucket) *Bucket {
	a, _ := e.w.at(accountID, "us-east-1")
	b.Account = accountID
	b.Region = orText(b.Region, "us-east-1")
	b.Created = orTime(b.Created, e.w.now().Add(-365*24*time.Hour))
	if b.ObjectLock {
		b.Versioning = "Enabled"
	}
	put(&a.S3.Buckets, b.Name, &b)
	return &b
}

// PutObject puts an object into a bucket, which must be there.
func (e *Editor) PutObject(bucket, key string, o Object) *Object {
	o.ETag = etag(o.Body)
	return e.w.store(e.Bucket(bucket), key, o)
}

// DeleteObject deletes an object as its owner would: with a delete marker where
// the bucket is versioned.
func (e *Editor) DeleteObject(bucket, key string) {
	b := e.Bucket(bucket)
	if b.Versioning == "" {
		delete(b.Objects, key)
		return
	}
	e.w.store(b, key, Object{Deleted: true})
}

// Bucket returns a bucket that must be there, in whichever account.
func (e *Editor) Bucket(name string) *Bucket { return must(e.w.findBucket(name)) }

// Object returns the newest version of an object; nil: there is none.
func (e *Editor) Object(bucket, key string) *Object { return e.Bucket(bucket).newest(key) }

func (w *World) findBucket(name string) (*Bucket, error) {
	for _, a := range w.state.Accounts {
		if b := a.S3.Buckets[name]; b != nil {
			return b, nil
		}
	}
	return nil, fail("NoSuchBucket", "The specified bucket does not exist")
}

// newest is the newest version of an object; nil where there is none, or a
// delete marker.
func (b *Bucket) newest(key string) *Object {
	versions := b.Objects[key]
	if len(versions) == 0 || versions[len(versions)-1].Deleted {
		return nil
	}
	return versions[len(versions)-1]
}

// store adds a version, or replaces the only one.
func (w *World) store(b *Bucket, key string, o Object) *Object {
	o.Modified = w.now()
	versions := b.Objects[key]
	if b.Versioning == "Enabled" {
		o.Version = w.id("v")
	} else {
		o.Version = "null"
		kept := versions[:0:0]
		for _, v := range versions {
			if v.Version != "null" {
				kept = append(kept, v)
			}
		}
		versions = kept
	}
	put(&b.Objects, key, append(versions, &o))
	return &o
}

// bucketAllows asks a bucket whether a principal may do something with it.
func (w *World) bucketAllows(q request, known bool) bool {
	name, key, ok := bucketOf(q.Resource)
	if !ok {
		return known
	}
	b, err := w.findBucket(name)
	return err == nil && b.allows(q, key)
}

// bucketOf takes an ARN of S3 apart.
func bucketOf(arn string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:s3:::")
	if !ok {
		return "", "", false
	}
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, bucket != ""
}

// allows evaluates policy, ACL and public access block for who asks. Somebody of
// the bucket's account may what is not denied; others only what is allowed.
func (b *Bucket) allows(q request, key string) bool {
	if o := b.newest(key); o != nil {
		for k, v := range o.Tags {
			q.Keys["s3:existingobjecttag/"+strings.ToLower(k)] = v
		}
	}
	doc, err := parseDocument(b.Policy, true)
	if err != nil {
		doc = document{}
	}
	allow, deny := doc.decide(q)
	if deny {
		return false
	}
	if q.Account == b.Account {
		return true
	}
	block := PublicBlock{}
	if b.Block != nil {
		block = *b.Block
	}
	if allow && !(block.RestrictBucket && doc.public()) {
		return true
	}
	return !block.IgnoreACLs && b.Ownership != "BucketOwnerEnforced" && b.aclAllows(q.Action)
}

func (b *Bucket) aclAllows(action string) bool {
	for _, permission := range b.PublicACL {
		if permission == "READ" && action == "s3:ListBucket" || permission == "WRITE" && action == "s3:PutObject" {
			return true
		}
	}
	return false
}

func etag(body []byte) string {
	sum := md5.Sum(body) //nolint:gosec // AWS' ETag is an MD5
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// md5Of is the value of a header Content-MD5.
func md5Of(body []byte) string {
	sum := md5.Sum(body) //nolint:gosec // S3 asks for it
	return base64.StdEncoding.EncodeToString(sum[:])
}

// compositeTag is the ETag of parts together.
func compositeTag(parts []*Part) string {
	h := md5.New() //nolint:gosec // AWS' ETag is an MD5
	for _, p := range parts {
		raw, _ := hex.DecodeString(strings.Trim(p.ETag, `"`)) // our own text
		h.Write(raw)
	}
	return `"` + hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)) + `"`
}

// compositeSum is the checksum of checksums that S3 keeps for parts.
func compositeSum(parts []*Part) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p.Body)
		h.Write(sum[:])
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

func sum256(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}
