package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// The forensic network and the evidence bucket of a furnished world, for a
// policy that names none.
const (
	forensicSubnet = "subnet-0f0e05c0000000001"
	forensicGroup  = "sg-0f0e05c0000000001"
	forensicVPC    = "vpc-0f0e05c0000000001"
	evidenceBucket = "simulated-evidence"
	evidenceRegion = "eu-central-1"
)

// Complete fills in what a policy must name for a whole response, and does not,
// with what Furnish makes.
func Complete(p *respond.Policy) {
	if len(p.Forensics.Subnets) == 0 {
		p.Forensics.Subnets, p.Forensics.SecurityGroups = []string{forensicSubnet}, []string{forensicGroup}
	}
	if p.Evidence.Bucket == "" {
		p.Evidence.Bucket, p.Evidence.Region = evidenceBucket, evidenceRegion
	}
}

// Furnish adds what findings name and the world has not, so that any finding can
// be responded to, and the forensic network. What is there stays as it is.
func (w *World) Furnish(ctx context.Context, p respond.Policy, targets []respond.Target) error {
	for _, t := range targets {
		there, err := w.there(ctx, t)
		if err != nil || there {
			continue // what cannot be asked for is not made either
		}
		if err := w.Edit(func(e *Editor) { e.furnish(t) }); err != nil {
			return fmt.Errorf("furnish the simulated AWS with %s %s: %w", t.Kind, t.ID, err)
		}
	}
	if len(targets) == 0 {
		return nil
	}
	account := targets[0].Account
	if a := p.Forensics.Account; a != "" {
		account = a
	}
	if err := w.Edit(func(e *Editor) { e.tools(p, account, targets) }); err != nil {
		return fmt.Errorf("furnish the simulated AWS with what the policy names: %w", err)
	}
	return w.home(ctx, p, account, targets[0].Region)
}

// RegionOf is where the evidence bucket is, or will be furnished where a policy
// does not say.
func (w *World) RegionOf(bucket string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b, err := w.findBucket(bucket); err == nil {
		return b.Region
	}
	return evidenceRegion
}

// tools adds the keys and the instance profile that a policy names: those of the
// forensic account, and the transfer key of each attacked account and region.
func (e *Editor) tools(p respond.Policy, account string, targets []respond.Target) {
	region := targets[0].Region
	e.furnishKey(account, orText(p.Evidence.Region, region), p.Evidence.KMSKey)
	e.furnishKey(account, region, p.Forensics.Key)
	for _, t := range targets {
		e.furnishKey(t.Account, t.Region, p.Forensics.TransferKey)
	}
	name := p.Forensics.Profile[strings.LastIndex(p.Forensics.Profile, "/")+1:]
	a, _ := e.w.at(account, region)
	if name == "" || a.IAM.Profiles[name] != nil {
		return
	}
	if a.IAM.Roles[name] == nil {
		e.AddRole(account, Role{Name: name})
	}
	e.AddInstanceProfile(account, InstanceProfile{Name: name, Role: name})
}

// furnishKey adds a key by its id, its alias, or the ARN of either.
func (e *Editor) furnishKey(account, region, id string) {
	if _, err := e.w.findKey(account, region, id); err == nil || id == "" {
		return
	}
	if p := strings.SplitN(id, ":", 6); len(p) == 6 && p[0] == "arn" {
		region, account, id = p[3], p[4], strings.TrimPrefix(p[5], "key/")
	}
	if strings.HasPrefix(id, "alias/") {
		e.AddKMSKey(account, region, KMSKey{Alias: id, AWSManaged: strings.HasPrefix(id, "alias/aws/")})
		return
	}
	e.AddKMSKey(account, region, KMSKey{ID: id})
}

// home adds the forensic network and the evidence bucket.
func (w *World) home(ctx context.Context, p respond.Policy, account, region string) error {
	at := awscalls.Place{Account: account, Region: region, Role: awscalls.Read, Incident: "INC-0"}
	c, err := w.AWS().EC2(ctx, at)
	if err != nil {
		return err
	}
	if len(p.Forensics.Subnets) > 0 {
		if _, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: p.Forensics.Subnets[:1]}); respond.Gone(err) {
			err := w.Edit(func(e *Editor) {
				e.AddVPC(account, region, VPCSpec{ID: forensicVPC, CIDR: "10.99.0.0/16"})
				for i, id := range p.Forensics.Subnets {
					e.AddSubnet(account, region, SubnetSpec{ID: id, VPC: forensicVPC, AZ: string(rune('a' + i%3)), CIDR: fmt.Sprintf("10.99.%d.0/24", i+1), Route: "none"})
				}
				for i, id := range p.Forensics.SecurityGroups {
					e.AddSecurityGroup(account, region, SecurityGroupSpec{ID: id, VPC: forensicVPC, Name: strings.Repeat("forensic-", i) + "forensic", Description: "workstations"})
				}
				if name, is := strings.CutPrefix(p.Forensics.Image, "ssm:"); is && !e.hasParameter(account, region, name) {
					ami := e.AddImage(account, region, ImageSpec{Name: "al2023-forensic", Owner: "137112412989", Alias: "amazon", Public: true, RootSize: 8})
					e.AddParameter(account, region, Parameter{Name: name, Value: ami})
				}
			})
			if err != nil {
				return err
			}
		}
	}
	if p.Evidence.Bucket == "" {
		return nil
	}
	o, err := w.AWS().S3(ctx, at)
	if err != nil {
		return err
	}
	name, where := p.Evidence.Bucket, p.Evidence.Region
	if where == "" {
		where = region
	}
	_, err = o.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: &name})
	absent := respond.Gone(err)
	return w.Edit(func(e *Editor) {
		if absent {
			e.AddBucket(account, Bucket{Name: name, Region: where, Versioning: "Enabled", ObjectLock: true})
		}
		if absent || name == evidenceBucket {
			e.admit(name, account)
		}
	})
}

// admit lets a further account keep evidence in a bucket of another one, as the
// policy of a bucket does that several accounts share.
func (e *Editor) admit(bucket, account string) {
	b := e.Bucket(bucket)
	root := "arn:aws:iam::" + account + ":root"
	if b.Account == account || strings.Contains(b.Policy, root) {
		return
	}
	doc := struct {
		Version   string
		Statement []map[string]any
	}{Version: "2012-10-17"}
	if b.Policy != "" && json.Unmarshal([]byte(b.Policy), &doc) != nil {
		return // somebody wrote another one
	}
	doc.Statement = append(doc.Statement, map[string]any{"Effect": "Allow", "Principal": map[string]any{"AWS": root},
		"Action":   []string{"s3:PutObject", "s3:PutObjectRetention", "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"},
		"Resource": "arn:aws:s3:::" + bucket + "/*"})
	policy, err := json.Marshal(doc)
	if err != nil {
		panic(err) // texts only
	}
	b.Policy = string(policy)
}

// there reports whether a target is in the simulated AWS.
func (w *World) there(ctx context.Context, t respond.Target) (bool, error) {
	p := awscalls.Place{Account: t.Account, Region: t.Region, Role: awscalls.Read, Incident: "INC-0"}
	a := w.AWS()
	var err error
	switch t.Kind {
	case finding.KindInstance:
		var c awscalls.EC2
		if c, err = a.EC2(ctx, p); err == nil {
			_, err = c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{t.ID}})
		}
	case finding.KindAccessKey:
		var c awscalls.IAM
		if c, err = a.IAM(ctx, p); err == nil {
			if t.Parts[respond.PartUserType] == "IAMUser" {
				_, err = c.GetUser(ctx, &iam.GetUserInput{UserName: aws.String(t.Parts[respond.PartUserName])})
			} else {
				_, err = c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String(t.Parts[respond.PartUserName])})
			}
		}
	case finding.KindS3Bucket, finding.KindS3Object:
		var c awscalls.S3
		if c, err = a.S3(ctx, p); err == nil {
			_, err = c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String(bucketNamed(t))})
		}
		if key := t.Parts[respond.PartObjectKey]; err == nil && key != "" {
			in := &s3.HeadObjectInput{Bucket: aws.String(bucketNamed(t)), Key: &key}
			if v := t.Parts[respond.PartObjectVer]; v != "" {
				in.VersionId = &v
			}
			_, err = c.HeadObject(ctx, in)
		}
	case finding.KindLambda:
		var c awscalls.Lambda
		if c, err = a.Lambda(ctx, p); err == nil {
			_, err = c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(t.ID)})
		}
	default:
		return true, nil
	}
	if respond.Gone(err) {
		return false, nil
	}
	return true, err
}

func bucketNamed(t respond.Target) string {
	name, _, _ := strings.Cut(t.ID, "/")
	return name
}

// furnish adds a target as it could well be.
func (e *Editor) furnish(t respond.Target) {
	switch t.Kind {
	case finding.KindInstance:
		name := t.Name
		if name == "" {
			name = "host-" + t.ID[len(t.ID)-4:]
		}
		spec := InstanceSpec{ID: t.ID, Type: "m5.large", Profile: "app-" + t.ID[len(t.ID)-4:], ElasticIP: true, Tags: map[string]string{"Name": name},
			Console: "simulated boot log", Volumes: []VolumeSpec{{Device: "/dev/xvda", GiB: 8}, {Device: "/dev/sdb", GiB: 20}}}
		e.AddInstance(t.Account, t.Region, spec)
	case finding.KindAccessKey:
		name, id := t.Parts[respond.PartUserName], t.Parts[respond.PartPrincipalID]
		if name == "" {
			return
		}
		if t.Parts[respond.PartUserType] == "IAMUser" {
			e.AddUser(t.Account, User{Name: name, ID: id})
			if key := t.Parts[respond.PartAccessKeyID]; key != "" {
				e.AddAccessKey(t.Account, name, AccessKey{ID: key, Active: true})
			}
			return
		}
		role, session, _ := strings.Cut(id, ":")
		e.AddRole(t.Account, Role{Name: name, ID: role})
		if session != "" {
			e.AddSession(t.Account, name, session, time.Time{})
		}
	case finding.KindS3Bucket, finding.KindS3Object:
		e.furnishBucket(t)
	case finding.KindLambda:
		e.AddFunction(t.Account, t.Region, Function{Name: t.ID, Runtime: "python3.13", Code: []byte("simulated"), Handler: "main"})
	}
}

// furnishBucket adds a bucket where there is none, and the object of the finding
// in the version that it names.
func (e *Editor) furnishBucket(t respond.Target) {
	name, key, version := bucketNamed(t), t.Parts[respond.PartObjectKey], t.Parts[respond.PartObjectVer]
	b, err := e.w.findBucket(name)
	if err != nil {
		policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::" + name + "/*"}}})
		if err != nil {
			panic(err) // texts only
		}
		b = e.AddBucket(t.Account, Bucket{Name: name, Region: t.Region, Policy: string(policy)})
	}
	if key == "" {
		return
	}
	versioned := version != "" && version != "null"
	if versioned && b.Versioning == "" {
		b.Versioning = "Enabled"
	}
	o := e.PutObject(name, key, Object{Body: []byte("simulated")})
	if versioned {
		o.Version = version
	}
}

// hasParameter reports whether a parameter is there.
func (e *Editor) hasParameter(account, region, name string) bool {
	_, r := e.w.at(account, region)
	return r.SSM.Parameters[name] != nil
}
