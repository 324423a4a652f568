// Package kit is what the playbooks for resources beside hosts share: a setting
// that is put and restored by comparison, things kept in the evidence bucket,
// guards that all of them ask, the dry runs before the first change, and the
// drafting of steps.
//
// Comes in: the step that runs and functions that read and write one setting in
// AWS. Goes out: outcomes, evidence items, steps and guards. It makes no call of
// its own but to the evidence bucket, to say whose credentials are used, and dry
// runs of EC2.
//
// It must never write a setting that is neither what was recorded nor what we
// set. Read Setting, then Draft.
package kit
