package forensics

import (
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// Actions are all that steps of acquisition, and of its undo, may do.
func Actions() []respond.Action {
	type calls = map[awscalls.Role][]string
	const hour = time.Hour
	objects := []string{"S3.PutObject", "S3.GetObject"}
	return []respond.Action{
		preflight().Action(),
		{Name: actScreenshot, Do: screenshot, Options: playbook.Options{Timeout: 10 * time.Minute}, Calls: calls{awscalls.Read: {"EC2.GetConsoleScreenshot"}, awscalls.Forensics: objects}},
		{Name: actConsole, Do: console, Options: playbook.Options{Timeout: 10 * time.Minute}, Calls: calls{awscalls.Read: {"EC2.GetConsoleOutput"}, awscalls.Forensics: objects}},
		{Name: actMetadata, Do: metadata, Options: playbook.Options{Timeout: 10 * time.Minute}, Calls: calls{awscalls.Read: {"EC2.DescribeInstances", "EC2.DescribeVolumes", "EC2.DescribeNetworkInterfaces", "EC2.DescribeSnapshots"}, awscalls.Forensics: objects}},
		{Name: actUserData, Do: userData, Options: playbook.Options{Timeout: 10 * time.Minute}, Calls: calls{awscalls.Read: {"EC2.DescribeInstanceAttribute"}, awscalls.Forensics: objects}},
		{Name: actTrail, Do: keepTrail, Options: playbook.Options{Timeout: hour}, Calls: calls{awscalls.Read: {kit.TrailCall}, awscalls.Forensics: objects}},
		{Name: actMemory, Do: memory, Options: playbook.Options{Timeout: 6 * hour}, Calls: calls{
			awscalls.Read:      {"SSM.DescribeInstanceInformation", "SSM.ListCommands", "SSM.GetCommandInvocation"},
			awscalls.Act:       {"SSM.SendCommand", "SSM.CancelCommand"},
			awscalls.Forensics: {"S3.PutObject", "S3.GetObject", "S3.HeadObject", "S3.CreateMultipartUpload", "S3.ListParts", "S3.CompleteMultipartUpload", "S3.AbortMultipartUpload"}}},
		{Name: actSnapshots, Do: takeSet, Options: playbook.Options{Timeout: 2 * hour}, Calls: calls{
			awscalls.Read: {"EC2.DescribeVolumes", "EC2.DescribeSnapshots"}, awscalls.Act: {"EC2.CreateSnapshots", "EC2.CreateSnapshot"}}},
		{Name: actSnapshot, Do: awaitSnapshot, Options: playbook.Options{Timeout: 48 * hour}, Calls: calls{awscalls.Read: {"EC2.DescribeSnapshots", "EC2.DescribeLockedSnapshots"}}},
		{Name: actLock, Do: lockSnapshot, Options: playbook.Options{Timeout: hour}, Calls: calls{
			awscalls.Read: {"EC2.DescribeLockedSnapshots"}, awscalls.Act: {"EC2.LockSnapshot"}, awscalls.Forensics: {"EC2.LockSnapshot", "EC2.DescribeLockedSnapshots"}}},
		{Name: actOlder, Do: lockOlder, Options: playbook.Options{Timeout: hour}, Calls: calls{
			awscalls.Read: {"EC2.DescribeLockedSnapshots"}, awscalls.Act: {"EC2.CreateTags", "EC2.LockSnapshot"}}},
		{Name: actRekey, Do: rekey, Options: playbook.Options{Timeout: 48 * hour}, Calls: calls{awscalls.Read: {"EC2.DescribeSnapshots"}, awscalls.Act: {"EC2.CopySnapshot"}}},
		{Name: actShare, Do: share, Options: playbook.Options{Timeout: hour}, Calls: calls{
			awscalls.Read: {"EC2.DescribeSnapshots", "EC2.DescribeSnapshotAttribute"}, awscalls.Act: {"EC2.ModifySnapshotAttribute", "KMS.CreateGrant", "STS.GetCallerIdentity"}}},
		{Name: actCopy, Do: pull, Options: playbook.Options{Timeout: 48 * hour}, Calls: calls{awscalls.Forensics: {"EC2.CopySnapshot", "EC2.DescribeSnapshots"}}},
		{Name: actWithdraw, Do: withdraw, Options: playbook.Options{Timeout: 24 * hour, Finishes: true}, Calls: calls{awscalls.Act: {"EC2.ModifySnapshotAttribute", "KMS.CreateGrant", "KMS.RetireGrant"}}},
		{Name: actHash, Do: hashBlocks, Options: playbook.Options{Timeout: 48 * hour}, Calls: calls{
			awscalls.Forensics: {"EBS.ListSnapshotBlocks", "EBS.GetSnapshotBlock", "S3.PutObject", "S3.GetObject"}}},
		{Name: actOriginal, Do: hashBlocks, Options: playbook.Options{Timeout: 48 * hour}, Calls: calls{
			awscalls.Act: {"EBS.ListSnapshotBlocks", "EBS.GetSnapshotBlock"}, awscalls.Forensics: objects}},
		{Name: actCompare, Do: compare, Options: playbook.Options{Timeout: hour}, Calls: calls{awscalls.Forensics: {"S3.GetObject"}}},
		{Name: actWorkstation, Do: launch, Undo: undoLaunch, UndoRank: rankTerminate, Options: playbook.Options{Timeout: hour}, Calls: calls{
			awscalls.Forensics: {"SSM.GetParameter", "EC2.DescribeImages", "EC2.DescribeInstances", "EC2.RunInstances"}}},
		{Name: actReady, Do: ready, Options: playbook.Options{Timeout: hour}, Calls: calls{awscalls.Forensics: {"EC2.DescribeInstances", "EC2.DescribeInstanceStatus"}}},
		{Name: actVolume, Do: makeVolume, Undo: undoVolume, UndoRank: rankDelete, Options: playbook.Options{Timeout: 2 * hour}, Calls: calls{
			awscalls.Forensics: {"EC2.CreateVolume", "EC2.DescribeVolumes"}}},
		{Name: actAttach, Do: attach, Undo: undoAttach, UndoRank: rankDetach, Options: playbook.Options{Timeout: hour}, Calls: calls{
			awscalls.Forensics: {"EC2.DescribeVolumes", "EC2.DescribeInstances", "EC2.AttachVolume", "EC2.ModifyInstanceAttribute"}}},
		{Name: actReport, Do: report, Options: playbook.Options{Timeout: 10 * time.Minute, Finishes: true}},
		{Name: actDetach, Do: undoDetach, Options: playbook.Options{Timeout: hour}, Calls: calls{awscalls.Forensics: {"EC2.DescribeVolumes", "EC2.DescribeInstances", "EC2.DetachVolume"}}},
		{Name: actDelete, Do: undoDelete, Options: playbook.Options{Timeout: hour}, Calls: calls{awscalls.Forensics: {"EC2.DescribeVolumes", "EC2.DescribeInstances", "EC2.DetachVolume", "EC2.DeleteVolume"}}},
		{Name: actTerminate, Do: undoTerminate, Options: playbook.Options{Timeout: hour}, Calls: calls{awscalls.Forensics: {"EC2.DescribeInstances", "EC2.ModifyInstanceAttribute", "EC2.TerminateInstances"}}},
	}
}
