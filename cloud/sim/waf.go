package sim

import (
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// wafState is what a region has of WAF.
type wafState struct {
	Sets map[string]*IPSet `json:"sets,omitempty"` // by scope and id
}

// IPSet is an IP set of WAF. What is left out when it is added is filled in.
type IPSet struct {
	Name      string   `json:"name"`
	ID        string   `json:"id"`
	ARN       string   `json:"arn"`
	Scope     string   `json:"scope"`   // REGIONAL or CLOUDFRONT
	Version   string   `json:"version"` // IPV4 or IPV6
	Addresses []string `json:"addresses"`
	Text      string   `json:"text,omitempty"`
	Lock      string   `json:"lock"`
}

const ipsMost = 10000

// AddIPSet adds an IP set to a region; one of CloudFront belongs to us-east-1.
func (e *Editor) AddIPSet(accountID, regionName string, s IPSet) *IPSet {
	_, r := e.w.at(accountID, regionName)
	s.ID = orText(s.ID, e.w.uuid())
	s.Scope = orText(s.Scope, "REGIONAL")
	s.Version = orText(s.Version, "IPV4")
	kind := "regional"
	if s.Scope == "CLOUDFRONT" {
		kind = "global"
	}
	s.ARN = "arn:aws:wafv2:" + regionName + ":" + accountID + ":" + kind + "/ipset/" + s.Name + "/" + s.ID
	s.Lock = e.w.uuid()
	put(&r.WAF.Sets, s.Scope+" "+s.ID, &s)
	return &s
}

// IPSet returns an IP set that must be there.
func (e *Editor) IPSet(accountID, regionName, scope, id string) *IPSet {
	_, r := e.w.at(accountID, regionName)
	s := r.WAF.Sets[scope+" "+id]
	if s == nil {
		panic("edit the simulated world: no IP set " + id)
	}
	return s
}

// SetAddresses replaces the addresses as a colleague would, so that the lock
// token of who read before is of no use.
func (e *Editor) SetAddresses(s *IPSet, addresses ...string) {
	s.Addresses, s.Lock = addresses, e.w.uuid()
}

type wafClient struct{ client }

var _ awscalls.WAF = wafClient{}

func (c wafClient) set(r *region, scope types.Scope, id, name *string) (*IPSet, error) {
	switch {
	case !slices.Contains(scope.Values(), scope):
		return nil, fail("WAFInvalidParameterException", "Error reason: The scope is not valid., field: SCOPE_VALUE, parameter: %s", scope)
	case scope == types.ScopeCloudfront && c.place.Region != "us-east-1":
		return nil, fail("WAFInvalidParameterException", "Error reason: The scope is not valid., field: SCOPE_VALUE, parameter: CLOUDFRONT")
	}
	s := r.WAF.Sets[string(scope)+" "+aws.ToString(id)]
	if s == nil || s.Name != aws.ToString(name) {
		return nil, fail("WAFNonexistentItemException", "AWS WAF couldn’t perform the operation because your resource doesn’t exist.")
	}
	return s, nil
}

// GetIPSet implements awscalls.WAF.
func (c wafClient) GetIPSet(ctx context.Context, in *wafv2.GetIPSetInput, _ ...func(*wafv2.Options)) (*wafv2.GetIPSetOutput, error) {
	return do(ctx, c.client, "WAFV2", "GetIPSet", false, in, func(_ *account, r *region) (*wafv2.GetIPSetOutput, error) {
		s, err := c.set(r, in.Scope, in.Id, in.Name)
		if err != nil {
			return nil, err
		}
		return &wafv2.GetIPSetOutput{LockToken: aws.String(s.Lock), IPSet: &types.IPSet{
			ARN: aws.String(s.ARN), Id: aws.String(s.ID), Name: aws.String(s.Name), IPAddressVersion: types.IPAddressVersion(s.Version),
			Addresses: append([]string{}, s.Addresses...), Description: aws.String(s.Text),
		}}, nil
	})
}

// UpdateIPSet implements awscalls.WAF. It replaces the whole list, for who has
// read the newest one.
func (c wafClient) UpdateIPSet(ctx context.Context, in *wafv2.UpdateIPSetInput, _ ...func(*wafv2.Options)) (*wafv2.UpdateIPSetOutput, error) {
	return do(ctx, c.client, "WAFV2", "UpdateIPSet", true, in, func(_ *account, r *region) (*wafv2.UpdateIPSetOutput, error) {
		s, err := c.set(r, in.Scope, in.Id, in.Name)
		if err != nil {
			return nil, err
		}
		if aws.ToString(in.LockToken) != s.Lock {
			return nil, fail("WAFOptimisticLockException", "AWS WAF couldn’t save your changes because someone changed the resource after you started to edit it. Reapply your changes.")
		}
		if len(in.Addresses) > ipsMost {
			return nil, fail("WAFLimitsExceededException", "AWS WAF couldn’t perform the operation because you exceeded your resource limit: NUM_IP_ADDRESSES_IN_IP_SET")
		}
		for _, a := range in.Addresses {
			p, err := netip.ParsePrefix(a)
			if err != nil || p.Bits() == 0 || p.Addr().Is4() != (s.Version == "IPV4") {
				return nil, fail("WAFInvalidParameterException", "Error reason: The parameter contains formatting that is not valid., field: IP_ADDRESS, parameter: %s", a)
			}
		}
		s.Addresses, s.Lock = append([]string{}, in.Addresses...), c.w.uuid()
		s.Text = aws.ToString(in.Description) // the call replaces all that can be changed
		return &wafv2.UpdateIPSetOutput{NextLockToken: aws.String(s.Lock)}, nil
	})
}
