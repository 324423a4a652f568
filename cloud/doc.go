// Package cloud is guardroom's way to AWS: clients per account and region,
// through the read role where one is configured, and the small adapters that
// need nothing but such a client (secret references, account names, live tags,
// the audit head in S3, the AWS part of doctor).
//
// Configuration comes in; clients and adapters come out. New does no I/O: the
// shared configuration is read, and roles are assumed, when the first client is
// asked for. It must never call AWS at start-up, never print a credential, and
// never call an action that Permissions does not list.
//
// Read Cloud first, then Permissions.
package cloud
