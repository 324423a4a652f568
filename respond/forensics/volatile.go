package forensics

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// showing is one thing that AWS shows of an instance.
type showing struct {
	file, media string
	kind        evidence.Kind
	title, how  string
	trust       string
	// none is what is said where there is nothing to keep, and nothing is missing;
	// empty: nothing is a gap.
	none string
	// get returns nil and why where there is nothing to keep.
	get func(ctx context.Context, c awscalls.EC2, instance string) (data []byte, why string, err error)
}

// show keeps what AWS shows. What it does not show is a gap, which the report
// states, and no failure.
func show(x *respond.Exec, s showing) (playbook.Outcome, error) {
	var p instanceParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	why := ""
	o, err := keep(x, s.file, s.media, func() ([]byte, error) {
		return look(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (data []byte, err error) {
			data, why, err = s.get(ctx, c, p.Instance)
			return data, err
		})
	})
	switch {
	case respond.Is(err, "UnsupportedOperation", "InvalidRequest", "IncorrectInstanceState", "IncorrectState*"):
		why = short(err)
	case respond.Is(err, "InvalidInstanceID*"):
		return playbook.Outcome{}, gone(p.Instance, x.Def.Region)
	case err != nil && strings.HasPrefix(respond.Called(err), "S3.") && !ended(err) && (!respond.Transient(err) || x.Attempt() >= 3):
		return inStore(x, s, p.Instance, err)
	case err != nil:
		return playbook.Outcome{}, err
	}
	switch {
	case why != "" && why == s.none:
		return playbook.Outcome{Message: why}, nil
	case why != "":
		return playbook.Outcome{State: playbook.Skipped, Message: why}, nil
	}
	i := o.object(x, s.kind, s.title, p.Instance, s.how, s.trust)
	if err := x.Preserve(i); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: fmt.Sprintf("kept %d bytes, SHA-256 %s", o.Bytes, o.SHA256)}, x.Custody("acquired", i.ID, p.Instance, i.Location, s.title)
}

// mostInStore is how many bytes the record of a step takes at most.
const mostInStore = 512 << 10

// inStore keeps in the record of the step what the evidence bucket did not take:
// nobody can take a picture of that moment again. The user data may hold secrets
// and is kept in the bucket or not at all.
func inStore(x *respond.Exec, s showing, instance string, refused error) (playbook.Outcome, error) {
	refused = respond.Explain(refused, "write "+s.file+" to the evidence bucket "+x.Policy.Evidence.Bucket, "the instance is as it was")
	if local(x) == StepUserData {
		return playbook.Outcome{}, refused
	}
	var data []byte
	if !x.Load(savedData, &data) {
		found, err := look(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (data []byte, err error) {
			data, _, err = s.get(ctx, c, instance)
			return data, err
		})
		if err != nil || len(found) == 0 || len(found) > mostInStore {
			return playbook.Outcome{}, refused
		}
		data = found
		if err := x.Save(savedData, data); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if err := x.Save(savedRefused, fault.Of(refused).Error()); err != nil {
		return playbook.Outcome{}, err
	}
	digest := evidence.Digest(data)
	return playbook.Outcome{Message: fmt.Sprintf("kept %d bytes in the record of this step, SHA-256 %s; the evidence bucket did not take it", len(data), digest)},
		x.Custody("acquired", x.Def.ID, instance, "the record of the step", s.title+", SHA-256 "+digest)
}

// screenshot keeps a picture of the console.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleScreenshot.html
func screenshot(x *respond.Exec) (playbook.Outcome, error) {
	return show(x, showing{file: "console.jpg", media: "image/jpeg", kind: evidence.Console, title: "picture of the console", how: "EC2.GetConsoleScreenshot", trust: trustHost,
		get: func(ctx context.Context, c awscalls.EC2, id string) ([]byte, string, error) {
			out, err := c.GetConsoleScreenshot(ctx, &ec2.GetConsoleScreenshotInput{InstanceId: aws.String(id)})
			if err != nil {
				return nil, "", err
			}
			data, err := decoded(out.ImageData)
			return data, empty(data, "AWS returned no picture"), err
		}})
}

// console keeps the console output: the newest, or where the type of the
// instance has no such thing, what AWS kept last.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html
func console(x *respond.Exec) (playbook.Outcome, error) {
	return show(x, showing{file: "console.txt", media: "text/plain", kind: evidence.Console, title: "console output", how: "EC2.GetConsoleOutput", trust: trustHost,
		get: func(ctx context.Context, c awscalls.EC2, id string) ([]byte, string, error) {
			out, err := c.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: aws.String(id), Latest: aws.Bool(true)})
			if respond.Is(err, "UnsupportedOperation", "InvalidParameter*") {
				out, err = c.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: aws.String(id)})
			}
			if err != nil {
				return nil, "", err
			}
			data, err := decoded(out.Output)
			return data, empty(data, "AWS has no output of it"), err
		}})
}

// userData keeps the user data, which may hold secrets: it goes into the
// encrypted bucket and nowhere else.
func userData(x *respond.Exec) (playbook.Outcome, error) {
	const none = "the instance has no user data"
	return show(x, showing{none: none, file: "user-data.bin", media: "application/octet-stream", kind: evidence.Metadata, title: "user data", how: "EC2.DescribeInstanceAttribute", trust: trustAWS,
		get: func(ctx context.Context, c awscalls.EC2, id string) ([]byte, string, error) {
			out, err := c.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: aws.String(id), Attribute: types.InstanceAttributeNameUserData})
			if err != nil {
				return nil, "", err
			}
			var text *string
			if out.UserData != nil {
				text = out.UserData.Value
			}
			data, err := decoded(text)
			return data, empty(data, none), err
		}})
}

func empty(data []byte, why string) string {
	if len(data) == 0 {
		return why
	}
	return ""
}

// decoded is base64 as AWS gives it; nil where there is nothing.
func decoded(text *string) ([]byte, error) {
	s := strings.TrimSpace(aws.ToString(text))
	if s == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, playbook.Permanent(fault.Wrap(fault.Unavailable, respond.Worded(err), "read what AWS encoded", "", "ask again later"))
	}
	if len(data) == 0 {
		return nil, nil
	}
	return data, nil
}

// metadata keeps what AWS says of the instance and of what hangs on it, whole.
func metadata(x *respond.Exec) (playbook.Outcome, error) {
	return show(x, showing{file: "instance.json", media: "application/json", kind: evidence.Metadata, title: "what AWS says of the instance", how: "EC2.DescribeInstances and others", trust: trustAWS,
		get: func(ctx context.Context, c awscalls.EC2, id string) ([]byte, string, error) {
			type known struct {
				Instance   []types.Reservation      `json:"instance"`
				Volumes    []types.Volume           `json:"volumes"`
				Interfaces []types.NetworkInterface `json:"interfaces"`
				Snapshots  []types.Snapshot         `json:"older_snapshots"`
				Unknown    []string                 `json:"unknown"`
			}
			k := known{Unknown: []string{}}
			out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
			if err != nil {
				return nil, "", err
			}
			k.Instance = out.Reservations
			if k.Volumes, err = attached(ctx, c, id); err != nil {
				return nil, "", err
			}
			if k.Interfaces, err = interfaces(ctx, c, id); err != nil {
				k.Unknown = append(k.Unknown, "interfaces: "+short(err))
			}
			var ids []string
			for _, v := range k.Volumes {
				ids = append(ids, aws.ToString(v.VolumeId))
			}
			if len(ids) > 0 {
				k.Snapshots, err = snapshots(ctx, c, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{{Name: aws.String("volume-id"), Values: ids}}})
				if err != nil {
					k.Unknown = append(k.Unknown, "snapshots: "+short(err))
				}
			}
			data, err := evidence.Canonical(k)
			return data, "", err
		}})
}

func interfaces(ctx context.Context, c awscalls.EC2, instance string) ([]types.NetworkInterface, error) {
	var list []types.NetworkInterface
	in := &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{instance}}}}
	for {
		out, err := c.DescribeNetworkInterfaces(ctx, in)
		if err != nil {
			return list, err
		}
		list = append(list, out.NetworkInterfaces...)
		if aws.ToString(out.NextToken) == "" {
			return list, nil
		}
		in.NextToken = out.NextToken
	}
}
