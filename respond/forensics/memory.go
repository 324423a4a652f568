package forensics

import (
	"context"
	_ "embed" // the document
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

//go:generate cp memory-document.json ../../deploy/ssm/guardroom-memory.json

//go:embed memory-document.json
var document []byte

// Document is the SSM document that takes memory, as JSON. An operator makes it
// in each account beforehand; guardroom calls it by version and hash. It may be
// called with nothing but pre-signed addresses and hashes.
func Document() []byte { return append([]byte(nil), document...) }

// memoryParams are those of the step that takes memory. The addresses are not
// among them: they are signed when the step runs.
type memoryParams struct {
	Instance   string `json:"instance"`
	MiB        int64  `json:"mib"`
	Document   string `json:"document"`
	Version    string `json:"document_version"`
	Hash       string `json:"document_sha256"`
	Tool       string `json:"tool"` // its key in the evidence bucket
	ToolSHA256 string `json:"tool_sha256"`
	PartBytes  int64  `json:"part_bytes"`
	Parts      int    `json:"parts"`
	// FirstSeconds is after how long without a first part the memory is given up,
	// for isolation waits; 0: only where nothing moves for long.
	FirstSeconds int64 `json:"first_seconds,omitempty"`
}

// most is how many bytes the host may send: what it has, what the kernel counts
// apart, and one part more. More is no memory.
func (p memoryParams) most() int64 { return p.MiB<<20*12/10 + max(p.PartBytes, partLeast) }

const (
	partLeast = 64 << 20
	partsMost = 10000
	// addressesLive is how long signed addresses are valid; they end earlier with
	// the session that signed them.
	addressesLive = 6 * time.Hour
	// noProgress is after how long without another part the command is cancelled.
	noProgress = 10 * time.Minute
	// firstPart is after how long an accepted command must have sent its first
	// part where isolation waits for it: the agent is in the hands of the host.
	firstPart = 90 * time.Second
	// leastPause is the shortest wait between two looks at what arrived.
	leastPause = 5 * time.Second
)

// acquisition of memory, as far as it is open: what a closing must know.
type acquisition struct {
	Instance string `json:"instance"`
	Bucket   string `json:"bucket"`
	Key      string `json:"key"`
	Upload   string `json:"upload"`
	Command  string `json:"command,omitempty"`
	// Mode and Until are the lock that the object will have; empty: none.
	Mode  string    `json:"lock_mode,omitempty"`
	Until time.Time `json:"lock_until,omitzero"`
	// Vault is where the bucket is; the command is where the owed row is.
	Vault awscalls.Place `json:"vault"`
}

// memory has the host read its own memory and send it by signed addresses into
// the evidence bucket, where it is hashed again. Everything that the host says
// is marked as an untrusted host's.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
func memory(x *respond.Exec) (playbook.Outcome, error) {
	var p memoryParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	var begun bool
	if !x.Load("begun", &begun) {
		if why, err := cannot(x, p); err != nil || why != "" {
			return noMemory(x, p, why, err)
		}
		if err := x.Save("begun", true); err != nil {
			return playbook.Outcome{}, err
		}
	}
	a, err := openUpload(x, p)
	if err != nil {
		return noMemory(x, p, "", err)
	}
	if err := oweMemory(x, a); err != nil {
		return playbook.Outcome{}, err
	}
	said, why, err := command(x, p, &a)
	if err != nil || why != "" {
		if closed := closeMemory(x, a, err); closed != nil {
			return playbook.Outcome{}, closed
		}
		return noMemory(x, p, why, err)
	}
	return received(x, p, a, said)
}

// noMemory is for a host or an account that cannot: the step is skipped and the
// disks go on; where something broke it fails. The report states the gap.
func noMemory(x *respond.Exec, p memoryParams, why string, err error) (playbook.Outcome, error) {
	if err != nil && (ended(err) || respond.Transient(err)) {
		return playbook.Outcome{}, err
	}
	if err != nil {
		return playbook.Outcome{}, respond.Explain(err, "read the memory of "+p.Instance, "the disks go on")
	}
	return playbook.Outcome{State: playbook.Skipped, Message: "cannot, because " + why}, nil
}

// cannot probes what must be so before the host is touched; empty: it can.
func cannot(x *respond.Exec, p memoryParams) (string, error) {
	var g Agent
	err := x.Look(func(ctx context.Context) error {
		c, err := x.AWS.SSM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
		if err != nil {
			return err
		}
		g, err = agentOf(ctx, c, p.Instance)
		return err
	})
	if err != nil || !g.Online {
		return g.Why, err
	}
	tool, err := sumOf(x, p.Tool)
	switch {
	case err != nil:
		return "", err
	case tool.SHA256 == "":
		return "the tool " + p.Tool + " is not in the evidence bucket", nil
	case tool.SHA256 != p.ToolSHA256:
		return "the tool " + p.Tool + " in the evidence bucket does not have the configured SHA-256", nil
	}
	return "", nil
}

func (p memoryParams) object(x *respond.Exec) string { return key(x, "memory/"+p.Instance+".lime") }

func bucketCall(x *respond.Exec, by func(func(context.Context) error) error, f func(ctx context.Context, c awscalls.S3) error) error {
	return by(func(ctx context.Context) error {
		c, err := x.AWS.S3(ctx, vault(x))
		if err != nil {
			return err
		}
		return f(ctx, c)
	})
}

// openUpload begins the object that the host sends its parts to.
func openUpload(x *respond.Exec, p memoryParams) (acquisition, error) {
	a := acquisition{Instance: p.Instance, Bucket: x.Policy.Evidence.Bucket, Key: p.object(x), Vault: vault(x)}
	if x.Load("upload", &a) {
		return a, nil
	}
	var lock stored
	lock.lock(x)
	a.Mode, a.Until = lock.Mode, lock.Until
	err := beginUpload(x, &a)
	if a.Mode != "" && respond.NoObjectLock(err) {
		// The bucket has no Object Lock: the object is worth more than its lock.
		if err := x.Lack("lock of the memory of "+p.Instance, "the evidence bucket has no Object Lock"); err != nil {
			return a, err
		}
		a.Mode, a.Until = "", time.Time{}
		err = beginUpload(x, &a)
	}
	if err != nil {
		return a, err
	}
	return a, x.Save("upload", a)
}

func beginUpload(x *respond.Exec, a *acquisition) error {
	in := &s3.CreateMultipartUploadInput{Bucket: aws.String(a.Bucket), Key: aws.String(a.Key), ContentType: aws.String("application/octet-stream")}
	encrypt(x, &in.ServerSideEncryption, &in.SSEKMSKeyId)
	if a.Mode != "" {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = s3types.ObjectLockMode(strings.ToUpper(a.Mode)), aws.Time(a.Until)
	}
	return bucketCall(x, x.Change, func(ctx context.Context, c awscalls.S3) error {
		out, err := c.CreateMultipartUpload(ctx, in)
		if err == nil {
			a.Upload = aws.ToString(out.UploadId)
		}
		return err
	})
}

const closeUpload = "forensics.memory"

func oweMemory(x *respond.Exec, a acquisition) error {
	row := respond.Owed{ID: owedID(x.RunID, x.Def.ID), Run: x.RunID, Kind: closeUpload, Params: raw(a), Place: x.Place(), Due: x.Started().Add(x.Limit() + time.Hour),
		Why: "memory of " + a.Instance + " can be sent to " + a.Key, OpenedAt: x.Now()}
	return x.Finish(func(ctx context.Context) error { return x.Owed.Owe(ctx, row) }) // the upload is open by now
}

// closeMemory stops the command and drops the parts, unless the step is tried again.
func closeMemory(x *respond.Exec, a acquisition, err error) error {
	if err != nil && (ended(err) || respond.Transient(err)) {
		return nil
	}
	if err := x.Finish(func(ctx context.Context) error { return shut(ctx, x.AWS, x.Place(), a) }); err != nil {
		return err
	}
	return x.Finish(func(ctx context.Context) error { return x.Owed.Settle(ctx, owedID(x.RunID, x.Def.ID)) })
}

// shut cancels the command and aborts the upload. What has ended already is fine.
func shut(ctx context.Context, a awscalls.AWS, place awscalls.Place, q acquisition) error {
	if q.Command != "" {
		c, err := a.SSM(ctx, place)
		if err != nil {
			return err
		}
		_, err = c.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: aws.String(q.Command), InstanceIds: []string{q.Instance}})
		if err != nil && !respond.Is(err, "InvalidCommandId", "DuplicateInstanceId", "InvalidInstanceId") {
			return err
		}
	}
	c, err := a.S3(ctx, q.Vault)
	if err != nil {
		return err
	}
	_, err = c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: aws.String(q.Bucket), Key: aws.String(q.Key), UploadId: aws.String(q.Upload)})
	if respond.Is(err, "NoSuchUpload") {
		return nil
	}
	return err
}

// hostSays is what the document prints; nothing of it is trusted.
type hostSays struct {
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Kernel string `json:"kernel"`
}

// command runs the document once and waits for its end. Why is what the host
// says that it cannot.
func command(x *respond.Exec, p memoryParams, a *acquisition) (said hostSays, why string, err error) {
	mark := x.Token("memory")
	list, err := once(x, "command", func() ([]string, bool, error) {
		found, err := sentBefore(x, p, mark)
		return found, len(found) > 0, err
	}, func() ([]string, error) { return send(x, p, *a, mark) })
	if err != nil {
		return said, "", err
	}
	a.Command = list[0]
	if err := oweMemory(x, *a); err != nil {
		return said, "", err
	}
	accepted, err := respond.Once(x, "accepted", func() (time.Time, error) { return x.Now(), nil })
	if err != nil {
		return said, "", err
	}
	parts, since := -1, accepted
	looks := 0 // as long as that at least was waited, whatever the tempo
	err = x.Poll(func() (bool, error) {
		out, err := invocation(x, p, a.Command)
		if respond.Is(err, "InvocationDoesNotExist") {
			return false, nil // for the first seconds there is none
		}
		if err != nil {
			return false, err
		}
		switch out.Status {
		case ssmtypes.CommandInvocationStatusSuccess:
			_ = json.Unmarshal([]byte(lastLine(aws.ToString(out.StandardOutputContent))), &said) // a host that says nothing is believed as little
			return true, nil
		case ssmtypes.CommandInvocationStatusPending, ssmtypes.CommandInvocationStatusInProgress, ssmtypes.CommandInvocationStatusDelayed, ssmtypes.CommandInvocationStatusCancelling:
			n, err := sent(x, p, *a)
			if err != nil {
				return false, err
			}
			if n != parts {
				parts, since = n, x.Now()
			}
			first := time.Duration(p.FirstSeconds) * time.Second
			if looks++; n == 0 && first > 0 && max(x.Now().Sub(accepted), time.Duration(looks-1)*leastPause) >= first {
				return false, playbook.Permanent(fault.New(fault.Unavailable, fmt.Sprintf("the host took the command and sent nothing of its memory for %s; isolation does not wait for it any longer", first), "the disks go on"))
			}
			if x.Now().Sub(since) >= noProgress {
				return false, playbook.Permanent(fault.New(fault.Unavailable, fmt.Sprintf("the host sent no more of its memory for %s", noProgress), "the disks go on"))
			}
			return false, nil
		}
		if text, ok := strings.CutPrefix(lastLine(aws.ToString(out.StandardErrorContent)), "cannot: "); ok && out.ResponseCode == 42 {
			why = clean(text)
			return true, nil
		}
		return false, playbook.Permanent(fault.New(fault.Unavailable, fmt.Sprintf("the command that reads memory ended as %s: %s", clean(aws.ToString(out.StatusDetails)), clean(lastLine(aws.ToString(out.StandardErrorContent)))), "the disks go on"))
	})
	return said, why, err
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// sent counts the parts that have arrived, and tells people. More than the host
// has ends it.
func sent(x *respond.Exec, p memoryParams, a acquisition) (int, error) {
	parts, err := partsOf(x, a)
	if err != nil {
		return 0, err
	}
	bytes, err := fits(p, parts)
	if err != nil {
		return 0, err
	}
	short, long := memoryTime(p.MiB)
	x.Progress(playbook.Progress{Done: bytes >> 20, Total: p.MiB, Unit: "MiB", ShortestSeconds: int64(short / time.Second), LongestSeconds: int64(long / time.Second)})
	return len(parts), nil
}

// tool names the acquisition tool for the evidence.
func (p memoryParams) tool() string {
	return fmt.Sprintf("%s sha256:%s, document %s version %s sha256:%s", path.Base(p.Tool), p.ToolSHA256, p.Document, p.Version, p.Hash)
}
