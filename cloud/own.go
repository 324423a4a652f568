package cloud

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

// metadataLimit is how long the metadata service may take to answer. It is on
// the same machine, or there is none.
const metadataLimit = 2 * time.Second

// ManagementAccount asks AWS Organizations for the account that manages the
// organization. It is empty where there is no organization. Any account of one
// may ask: https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeOrganization.html
func (c *Cloud) ManagementAccount(ctx context.Context) (string, error) {
	client, err := c.Organizations(ctx)
	if err != nil {
		return "", err
	}
	out, err := client.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	var none *orgtypes.AWSOrganizationsNotInUseException
	switch {
	case errors.As(err, &none):
		return "", nil
	case err != nil:
		return "", Explain(err, "ask AWS Organizations for the management account")
	case out.Organization == nil || !accountPattern.MatchString(aws.ToString(out.Organization.MasterAccountId)):
		return "", fmt.Errorf("AWS Organizations did not name its management account")
	}
	return aws.ToString(out.Organization.MasterAccountId), nil
}

// ThisInstance is the id of the EC2 instance that this process runs on, as its
// metadata service says. It fails within seconds where there is none, and where
// AWS_EC2_METADATA_DISABLED is set.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-identity-documents.html
func (c *Cloud) ThisInstance(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataLimit)
	defer cancel()
	client := imds.New(imds.Options{Retryer: aws.NopRetryer{}})
	out, err := client.GetInstanceIdentityDocument(ctx, &imds.GetInstanceIdentityDocumentInput{})
	if err != nil {
		return "", fmt.Errorf("ask the metadata service which instance this is: %w", err)
	}
	if !instancePattern.MatchString(out.InstanceID) {
		return "", fmt.Errorf("the metadata service named no instance")
	}
	return out.InstanceID, nil
}
