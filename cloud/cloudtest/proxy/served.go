package proxy

// services says which operations are more than sent on. What is not here passes
// as it is.
func services() map[string]service {
	return map[string]service{
		"STS.AssumeRole": {after: (*Proxy).learnKey},

		"EC2.CreateSnapshot":            {guard: (*Proxy).guardCreateSnapshot, after: (*Proxy).bornSnapshot},
		"EC2.CreateSnapshots":           {after: (*Proxy).bornSnapshots},
		"EC2.CopySnapshot":              {guard: (*Proxy).guardCopy, after: (*Proxy).bornCopy},
		"EC2.DescribeSnapshots":         {guard: (*Proxy).guardDescribeSnapshots, after: (*Proxy).showSnapshots},
		"EC2.DescribeSnapshotAttribute": {guard: (*Proxy).guardOwnSnapshot},
		"EC2.ModifySnapshotAttribute":   {guard: (*Proxy).guardShare, after: (*Proxy).learnShare},
		"EC2.DeleteSnapshot":            {guard: (*Proxy).guardDeleteSnapshot},
		"EC2.LockSnapshot":              {fake: (*Proxy).lockSnapshot},
		"EC2.UnlockSnapshot":            {fake: (*Proxy).unlockSnapshot},
		"EC2.DescribeLockedSnapshots":   {fake: (*Proxy).describeLocked},

		"EC2.CreateVolume":         {guard: (*Proxy).guardCreateVolume, after: (*Proxy).bornVolume},
		"EC2.DescribeVolumes":      {guard: (*Proxy).takeStatus, after: (*Proxy).showVolumes},
		"EC2.AttachVolume":         {guard: (*Proxy).guardAttach, after: (*Proxy).bornAttachment},
		"EC2.DetachVolume":         {guard: (*Proxy).guardDetach, after: (*Proxy).learnDetached},
		"EC2.DescribeVolumeStatus": {fake: (*Proxy).volumeStatus},

		"EC2.RunInstances":                  {after: (*Proxy).bornInstances},
		"EC2.DescribeInstances":             {guard: (*Proxy).takeProfile, after: (*Proxy).showInstances},
		"EC2.TerminateInstances":            {after: (*Proxy).learnTerminated},
		"EC2.DescribeInstanceStatus":        {after: (*Proxy).showStatus},
		"EC2.ModifyInstanceMetadataOptions": {guard: (*Proxy).completeMetadata, after: (*Proxy).bornMetadata, deaf: true},
		"EC2.ModifyInstanceAttribute":       {guard: (*Proxy).guardAttributes},
		"EC2.GetConsoleScreenshot":          {fake: (*Proxy).screenshot},

		"EC2.ModifyNetworkInterfaceAttribute": {guard: (*Proxy).guardInterface},
		"EC2.DescribeNetworkInterfaces":       {after: (*Proxy).showInterfaces},
		"EC2.DeleteSecurityGroup":             {guard: (*Proxy).guardDeleteGroup},
		"EC2.ReplaceNetworkAclAssociation":    {guard: (*Proxy).guardAssociation, deaf: true},
		"EC2.DeleteNetworkAclEntry":           {guard: (*Proxy).guardEntry, deaf: true},
		"EC2.CreateNetworkAcl":                {deaf: true},
		"EC2.CreateNetworkAclEntry":           {deaf: true},
		"EC2.DeleteNetworkAcl":                {deaf: true},
		"EC2.DescribeAddresses":               {guard: (*Proxy).takeInstance, after: (*Proxy).showAddresses},

		"AutoScaling.DetachInstances":                     {guard: (*Proxy).guardMembers, after: (*Proxy).learnLeft},
		"AutoScaling.EnterStandby":                        {guard: (*Proxy).guardMembers, after: (*Proxy).learnLeft},
		"AutoScaling.ExitStandby":                         {guard: (*Proxy).guardMembers, after: (*Proxy).learnJoined},
		"AutoScaling.SetInstanceProtection":               {guard: (*Proxy).guardMembers},
		"AutoScaling.AttachInstances":                     {guard: (*Proxy).guardJoin},
		"AutoScaling.SuspendProcesses":                    {guard: (*Proxy).guardAutoScalingGroup},
		"AutoScaling.ResumeProcesses":                     {guard: (*Proxy).guardAutoScalingGroup},
		"AutoScaling.UpdateAutoScalingGroup":              {guard: (*Proxy).guardAutoScalingGroup},
		"AutoScaling.TerminateInstanceInAutoScalingGroup": {guard: (*Proxy).guardMember, after: (*Proxy).learnEnded},

		"ELB.DeregisterInstancesFromLoadBalancer": {guard: (*Proxy).guardLoadBalancer},
		"ELB.RegisterInstancesWithLoadBalancer":   {guard: (*Proxy).guardLoadBalancer},

		"EBS.ListSnapshotBlocks": {fake: (*Proxy).listBlocks},
		"EBS.GetSnapshotBlock":   {fake: (*Proxy).getBlock},

		"KMS.DescribeKey": {after: (*Proxy).showKey},
		"KMS.CreateGrant": {guard: (*Proxy).guardGrant},
		"KMS.RetireGrant": {guard: (*Proxy).guardGrant},

		"CloudTrail.LookupEvents": {fake: (*Proxy).lookupEvents},

		"S3.CreateMultipartUpload": {after: (*Proxy).learnUpload},
		"S3.UploadPart":            {guard: (*Proxy).guardPart},

		"SSM.DescribeInstanceInformation": {fake: (*Proxy).describeAgents},
		"SSM.DescribeSessions":            {fake: (*Proxy).describeSessions},
		"SSM.TerminateSession":            {fake: (*Proxy).terminateSession},
		"SSM.SendCommand":                 {fake: (*Proxy).sendCommand},
		"SSM.ListCommands":                {fake: (*Proxy).listCommands},
		"SSM.GetCommandInvocation":        {fake: (*Proxy).getInvocation},
		"SSM.CancelCommand":               {fake: (*Proxy).cancelCommand},
	}
}
