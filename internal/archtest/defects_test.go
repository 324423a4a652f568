package archtest

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A flaw is something that an earlier tool of this kind got wrong when it
// responded, with the tests that hold the opposite.
type flaw struct {
	row   int
	what  string
	tests []string // package folder, a space, the test
	// beyond is what of it no test here can reach, and why; empty: nothing.
	beyond string
}

var flaws = []flaw{
	{1, "a snapshot of one volume only", []string{"respond/forensics TestDefect01ThreeVolumesThreeSnapshotsOfOneInstant", "cloud/sim TestDefect01ThreeVolumesGiveThreeSnapshotsOfOneInstant"}, ""},
	{2, "a describe that failed taken for an empty answer", []string{"respond/forensics TestDefect02ADescribeThatFailsFailsTheStepAndKeepsTheSnapshot"}, ""},
	{3, "waiting without a pause", []string{"respond/forensics TestDefect03WaitingForADayAsksSomeHundredTimes"}, ""},
	{4, "a volume looked at once, not waited for", []string{"respond/forensics TestDefect04SlowVolumesAreAttachedOnlyWhenTheyAreAvailable"}, ""},
	{5, "zone, image, type and device written into the code", []string{"respond/forensics TestDefect05VolumesFollowTheZoneInWhichThereWasCapacity"}, ""},
	{6, "the first of an empty list of checks", []string{"respond/forensics TestDefect06AnEmptyListOfStatusChecksIsWaitedFor"}, ""},
	{7, "any event, or none that is real, sets it off", []string{"respond/safety TestGuards", "app TestARouteMakesItsPlanOnlyOnceGuardDutyHasConfirmed", "e2e TestEveryWrappingAndSpellingIsTheSameFinding"}, ""},
	{8, "state in memory, so that the end of the process leaves orphans", []string{"respond/ec2 TestDefect08And20ARunThatIsKilledAnywhereGoesOnAndLeavesNothingOpen", "respond/forensics TestDefect08AProcessThatIsKilledAnywhereGoesOnAndMakesNothingTwice", "app TestARunThatIsKilledEverywhereCompletes"}, ""},
	{9, "the same finding responded to again", []string{"app TestDefect09TheSameFindingTwiceIsOnePlanAndStartsNothing", "app TestTwoApprovalsAtOnceStartOneRun"}, ""},
	{10, "the instance stopped first, and its memory lost", []string{"respond/ec2 TestDefect30And40NeverTheGroupsOfTheInstanceAndNeverItsEnd", "cloud TestThePermissionsOfResponsesAreTheirInterfaces"}, ""},
	{11, "no isolation before the long waits", []string{"respond/ec2 TestDefect11IsolationEndsBeforeTheFirstLongWait"}, ""},
	{12, "evidence without tags, hash, lock or encryption", []string{"respond/forensics TestDefect12EachItemIsTaggedHashedLockedAndEncryptedOrSaysWhyNot"}, ""},
	{13, "answers of Slack not looked at", []string{"notify/slack TestDefectHTTPStatusOfSlackUnchecked", "notify/slack TestRetryAfterIsHonouredForTheWholeDestination", "notify/slack TestAHangingSlackEndsInTimeAndIsLookedAtAgain"}, ""},
	{14, "it ends where Systems Manager does not know the instance", []string{"respond/forensics TestDefect14WithoutAnAgentTheDisksAreDoneAndTheGapOfMemoryIsStated"}, ""},
	{15, "kinds of resources that never reach their branch", []string{"respond/manual TestDefect15And59EachResourceReachesItsOwnPlaybookOrAStatedNotifyOnly"}, ""},
	{16, "a role in the other account whose name holds a region", []string{"cloud TestEachRoleIsAssumedInTheSessionOfItsIncident"}, ""},
	{17, "an undo that restores a part", []string{"respond/ec2 TestDefect17And33AContainmentIsolatesEveryInterfaceAndItsUndoGivesTheWorldBack", "respond/ec2 TestContainAndUndoGiveBackTheSameWorld"}, ""},
	{18, "a security group found by its name alone", []string{"respond/ec2 TestDefect18AForeignGroupOfOurNameIsNotAdopted"}, ""},
	{19, "rules of IPv6 left in the group", []string{"respond/ec2 TestDefect19NoRuleIsLeftInAVPCWithIPv6"}, ""},
	{20, "a group that opens everything left behind, with a public address", []string{"respond/ec2 TestDefect20TheAddressIsOffBeforeTheInterfaceIsOpened", "respond/ec2 TestDefect08And20ARunThatIsKilledAnywhereGoesOnAndLeavesNothingOpen", "respond/ec2 TestDefect20ARunThatIsKilledWhileMemoryIsTakenLeavesNothingOpen"}, ""},
	{21, "sessions of the whole role revoked for ever", []string{"respond/ec2 TestDefect21And44OtherHoldersOfTheRoleGoOn", "respond/iam TestDefect21And44OnlyThisSessionIsRevoked"}, ""},
	{22, "local time written as if it were UTC", []string{"evidence TestDefect22TimesAreWrittenInUTCWhateverTheZoneOfTheHost"}, ""},
	{23, "keys of AWS handed to the suspect", []string{"respond/forensics TestDefect23NoStepAndNoParameterOfThePlanHoldsASecret", "respond/forensics TestMemoryArrivesIsHashedByUsAndMarkedAsAnUntrustedHosts"}, ""},
	{24, "packages installed and code compiled on the suspect", []string{"respond/forensics TestDefect24TheDocumentInstallsAndCompilesNothing"}, ""},
	{25, "snapshots under the key of AWS shared, which nobody can read", []string{"respond/forensics TestDefect25WhatIsUnderTheAWSKeyIsEncryptedAnewBeforeItIsShared"}, ""},
	{26, "evidence that goes with its stack, and no lock", []string{"respond/forensics TestDefect26SnapshotsAreLockedForTheDaysOfThePolicy"}, "there is no Terraform module in this repository yet, so nothing to hold its prevent_destroy"},
	{27, "an open, unprotected workstation, and an image that is missed late", []string{"respond/forensics TestDefect27TheWorkstationIsPrivateEncryptedAndProtected", "respond/forensics TestAnImageThatIsMissingIsFoundWhenThePlanIsMade", "respond/forensics TestDefect50ThePathOfAVolumeIsThatByItsID"}, ""},
	{28, "the group that scales, and the load balancer, not thought of", []string{"respond/ec2 TestDefect28LeavesServiceBeforeTheNetworkIsCut", "respond/ec2 TestDefect28TheGroupDoesNotEndTheInstance"}, ""},
	{29, "a tag is enough to have an instance isolated", []string{"respond/ec2 TestDefect29ATagAloneStartsNothingAndHidesNothing"}, ""},
	{30, "groups changed through the instance, which has one interface only", []string{"respond/ec2 TestDefect30And40NeverTheGroupsOfTheInstanceAndNeverItsEnd"}, ""},
	{31, "waiting that looks like an error", []string{"respond/forensics TestDefect31WaitingIsAStateWithProgressAndNoFailure"}, ""},
	{32, "the profile taken before the memory was read", []string{"respond/forensics TestDefect32MemoryIsAmongWhatCredentialsWaitFor"}, ""},
	{33, "no revocation of sessions, and no undo", []string{"respond/ec2 TestDefect17And33AContainmentIsolatesEveryInterfaceAndItsUndoGivesTheWorldBack", "respond/iam TestDefect33UndoOfAUserGivesTheSameWorld"}, ""},
	{34, "every severity and type responded to", []string{"respond/safety TestGuards"}, ""},
	{35, "errors swallowed", []string{"respond/ec2 TestDefect42And35ADeniedTagIsAVisibleFailureAndIsolatesAllTheSame", "respond/iam TestDefect35EachDeniedCallFailsAStepThatNamesIt", "app TestTakingAwayAnAction"}, ""},
	{36, "isolation after everything slow", []string{"respond/ec2 TestDefect36IsolationWaitsForNothingLong"}, ""},
	{37, "a deny by time of issue for keys that have none", []string{"respond/iam TestDefect37KeysAndSessionsOfTheUserAreDead", "cloud/sim TestDefect37AKeyIsStoppedByItsStatusOrByAnUnconditionalDenyOnly"}, ""},
	{38, "sessions newer than the finding live on", []string{"respond/iam TestDefect38TheTimeOfTheRevocationIsOursAndNotTheFindings"}, ""},
	{39, "one spelling of findings only", []string{"finding TestBothSpellingsReadTheSame", "e2e TestDefectOneSpellingOnly"}, ""},
	{40, "the attacked instance terminated", []string{"respond/ec2 TestDefect30And40NeverTheGroupsOfTheInstanceAndNeverItsEnd"}, ""},
	{41, "the first interface only, and its VPC for all", []string{"respond/ec2 TestDefect41EveryInterfaceGetsTheGroupOfItsOwnVPC"}, ""},
	{42, "a tag that fails ends the isolation", []string{"respond/ec2 TestDefect42And35ADeniedTagIsAVisibleFailureAndIsolatesAllTheSame"}, ""},
	{43, "a snapshot never waited for", []string{"respond/forensics TestDefect43ASnapshotThatEndsInErrorIsNamedAndTheOthersGoOn"}, ""},
	{44, "everything denied to a role that others hold", []string{"respond/ec2 TestDefect21And44OtherHoldersOfTheRoleGoOn", "respond/iam TestDefect21And44OnlyThisSessionIsRevoked"}, ""},
	{45, "a shared security group edited in its place", []string{"respond/ec2 TestDefect45And46OnlyOurInterfacesChangeAndNoRuleOfOthers"}, ""},
	{46, "a rule removed that was right", []string{"respond/ec2 TestDefect45And46OnlyOurInterfacesChangeAndNoRuleOfOthers", "respond/sharing TestDefect46OnlyThePlannedSharesAreRemoved"}, ""},
	{47, "no verification, and a half undo", []string{"respond/ec2 TestDefect52And47VerificationFailsWhenARuleIsLeft", "respond/ec2 TestContainAndUndoGiveBackTheSameWorld"}, ""},
	{48, "the original deleted after its copy", []string{"respond/forensics TestDefect48OriginalsStayWhatEverBecomesOfCopies"}, ""},
	{49, "the role guessed from the profile", []string{"respond/ec2 TestDefect49TheRoleIsThatOfTheProfileWhateverTheirNames"}, ""},
	{50, "a device name that the host does not use", []string{"respond/forensics TestDefect50ThePathOfAVolumeIsThatByItsID"}, "how the operating system of a workstation reads a volume that still loads: there is no operating system here"},
	{51, "a network ACL made and never associated", []string{"respond/ec2 TestDefect51TheNetworkACLIsAssociatedAndDescribedBack"}, ""},
	{52, "a validation that is always true", []string{"respond/ec2 TestDefect52And47VerificationFailsWhenARuleIsLeft"}, ""},
	{53, "the first page only, of every region", []string{"respond/ec2 TestDefect53EveryPageIsRead"}, ""},
	{54, "one volume and one fixed set of groups", []string{"respond/forensics TestDefect54EveryVolumeIsAttachedToAWorkstationInTheConfiguredGroups"}, ""},
	{55, "an endpoint that responds without authentication", []string{"api TestWhoIsNobodyIsToldSoBeforeAnythingIsRead"}, ""},
	{56, "blocks without an end, and numbers that collide", []string{"respond/block TestDefect56ABlockEndsByItselfAndTakesOnlyItsOwn", "respond/block TestDefect56EntriesTakeFreeNumbersAndEnd"}, ""},
	{57, "runs that hang for days", []string{"app TestDefect57EveryWaitHasADeadline", "app TestDefect57WhatIsLateIsToldOnce", "app TestDefect57WhatCannotBeClosedIsToldOnceAndTakenBack"}, ""},
	{58, "approval that is a bare hook", []string{"respond TestAPlanIsApprovedOnce", "respond TestAnApproval", "app TestTwoApprovalsAtOnceStartOneRun"}, ""},
	{59, "kinds of resources that nothing is said about", []string{"respond/manual TestDefect15And59EachResourceReachesItsOwnPlaybookOrAStatedNotifyOnly"}, ""},
	{60, "no approval and no undo", []string{"respond/ec2 TestEveryStepNamesAnActionThatHasItsUndoOrNeedsNone", "app TestTheCallsOfAllPlaybooksAndTheirUndosAreExactlyTheTable", "respond TestAnApproval"}, ""},
	{61, "isolation claimed and not proven", []string{"respond/ec2 TestDefect52And47VerificationFailsWhenARuleIsLeft", "respond/ec2 TestConnectionsThatAreOpenAreCut", "respond/ec2 TestCheckNamesWhatSomebodyPutBackAndRepairsNothing", "respond/ec2 TestDefect61IsolatedIsSaidOnlyWhereFlowRecordsShowIt", "respond/ec2 TestDefect61WhatStillTalksIsOpenWhateverTheGroupsSay"}, ""},
}

// lastRow is how many such defects are known.
const lastRow = 61

var numbered = regexp.MustCompile(`^TestDefect[0-9]{2}(And[0-9]{2})*`)

// TestEveryFlawOfEarlierResponsesHasItsTest has every row with its tests, and
// every test that carries a row's number in that row.
func TestEveryFlawOfEarlierResponsesHasItsTest(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, name := range files(t, "_test.go") {
		for _, m := range testFuncs.FindAllStringSubmatch(read(t, name), -1) {
			known[path.Dir(name)+" "+m[1]] = true
		}
	}
	byRow := map[int][]string{}
	for i, f := range flaws {
		if f.row != i+1 || strings.TrimSpace(f.what) == "" {
			t.Errorf("row %d stands in place %d, as %q", f.row, i+1, f.what)
		}
		if len(f.tests) == 0 {
			t.Errorf("%d, %s: no test holds the opposite", f.row, f.what)
		}
		for _, name := range f.tests {
			if !known[name] {
				t.Errorf("%d, %s: there is no test %s", f.row, f.what, name)
			}
		}
		byRow[f.row] = f.tests
	}
	if len(flaws) != lastRow {
		t.Errorf("%d rows, want %d", len(flaws), lastRow)
	}
	for name := range known {
		_, test, _ := strings.Cut(name, " ")
		for _, digits := range regexp.MustCompile(`[0-9]{2}`).FindAllString(numbered.FindString(test), -1) {
			row, err := strconv.Atoi(digits)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(byRow[row], name) {
				t.Errorf("%s says that it holds row %d, and the row does not name it", name, row)
			}
		}
	}
}
