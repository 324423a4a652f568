package ec2

import (
	"slices"
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// describeCalls are those of Describe.
func describeCalls() []string {
	return []string{
		"EC2.DescribeInstances", "EC2.DescribeNetworkInterfaces", "EC2.DescribeInstanceAttribute", "EC2.DescribeVolumes", "EC2.DescribeAddresses",
		"EC2.DescribeIamInstanceProfileAssociations", "EC2.DescribeSubnets", "EC2.DescribeNetworkAcls", "EC2.DescribeRouteTables", "EC2.DescribeNatGateways", "EC2.DescribeVpcEndpoints", "EC2.DescribeFlowLogs",
		"EC2.DescribeSecurityGroups", "IAM.GetInstanceProfile", "IAM.ListInstanceProfilesForRole",
		"AutoScaling.DescribeAutoScalingInstances", "AutoScaling.DescribeAutoScalingGroups",
		"ELBv2.DescribeTargetGroups", "ELBv2.DescribeTargetHealth", "ELB.DescribeLoadBalancers",
		"SSM.DescribeInstanceInformation", "SSM.DescribeSessions", "KMS.DescribeKey",
	}
}

// calls puts the calls of an action together.
func calls(read []string, act ...string) map[awscalls.Role][]string {
	out := map[awscalls.Role][]string{}
	if len(read) > 0 {
		out[awscalls.Read] = read
	}
	if len(act) > 0 {
		out[awscalls.Act] = act
	}
	return out
}

func reads(list ...string) []string { return list }

// callsOf are the changing calls of an action, for people.
func callsOf(action string) []string {
	for _, a := range Actions() {
		if a.Name == action {
			return slices.Clone(a.Calls[awscalls.Act])
		}
	}
	return nil
}

// Actions are all that plans of this package name, and the steps that undo them.
// They are stateless and safe for concurrent use.
func Actions() []respond.Action {
	const short, usual = 2 * time.Minute, 10 * time.Minute
	quick := playbook.Options{Timeout: short}
	normal := playbook.Options{Timeout: usual}
	vital := playbook.Options{Timeout: 30 * time.Minute} // what isolation cannot do without outlasts an outage
	unprotect := respond.Action{Name: actUnprotect, Options: normal, Do: unlessEnded(inside, restoreAttribute), Calls: calls(reads("EC2.DescribeInstanceAttribute", "EC2.DescribeInstances"), "EC2.ModifyInstanceAttribute")}
	unvolume := respond.Action{Name: actUnvolume, Options: normal, Do: unlessEnded(inside, restoreVolume), Calls: calls(reads("EC2.DescribeInstances"), "EC2.ModifyInstanceAttribute")}
	unkeep := respond.Action{Name: actUnkeep, Options: normal, Do: restoreInterface, Calls: calls(reads("EC2.DescribeNetworkInterfaces"), "EC2.ModifyNetworkInterfaceAttribute")}
	unidle := respond.Action{Name: actUnidle, Options: normal, Do: restoreIdle, Calls: calls(reads("EC2.DescribeNetworkInterfaces"), "EC2.ModifyNetworkInterfaceAttribute")}
	unrevoke := respond.Action{Name: actUnrevoke, Options: normal, Do: restoreRolePolicy, Calls: calls(reads("IAM.GetRolePolicy"), "IAM.PutRolePolicy", "IAM.DeleteRolePolicy")}
	recording := calls(describeCalls())
	recording[awscalls.Forensics] = kit.KeepCalls()
	released := []string{actIsolate, actACL}
	back := []respond.Action{
		unprotect, unvolume, unkeep, unidle, unrevoke,
		{Name: actUnmark, Options: normal, Do: unmark, Calls: calls(reads("EC2.DescribeInstances", "EC2.DescribeNetworkInterfaces", "EC2.DescribeVolumes"), "EC2.CreateTags", "EC2.DeleteTags")},
		{Name: actReturn, Options: playbook.Options{Timeout: time.Hour}, Do: comeBack, Calls: calls(reads("AutoScaling.DescribeAutoScalingGroups", "EC2.DescribeInstances", "ELBv2.DescribeTargetHealth", "ELB.DescribeLoadBalancers"),
			"AutoScaling.AttachInstances", "AutoScaling.ExitStandby", "AutoScaling.SetInstanceProtection", "AutoScaling.UpdateAutoScalingGroup", "AutoScaling.TerminateInstanceInAutoScalingGroup", "AutoScaling.ResumeProcesses",
			"ELBv2.DeregisterTargets", "ELB.DeregisterInstancesFromLoadBalancer")},
		{Name: actRegister, Options: normal, Do: unlessEnded(instanceOf, register), Calls: calls(reads("ELBv2.DescribeTargetHealth", "EC2.DescribeInstances"), "ELBv2.RegisterTargets")},
		{Name: actRebalance, Options: normal, Do: unlessEnded(instanceOf, intoBalancer), Calls: calls(reads("ELB.DescribeLoadBalancers", "EC2.DescribeInstances"), "ELB.RegisterInstancesWithLoadBalancer")},
		{Name: actReassociate, Options: normal, Do: associate, Calls: calls(reads("EC2.DescribeAddresses", "EC2.DescribeNetworkInterfaces"), "EC2.AssociateAddress")},
		{Name: actRelease, Options: normal, Do: release, Calls: calls(reads("EC2.DescribeNetworkInterfaces"), "EC2.ModifyNetworkInterfaceAttribute", "EC2.ModifyInstanceAttribute")},
		{Name: actUnACL, Options: normal, Do: restoreACL, Calls: calls(reads("EC2.DescribeNetworkAcls"), "EC2.ReplaceNetworkAclAssociation", "EC2.DeleteNetworkAcl", "EC2.DeleteNetworkAclEntry")},
		{Name: actReprofile, Options: normal, Do: unlessEnded(instanceOf, associateProfile), Calls: calls(reads("EC2.DescribeIamInstanceProfileAssociations", "EC2.DescribeInstances"), "EC2.AssociateIamInstanceProfile")},
		{Name: actUnmetadata, Options: normal, Do: unlessEnded(instanceOf, enableMetadata), Calls: calls(reads("EC2.DescribeInstances"), "EC2.ModifyInstanceMetadataOptions")},
	}
	return append(back,
		preflight().Action(),
		respond.Action{Name: actRecord, Options: normal, Do: record, Calls: recording},
		respond.Action{Name: actMark, Options: quick, Do: mark, Undo: undoMark, UndoRank: rankMark, UndoNeeds: released,
			Calls: calls(reads("EC2.DescribeInstances", "EC2.DescribeNetworkInterfaces", "EC2.DescribeVolumes"), "EC2.CreateTags")},
		respond.Action{Name: actStatus, Options: playbook.Options{Timeout: short, Finishes: true}, Do: markStatus,
			Calls: calls(reads("EC2.DescribeInstances", "EC2.DescribeNetworkInterfaces", "EC2.DescribeVolumes"), "EC2.CreateTags")},
		respond.Action{Name: actAttribute, Options: quick, Do: protectInstance, Undo: undoSetting(unprotect, "as before"), UndoRank: rankProtect, UndoNeeds: released, Calls: unprotect.Calls},
		respond.Action{Name: actVolume, Options: quick, Do: keepVolume, Undo: undoSetting(unvolume, "as before"), UndoRank: rankProtect, UndoNeeds: released, Calls: unvolume.Calls},
		respond.Action{Name: actKeep, Options: quick, Do: keepInterface, Undo: undoSetting(unkeep, "as before"), UndoRank: rankProtect, UndoNeeds: released, Calls: unkeep.Calls},
		respond.Action{Name: actLeave, Options: quick, Do: leave, Undo: undoLeave, UndoRank: rankScaling, UndoNeeds: released,
			Calls: calls(reads("AutoScaling.DescribeAutoScalingGroups"), "AutoScaling.DetachInstances", "AutoScaling.EnterStandby", "AutoScaling.SuspendProcesses")},
		respond.Action{Name: actLeft, Options: playbook.Options{Timeout: time.Hour, Finishes: true}, Do: left, Calls: calls(reads("AutoScaling.DescribeAutoScalingGroups"), "AutoScaling.ResumeProcesses")},
		respond.Action{Name: actTargets, Options: quick, Do: deregister, Undo: undoDeregister, UndoRank: rankBalancers, UndoNeeds: released,
			Calls: calls(reads("ELBv2.DescribeTargetHealth"), "ELBv2.DeregisterTargets")},
		respond.Action{Name: actGroupTgts, Options: quick, Do: deregister, Undo: undoDeregister, UndoRank: rankMissing, UndoNeeds: released,
			Calls: calls(reads("ELBv2.DescribeTargetHealth"), "ELBv2.DeregisterTargets")},
		respond.Action{Name: actGroupLB, Options: quick, Do: outOfBalancer, Undo: undoBalancer, UndoRank: rankMissing, UndoNeeds: released,
			Calls: calls(reads("ELB.DescribeLoadBalancers"), "ELB.DeregisterInstancesFromLoadBalancer")},
		respond.Action{Name: actBalancer, Options: quick, Do: outOfBalancer, Undo: undoBalancer, UndoRank: rankBalancers, UndoNeeds: released,
			Calls: calls(reads("ELB.DescribeLoadBalancers"), "ELB.DeregisterInstancesFromLoadBalancer")},
		respond.Action{Name: actAddress, Options: quick, Do: disassociate, Undo: undoDisassociate, UndoRank: rankDoors, Calls: calls(reads("EC2.DescribeAddresses"), "EC2.DisassociateAddress")},
		respond.Action{Name: actGroup, Options: vital, Do: containGroup,
			Calls: calls(reads("EC2.DescribeSecurityGroups", "EC2.DescribeSecurityGroupRules"), "EC2.CreateSecurityGroup", "EC2.RevokeSecurityGroupEgress", "EC2.RevokeSecurityGroupIngress")},
		respond.Action{Name: actThrough, Options: normal, Do: throughGroup,
			Calls: calls(reads("EC2.DescribeSecurityGroups", "EC2.DescribeSecurityGroupRules"), "EC2.CreateSecurityGroup", "EC2.RevokeSecurityGroupEgress", "EC2.RevokeSecurityGroupIngress", "EC2.AuthorizeSecurityGroupEgress")},
		respond.Action{Name: actShut, Options: playbook.Options{Timeout: 30 * time.Minute, Finishes: true}, Do: shutInterface,
			Calls: calls(reads("EC2.DescribeNetworkInterfaces", "EC2.DescribeInstances"), "EC2.ModifyNetworkInterfaceAttribute", "EC2.ModifyInstanceAttribute")},
		respond.Action{Name: actEmpty, Options: playbook.Options{Timeout: usual, Finishes: true}, Do: emptyThrough,
			Calls: calls(reads("EC2.DescribeSecurityGroups", "EC2.DescribeSecurityGroupRules", "EC2.DescribeNetworkInterfaces"), "EC2.RevokeSecurityGroupEgress", "EC2.RevokeSecurityGroupIngress")},
		respond.Action{Name: actOpen, Options: normal, Do: openGroup,
			Calls: calls(reads("EC2.DescribeSecurityGroups"), "EC2.CreateSecurityGroup", "EC2.AuthorizeSecurityGroupIngress", "EC2.AuthorizeSecurityGroupEgress")},
		respond.Action{Name: actIsolate, Options: vital, Do: isolate, Undo: undoIsolate, UndoRank: rankIsolate,
			Calls: calls(reads("EC2.DescribeNetworkInterfaces", "EC2.DescribeSecurityGroupRules", "EC2.DescribeInstances"), "EC2.ModifyNetworkInterfaceAttribute", "EC2.ModifyInstanceAttribute")},
		respond.Action{Name: actClose, Options: playbook.Options{Timeout: time.Hour, Finishes: true}, Do: closeOpenGroup,
			Calls: calls(reads("EC2.DescribeSecurityGroups", "EC2.DescribeNetworkInterfaces"), "EC2.DeleteSecurityGroup")},
		respond.Action{Name: actACL, Options: normal, Do: networkACL, Undo: undoACL, UndoRank: rankACL,
			Calls: calls(reads("EC2.DescribeNetworkAcls", "EC2.DescribeNetworkInterfaces"), "EC2.CreateNetworkAcl", "EC2.ReplaceNetworkAclAssociation", "EC2.CreateNetworkAclEntry")},
		respond.Action{Name: actIdle, Options: quick, Do: shortenIdle, Undo: undoSetting(unidle, "they live as long as before"), UndoRank: rankIsolate, Calls: unidle.Calls},
		respond.Action{Name: actRevoke, Options: normal, Do: revokeSessions, Undo: undoSetting(unrevoke, "its sessions of this instance are not denied any more"), UndoRank: rankRevoke, Calls: calls(reads("IAM.GetRolePolicy"), "IAM.PutRolePolicy")},
		respond.Action{Name: actProfile, Options: normal, Do: disassociateProfile, Undo: undoProfile, UndoRank: rankProfile,
			Calls: calls(reads("EC2.DescribeIamInstanceProfileAssociations"), "EC2.DisassociateIamInstanceProfile")},
		respond.Action{Name: actMetadata, Options: normal, Do: disableMetadata, Undo: undoMetadata, UndoRank: rankMetadata, Calls: calls(reads("EC2.DescribeInstances"), "EC2.ModifyInstanceMetadataOptions")},
		respond.Action{Name: actSessions, Options: normal, Do: endSessions, Calls: calls(reads("SSM.DescribeSessions"), "SSM.TerminateSession")},
		respond.Action{Name: actVerify, Options: playbook.Options{Timeout: usual, Finishes: true}, Do: verify, Check: again, Prove: prove,
			Calls: calls(append(describeCalls(), "IAM.GetRolePolicy", "Logs.FilterLogEvents", "S3.ListObjectsV2", "S3.GetObject"))},
	)
}

// undoSetting is the undo of a setting. title is for one whose own title does not
// say what was before.
func undoSetting(undo respond.Action, title string) func(respond.Step, playbook.Record) ([]respond.Step, error) {
	return func(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
		list, err := kit.UndoSetting(undo, title)(s, rec)
		for i := range list {
			list[i].Part = s.Part
		}
		return list, err
	}
}

// Closings close what a run of this package may owe.
func Closings() []respond.Closing {
	return []respond.Closing{
		{Kind: closeInterface, Close: closeOpened, Calls: calls(reads("EC2.DescribeNetworkInterfaces"), "EC2.ModifyNetworkInterfaceAttribute")},
		{Kind: closeGroup, Close: closeOwedGroup, Calls: calls(reads("EC2.DescribeSecurityGroups", "EC2.DescribeNetworkInterfaces"), "EC2.DeleteSecurityGroup")},
		{Kind: closeSuspended, Close: closeResume, Calls: calls(reads("AutoScaling.DescribeAutoScalingGroups"), "AutoScaling.ResumeProcesses")},
		{Kind: closeMaximum, Close: closeMax, Calls: calls(reads("AutoScaling.DescribeAutoScalingGroups"), "AutoScaling.UpdateAutoScalingGroup")},
	}
}
