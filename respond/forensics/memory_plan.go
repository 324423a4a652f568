package forensics

import (
	"fmt"
	"time"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// memory drafts the taking of memory, or says why it cannot be taken.
func (b *drafting) memory() {
	what := "memory of " + b.w.Instance
	f, arch := b.r.Policy.Forensics, b.w.Architecture
	tool, sum := f.MemoryTool[arch], f.MemoryToolSHA256[arch]
	switch {
	case f.Memory == "never":
		b.gap(what, "the policy says never (forensics.memory)")
	case b.w.State != "running":
		b.gap(what, "it is "+b.w.State)
	case b.w.Platform != "":
		b.gap(what, "there is no way yet to take that of "+clean(b.w.Platform))
	case !b.w.Agent.Online:
		b.gap(what, b.w.Agent.Why)
	case b.r.Policy.Evidence.Bucket == "":
		b.gap(what, "no evidence bucket is configured for it (evidence.bucket)")
	case f.MemoryDocument == "" || f.MemoryDocVersion == "" || f.MemoryDocHash == "":
		b.gap(what, "no SSM document is configured for it, with its version and hash (forensics.memory_document)")
	case tool == "" || len(sum) != 64:
		b.gap(what, "no tool is configured for "+clean(arch)+", with its SHA-256 (forensics.memory_tool)")
	case b.w.MemoryMiB <= 0:
		b.gap(what, "its size is not known")
	case b.h.NoMemory != "":
		b.gap(what, b.h.NoMemory)
	default:
		b.addMemory(tool, sum)
	}
}

func (b *drafting) addMemory(tool, sum string) {
	f := b.r.Policy.Forensics
	image := b.w.MemoryMiB << 20 * 11 / 10 // with headers, and ranges that the kernel counts apart
	part := max(int64(partLeast), (image+partsMost-1)/partsMost)
	p := memoryParams{Instance: b.w.Instance, MiB: b.w.MemoryMiB, Document: f.MemoryDocument, Version: f.MemoryDocVersion, Hash: f.MemoryDocHash, Tool: tool, ToolSHA256: sum,
		PartBytes: part, Parts: int((image + part - 1) / part)}
	_, long := memoryTime(b.w.MemoryMiB)
	limit := 2*long + 10*time.Minute
	if b.h.MemoryLimit > 0 {
		limit = min(limit, b.h.MemoryLimit)
	}
	if b.h.MemoryLimit > 0 && len(b.h.AfterMemory) == 0 { // isolation waits for it
		p.FirstSeconds = int64(firstPart / time.Second)
	}
	b.add(respond.Step{ID: StepMemory, Action: actMemory, Role: awscalls.Act, Effect: respond.Creates, After: append(append([]string(nil), b.h.AfterAll...), b.h.AfterMemory...), TimeoutSeconds: int64(limit / time.Second),
		Title: fmt.Sprintf("%s: read %d MiB of memory by SSM document %s version %s; a tool runs on the host from memory and writes to no disk", b.w.Instance, b.w.MemoryMiB, f.MemoryDocument, f.MemoryDocVersion)}, p)
}

// memoryTime is how long memory takes at 300 and at 100 MB/s.
func memoryTime(mib int64) (shortest, longest time.Duration) {
	return 10*time.Second + time.Duration(mib)*time.Second/300, time.Minute + time.Duration(mib)*time.Second/100
}
