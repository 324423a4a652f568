// Package file takes findings from what is stored: files, folders, the standard
// input, and the objects of GuardDuty's export to S3.
//
// Paths come in (Import, Walk) or a bucket is polled (Poller); Input goes to the
// intake piece by piece, so that a file of a gigabyte needs a few megabytes of
// memory. A file that cannot be read is reported and does not hide the others.
//
// In a folder, sorted and with its subfolders, the files are those whose name
// ends in .json, .jsonl, .ndjson or .gz and does not begin with a dot. A file
// that is named itself is read whatever its name.
//
// The package must never pass over something silently that it was told to read,
// and never move the poller's cursor past an object that is not taken.
//
// Read Import first, then Poller.Run.
package file
