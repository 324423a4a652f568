package ec2

import (
	"time"

	"github.com/guardroom/guardroom/respond/kit"
)

// The stages of a containment, in its order. An id of a step is the stage, or the
// stage and what it is about: isolate/eni-0c1.
const (
	StagePreflight   = kit.StagePreflight
	StageRecord      = "record"
	StageMark        = "mark"
	StageProtect     = "protect"
	StageService     = "service"
	StageDoors       = "doors"
	StageGroups      = "groups"
	StageOpen        = "open"
	StageIsolate     = "isolate"
	StageClose       = "close"
	StageShut        = "shut" // what stayed open for memory
	StageACL         = "acl"
	StageIdle        = "idle"
	StageCredentials = "credentials"
	StageVerify      = "verify"
)

// The ids of the steps that every containment has.
const (
	StepPreflight = kit.StepPreflight
	StepRecord    = "record"
	StepMark      = "mark"
	StepStatus    = "mark/status"
	StepGroup     = "service/group"
	StepLeft      = "service/left"
	StepRevoke    = "credentials/revoke"
	StepProfile   = "credentials/profile"
	StepMetadata  = "credentials/metadata"
	StepSessions  = "credentials/sessions"
	StepVerify    = "verify"
)

// The names of actions.
const (
	actPreflight   = "ec2.preflight"
	actRecord      = "ec2.record"
	actMark        = "ec2.mark"
	actStatus      = "ec2.mark-status"
	actAttribute   = "ec2.protect-instance"
	actVolume      = "ec2.keep-volume"
	actKeep        = "ec2.keep-interface"
	actLeave       = "ec2.leave-scaling-group"
	actLeft        = "ec2.left-scaling-group"
	actTargets     = "ec2.deregister-targets"
	actBalancer    = "ec2.deregister-instance"
	actGroupTgts   = "ec2.deregister-group-targets"
	actGroupLB     = "ec2.deregister-group-instance"
	actAddress     = "ec2.disassociate-address"
	actGroup       = "ec2.contain-group"
	actOpen        = "ec2.open-group"
	actIsolate     = "ec2.isolate-interface"
	actClose       = "ec2.close-group"
	actThrough     = "ec2.endpoint-group"
	actShut        = "ec2.shut-interface"
	actEmpty       = "ec2.empty-endpoint-group"
	actACL         = "ec2.network-acl"
	actIdle        = "ec2.idle-timeouts"
	actRevoke      = "ec2.revoke-sessions"
	actProfile     = "ec2.disassociate-profile"
	actMetadata    = "ec2.disable-metadata"
	actSessions    = "ec2.end-sessions"
	actVerify      = "ec2.verify"
	actUnmark      = "ec2.unmark"
	actUnprotect   = "ec2.restore-instance"
	actUnvolume    = "ec2.restore-volume"
	actUnkeep      = "ec2.restore-interface"
	actReturn      = "ec2.return-to-scaling-group"
	actRegister    = "ec2.register-targets"
	actRebalance   = "ec2.register-instance"
	actReassociate = "ec2.associate-address"
	actRelease     = "ec2.release-interface"
	actUnACL       = "ec2.restore-network-acl"
	actUnidle      = "ec2.restore-idle-timeouts"
	actUnrevoke    = "ec2.restore-role-policy"
	actReprofile   = "ec2.associate-profile"
	actUnmetadata  = "ec2.enable-metadata"
)

// The order of an undo: the lower, the earlier.
const (
	rankMetadata = iota + 10
	rankProfile
	rankRevoke
	rankIsolate
	rankACL
	rankDoors
	rankBalancers
	rankScaling
	rankMissing // what the group did not put back
	rankProtect
	rankMark
)

// The kinds of closings.
const (
	closeInterface = "ec2.close-interface"
	closeGroup     = "ec2.delete-group"
	closeSuspended = "ec2.resume-replacement"
	closeMaximum   = "ec2.lower-maximum"
)

// The security groups.
const (
	containName = "guardroom-contain"
	throughName = "guardroom-contain-ssm"
	convertName = "guardroom-convert"
)

// SavedWorld is under what StepRecord saves the *World before anything was changed,
// for who shows a run. StepVerify saves respond.SavedVerdicts.
const SavedWorld = "world"

// What steps save for those after them, beside before and after.
const (
	savedGroup       = "group"       // the id of a security group
	savedOwed        = "owed/"       // and what: how often it was opened
	savedOurs        = "ours"        // groups in which an interface is as the run left it
	savedLaunched    = "launched"    // groups that the instance itself had
	savedLingered    = "lingered"    // groups of the instance showed besides
	savedUnseen      = "unseen"      // how often AWS took the change and did not show it
	savedAsked       = "asked"       // the change was asked for
	savedThrough     = "through"     // the interface was put into the group that leads to endpoints
	savedWidened     = "widened"     // the interface was in the convert group for the window
	savedSuspended   = "suspended"   // ReplaceUnhealthy was suspended by us
	savedReplacement = "replacement" // of an undo: the member that is ended
	savedMade        = "made"        // this step makes the group
	savedRevoked     = "revoked"     // rules of the group were seen and taken away
	savedStart       = "start"       // an undo's look at the world before it changes anything
)

const (
	// lastRule is the number of the entry that ends every network ACL.
	lastRule = 32767
	// band is the highest number of our own entries in a network ACL.
	band = 49
	// aclQuota is how many entries a network ACL takes in a direction, unless the
	// account's quota was raised, which only a refusal of AWS tells.
	// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
	aclQuota = 20
	// leaveWait is how long isolation waits for the Auto Scaling group.
	leaveWait = 20 * time.Second
	// seenWait is how long a change may take to be seen.
	seenWait = 30 * time.Second
)
