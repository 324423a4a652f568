package forensics

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Bench is where evidence is examined, as it was found when the plan was made.
type Bench struct {
	Account string   `json:"account"`
	Image   Image    `json:"image"`
	Subnets []Subnet `json:"subnets,omitempty"`
	// Problem says why there will be no workstation; empty: there will be one.
	Problem string `json:"problem,omitempty"`
}

// Image is the workstation's machine image.
type Image struct {
	ID           string `json:"id"`
	Name         string `json:"name,omitempty"`
	Owner        string `json:"owner"`
	Root         string `json:"root"` // its root device
	RootGiB      int32  `json:"root_gib,omitempty"`
	Architecture string `json:"architecture"`
}

// Subnet is one where the workstation may start. One with a problem is not used.
type Subnet struct {
	ID      string `json:"id"`
	Zone    string `json:"zone,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// home is the account in which evidence is kept and examined.
func home(p respond.Policy, account string) string {
	if p.Forensics.Account != "" {
		return p.Forensics.Account
	}
	return account
}

// away reports whether evidence goes to another account than the attacked one.
func away(p respond.Policy, account string) bool { return home(p, account) != account }

func describeBench(ctx context.Context, a awscalls.AWS, r respond.Request) Bench {
	p := r.Policy
	b := Bench{Account: home(p, r.Target.Account)}
	switch {
	case len(p.Forensics.Subnets) == 0:
		b.Problem = "no subnet is configured for it (forensics.subnets)"
	case len(p.Forensics.SecurityGroups) == 0:
		b.Problem = "no security group is configured for it (forensics.security_groups)"
	case len(p.Forensics.Types) == 0:
		b.Problem = "no instance type is configured for it (forensics.types)"
	case p.Forensics.Image == "":
		b.Problem = "no image is configured for it (forensics.image)"
	}
	if b.Problem != "" {
		return b
	}
	place := r.Place(awscalls.Forensics)
	place.Account = b.Account
	c, err := a.EC2(ctx, place)
	if err != nil {
		b.Problem = "its account cannot be reached: " + short(err)
		return b
	}
	err = patiently(ctx, func() error {
		b.Image, err = resolveImage(ctx, a, c, place, p.Forensics)
		return err
	})
	if err != nil {
		b.Problem = short(err)
		if f, ok := errors.AsType[*fault.Error](err); ok {
			b.Problem = f.Error()
		}
		return b
	}
	b.Subnets = describeSubnets(ctx, c, p.Forensics.Subnets)
	if !slices.ContainsFunc(b.Subnets, func(s Subnet) bool { return s.Problem == "" }) {
		var why []string
		for _, s := range b.Subnets {
			why = append(why, s.ID+" "+s.Problem)
		}
		b.Problem = "none of its subnets can be used in " + r.Target.Region + ": " + strings.Join(why, "; ")
	}
	return b
}

// patiently asks some times while AWS throttles: a plan without a workstation, for
// a busy minute, would be approved as it is.
func patiently(ctx context.Context, ask func() error) error {
	for n := range 4 {
		err := ask()
		if err == nil || !respond.Transient(err) || n == 3 {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(400 * time.Millisecond << n):
		}
	}
	return nil
}

var imageForm = regexp.MustCompile(`^ami-[0-9a-f]{8,17}$`)

// resolveImage finds the image that the policy names and checks who owns it.
func resolveImage(ctx context.Context, a awscalls.AWS, c awscalls.EC2, place awscalls.Place, p respond.Forensics) (Image, error) {
	id := p.Image
	if name, ok := strings.CutPrefix(id, "ssm:"); ok {
		s, err := a.SSM(ctx, place)
		if err != nil {
			return Image{}, err
		}
		out, err := s.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name)})
		if err != nil {
			if respond.Gone(err) || respond.Is(err, "ParameterNotFound") {
				return Image{}, fault.New(fault.NotFound, "there is no parameter "+name+" that names the workstation's image", "set forensics.image")
			}
			return Image{}, err
		}
		if out.Parameter != nil {
			id = aws.ToString(out.Parameter.Value)
		}
	}
	if !imageForm.MatchString(id) {
		return Image{}, fault.New(fault.Usage, fmt.Sprintf("%q is no id of an image (%s)", id, p.Image), "set forensics.image")
	}
	out, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})
	if err != nil && !respond.Gone(err) && !respond.Is(err, "InvalidAMIID*") {
		return Image{}, err
	}
	if err != nil || len(out.Images) == 0 {
		return Image{}, fault.New(fault.NotFound, "the workstation's image "+id+" ("+p.Image+") does not exist, or account "+place.Account+" may not use it", "set forensics.image")
	}
	i := out.Images[0]
	img := Image{ID: id, RootGiB: rootSize(i), Name: aws.ToString(i.Name), Owner: aws.ToString(i.OwnerId), Root: aws.ToString(i.RootDeviceName), Architecture: string(i.Architecture)}
	if i.State != "" && i.State != types.ImageStateAvailable {
		return Image{}, fault.New(fault.Conflict, "the workstation's image "+id+" is "+string(i.State), "set forensics.image")
	}
	if !slices.Contains(p.ImageOwners, img.Owner) && (aws.ToString(i.ImageOwnerAlias) == "" || !slices.Contains(p.ImageOwners, aws.ToString(i.ImageOwnerAlias))) {
		return Image{}, fault.New(fault.Denied, fmt.Sprintf("the workstation's image %s is owned by %s, which is not one of %s", id, img.Owner, strings.Join(p.ImageOwners, ", ")), "set forensics.image_owners")
	}
	return img, nil
}

// describeSubnets looks at each subnet by itself, so that one that is missing
// leaves the others. A subnet with a route to an internet gateway is not used.
func describeSubnets(ctx context.Context, c awscalls.EC2, ids []string) []Subnet {
	list := make([]Subnet, 0, len(ids))
	for _, id := range ids {
		s := Subnet{ID: id}
		var out *ec2.DescribeSubnetsOutput
		err := patiently(ctx, func() (err error) {
			out, err = c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{id}})
			return err
		})
		switch {
		case respond.Gone(err) || err == nil && len(out.Subnets) == 0:
			s.Problem = "does not exist there"
		case err != nil:
			s.Problem = "cannot be looked at: " + short(err)
		default:
			s.Zone = aws.ToString(out.Subnets[0].AvailabilityZone)
			s.Problem = public(ctx, c, id, aws.ToString(out.Subnets[0].VpcId))
		}
		list = append(list, s)
	}
	return list
}

// public says why a subnet is not private, or nothing.
func public(ctx context.Context, c awscalls.EC2, subnet, vpc string) string {
	var tables *ec2.DescribeRouteTablesOutput
	err := patiently(ctx, func() (err error) {
		tables, err = c.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{{Name: aws.String("association.subnet-id"), Values: []string{subnet}}}})
		if err == nil && len(tables.RouteTables) == 0 {
			tables, err = c.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{
				{Name: aws.String("vpc-id"), Values: []string{vpc}}, {Name: aws.String("association.main"), Values: []string{"true"}}}})
		}
		return err
	})
	if err != nil {
		return "has routes that cannot be looked at: " + short(err)
	}
	for _, t := range tables.RouteTables {
		for _, r := range t.Routes {
			if g := aws.ToString(r.GatewayId); strings.HasPrefix(g, "igw-") {
				return "is not private: it has a route to " + g
			}
		}
	}
	return ""
}

// rootSize is how large the root volume of an image is; 0 where it does not say.
func rootSize(i types.Image) int32 {
	for _, m := range i.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToString(m.DeviceName) == aws.ToString(i.RootDeviceName) {
			return aws.ToInt32(m.Ebs.VolumeSize)
		}
	}
	return 0
}
