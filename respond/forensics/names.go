package forensics

import (
	"strings"

	"github.com/guardroom/guardroom/respond"
)

// The ids of steps, by stage. Those about one volume are the stage and its id.
const (
	StepScreenshot  = "volatile/screenshot"
	StepConsole     = "volatile/console"
	StepMetadata    = "volatile/metadata"
	StepUserData    = "volatile/user-data"
	StepTrail       = "trail"
	StepMemory      = "memory"
	StepSnapshots   = "snapshot/set"
	StepOlder       = "older/lock"
	StepWorkstation = "workstation"
	StepReady       = "workstation/ready"
	StepReport      = "report"

	stageSnapshot = "snapshot"
	stageOlder    = "older"
	stageLock     = "lock"
	stageRekey    = "rekey"
	stageShare    = "share"
	stageCopy     = "copy"
	stageLockCopy = "lock-copy"
	stageWithdraw = "withdraw"
	stageHash     = "hash"
	stageOriginal = "hash-original"
	stageCompare  = "compare"
	stageVolume   = "volume"
	stageAttach   = "attach"
)

// The names of actions.
const (
	actPreflight   = "preflight.forensics"
	actScreenshot  = "forensics.screenshot"
	actConsole     = "forensics.console"
	actMetadata    = "forensics.metadata"
	actUserData    = "forensics.user-data"
	actTrail       = "forensics.trail"
	actMemory      = "forensics.memory"
	actSnapshots   = "forensics.snapshots"
	actSnapshot    = "forensics.snapshot-wait"
	actLock        = "forensics.lock"
	actOlder       = "forensics.lock-older"
	actRekey       = "forensics.rekey"
	actShare       = "forensics.share"
	actCopy        = "forensics.copy"
	actWithdraw    = "forensics.withdraw"
	actHash        = "forensics.hash"
	actOriginal    = "forensics.hash-original"
	actCompare     = "forensics.compare"
	actWorkstation = "forensics.workstation"
	actReady       = "forensics.workstation-ready"
	actVolume      = "forensics.volume"
	actAttach      = "forensics.attach"
	actReport      = "forensics.report"
	actDetach      = "forensics.detach"
	actDelete      = "forensics.delete-volume"
	actTerminate   = "forensics.terminate-workstation"
)

// What steps save for those after them.
const (
	savedSnapshots = "snapshots"   // of the set: map of volume id to made
	savedFailed    = "failed"      // of the set: map of volume id to why
	savedSnapshot  = "snapshot"    // the id of the snapshot that a step waited for
	savedMachine   = "workstation" // machine
	savedVolume    = "volume"      // the id of the evidence volume
	savedAsked     = "asked"       // that a volume was asked for
	savedTry       = "try"         // of the workstation: the type and subnet that is tried
	savedDevice    = "device"      // where it was attached
	savedLocked    = "locked"      // locked
	savedImage     = "image"       // the SHA-256 of the image of the snapshot that a step hashed
	savedReport    = "report"
	savedData      = "data"    // what the evidence bucket did not take
	savedRefused   = "refused" // why it did not
)

// of is the id of a step about one volume.
func of(stage, volume string) string { return stage + "/" + volume }

// local is the id of the step that runs without the prefix that it has in a plan
// over several resources, and own the id in the whole plan of one beside it.
func local(x *respond.Exec) string { return localID(x.Def) }

func localID(s respond.Step) string {
	if s.Part == "" {
		return s.ID
	}
	return strings.TrimPrefix(s.ID, s.Part+"/")
}

func own(x *respond.Exec, id string) string {
	if x.Def.Part == "" {
		return id
	}
	return x.Def.Part + "/" + id
}

// stageOf is the part of a step's id before the slash.
func stageOf(id string) string {
	stage, _, _ := strings.Cut(id, "/")
	return stage
}
