// Package s3 contains buckets and objects: a bucket is closed to everybody but a
// short list, or to the public only; an object is put into quarantine by its
// version.
//
// Comes in: the name of a bucket, the key and version of an object. Goes out:
// plans that add one deny to the policy of the bucket, put the public access
// block on, switch versioning on, or tag a version. The policy that was there is
// restored byte for byte by the undo.
//
// It must never delete an object or a version, never write into the evidence
// bucket, and never deny a bucket to everybody: without a break-glass list there
// is no such plan. Read Playbooks, then bucket.go.
package s3
