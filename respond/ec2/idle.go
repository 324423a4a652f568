package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// leastTracking are the shortest timeouts that AWS takes, in seconds.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ConnectionTrackingSpecificationRequest.html
var leastTracking = Tracking{TCP: 60, UDP: 30, UDPStream: 60}

// defaultTracking is what holds for a type of instance where nothing is set. known
// is false for types that are newer than this list: AWS has no call that tells.
func defaultTracking(instanceType string) (t Tracking, known bool) {
	t = Tracking{TCP: 432000, UDP: 30, UDPStream: 180}
	family, _, _ := strings.Cut(instanceType, ".")
	switch {
	case slices.Contains(shortTracked, family):
		t.TCP = 350
		return t, true
	case slices.Contains(longTracked, family):
		return t, true
	}
	digits := strings.IndexAny(family, "0123456789")
	return t, digits > 0 && family[digits] < '8' && !strings.HasPrefix(family, "g7e") && family != "p6"
}

// The families of the eighth generation and later by the Nitro System that they are
// built on: its sixth version forgets idle connections after 350 s.
// https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-nitro-instances.html
var (
	shortTracked = []string{"m8a", "m8azn", "m8i", "m8i-flex", "m8id", "m8gb", "m8gn", "c8a", "c8i", "c8i-flex", "c8id", "c8gb", "c8gn", "r8a", "r8i", "r8i-flex", "r8id", "r8gb", "r8gn", "x8i", "x8aedz", "p6-b200", "p6-b300"}
	longTracked  = []string{"m8g", "m8gd", "c8g", "c8gd", "r8g", "r8gd", "x8g", "i8g", "i8ge", "p6e-gb200"}
)

// over are the timeouts in force: what is set, and the default elsewhere.
func (t Tracking) over(base Tracking) Tracking {
	pick := func(v, or int32) int32 {
		if v == 0 {
			return or
		}
		return v
	}
	return Tracking{TCP: pick(t.TCP, base.TCP), UDP: pick(t.UDP, base.UDP), UDPStream: pick(t.UDPStream, base.UDPStream)}
}

type idleParams struct {
	Interface string `json:"interface"`
	// Default is what holds where nothing is set: AWS cannot unset.
	Default Tracking `json:"default"`
}

// idles drafts the step for each interface whose connections may live on.
func (b *drafting) idles(after []string) {
	if b.r.Policy.IdleTimeouts != "auto" || b.w.State != "running" {
		return
	}
	base, known := defaultTracking(b.w.Type)
	for _, n := range b.ours() {
		paths := slices.ContainsFunc(b.paths(), func(p path) bool { return p.Subnet == n.Subnet })
		set := n.Tracking != nil && n.Tracking.TCP > 0 && n.Tracking.UDP > 0 && n.Tracking.UDPStream > 0
		switch {
		case !paths && b.narrow[n.ID] == "":
		case !known && !set:
			b.WillNot = append(b.WillNot, "shorten the timeouts of connection tracking of "+n.ID+": their default for "+b.w.Type+" is not known, so they could not be restored")
		default:
			b.Add(respond.Step{ID: StageIdle + "/" + n.ID, Action: actIdle, Stage: StageIdle, Effect: respond.Reversible, After: after, Needs: b.gate,
				Title: n.ID + ": idle connections are forgotten after a minute"}, idleParams{Interface: n.ID, Default: base})
		}
	}
}

// tracking is the timeouts of an interface.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
func tracking(x *respond.Exec, p idleParams) kit.Setting[Tracking] {
	return kit.Setting[Tracking]{
		What: "the timeouts of connection tracking of " + p.Interface,
		Look: func(ctx context.Context) (Tracking, error) {
			n, err := lookAt(ctx, x, p.Interface)
			if err != nil || n.Tracking == nil {
				return Tracking{}, err
			}
			return *n.Tracking, nil
		},
		Put: func(ctx context.Context, v Tracking) error {
			c, err := x.AWS.EC2(ctx, x.Place())
			if err != nil {
				return err
			}
			v = v.over(p.Default)
			_, err = c.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &p.Interface,
				ConnectionTrackingSpecification: &types.ConnectionTrackingSpecificationRequest{TcpEstablishedTimeout: aws.Int32(v.TCP), UdpTimeout: aws.Int32(v.UDP), UdpStreamTimeout: aws.Int32(v.UDPStream)}})
			return err
		},
		Same: func(a, b Tracking) bool { return a.over(p.Default) == b.over(p.Default) },
	}
}

// shortenIdle sets the least timeouts, so that connections which nothing cuts end
// once they are idle. An active one never is.
func shortenIdle(x *respond.Exec) (playbook.Outcome, error) {
	var p idleParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	return set(kit.Set(x, tracking(x, p), func(Tracking) (Tracking, error) { return leastTracking, nil }))
}

func restoreIdle(x *respond.Exec) (playbook.Outcome, error) {
	var b kit.Back[idleParams, Tracking]
	if err := x.Params(&b); err != nil {
		return playbook.Outcome{}, err
	}
	return orGone(kit.Restore(x, tracking(x, b.Of), b.Before, b.After))
}

// driftOfIdle says that the timeouts are longer again.
func driftOfIdle(w *World, s respond.Step, say func(string, ...any)) {
	p, err := paramsOf[idleParams](s)
	if err != nil {
		return
	}
	n, ok := w.Interface(p.Interface)
	if !ok {
		return
	}
	now := p.Default
	if n.Tracking != nil {
		now = n.Tracking.over(p.Default)
	}
	if now != leastTracking {
		say("the timeouts of connection tracking of %s are longer again", p.Interface)
	}
}
