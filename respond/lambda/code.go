package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// Fetch opens what is at a pre-signed address. The address is a secret: neither
// it nor an error that holds it may be shown.
type Fetch func(ctx context.Context, address string) (io.ReadCloser, error)

// HTTP fetches with a client.
func HTTP(client *http.Client) Fetch {
	return func(ctx context.Context, address string) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, errors.New("the address that AWS gave is none")
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, nil, "the server of the code did not answer", codeIsOnlyRead, "it is asked again")
		}
		if resp.StatusCode != http.StatusOK {
			_ = resp.Body.Close()
			return nil, fault.Wrap(fault.Unavailable, nil, "the server of the code answered "+resp.Status, codeIsOnlyRead, "it is asked again with a new address")
		}
		return resp.Body, nil
	}
}

// codeIsOnlyRead is what is true where the code could not be fetched.
const codeIsOnlyRead = "the code stays in AWS as it is; what was done before stays"

// codeLimit is how much code is fetched. AWS takes 50 MB directly, more by S3.
const codeLimit = 64 << 20

func keepCode(fetch Fetch) respond.Action {
	return respond.Action{
		Name:    "lambda.keep-code",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"Lambda.GetFunction"}, awscalls.Forensics: kit.KeepCalls()},
		Options: playbook.Options{Timeout: 15 * time.Minute, Retries: 10},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			what := "the code of function " + p.Function
			if x.Policy.Evidence.Bucket == "" {
				return playbook.Outcome{State: playbook.Skipped, Message: "there is no evidence bucket to keep it in"}, x.Lack(what, "no evidence bucket is configured")
			}
			file, err := os.CreateTemp("", "guardroom-code-*")
			if err != nil {
				return playbook.Outcome{}, fault.Wrap(fault.Unavailable, err, "make room for "+what, "nothing was changed", "look at the space for temporary files")
			}
			defer func() { _ = file.Close(); _ = os.Remove(file.Name()) }()
			c, err := fetchCode(x, fetch, p, file)
			if err != nil {
				return playbook.Outcome{}, err
			}
			if c.gap != "" {
				return playbook.Outcome{State: playbook.Skipped, Message: c.gap}, x.Lack(what, c.gap)
			}
			err = kit.Keep(x, kit.Piece{Name: "code.zip", Kind: evidence.Code, Title: what, Source: p.ARN, How: "Lambda.GetFunction, pre-signed address", Type: "application/zip", Body: file, SHA256: c.sha256, Size: c.size})
			return playbook.Outcome{Message: fmt.Sprintf("%d bytes; the hash is the one that AWS names", c.size)}, err
		}),
	}
}

type code struct {
	gap    string // why it cannot be kept
	sha256 string
	size   int64
}

// fetchCode asks for the address and reads from it at once, since it expires in
// minutes. The bytes must have the hash that AWS names.
func fetchCode(x *respond.Exec, fetch Fetch, p params, to io.ReadWriteSeeker) (c code, err error) {
	err = x.Look(func(ctx context.Context) error {
		api, err := on(ctx, x, awscalls.Read)
		if err != nil {
			return err
		}
		out, err := api.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &p.Function})
		if err != nil {
			return err
		}
		switch {
		case out.Code != nil && aws.ToString(out.Code.ImageUri) != "":
			c.gap = "it is a container image, which stays in its registry: " + aws.ToString(out.Code.ImageUri)
			return nil
		case out.Code == nil || out.Configuration == nil || aws.ToString(out.Code.Location) == "":
			c.gap = "AWS gave no address of it"
			return nil
		case out.Configuration.CodeSize > codeLimit:
			c.gap = fmt.Sprintf("it has %d bytes, and guardroom keeps at most %d: fetch it with aws lambda get-function", out.Configuration.CodeSize, codeLimit)
			return nil
		}
		body, err := fetch(ctx, *out.Code.Location)
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		return c.read(body, to, aws.ToString(out.Configuration.CodeSha256))
	})
	return c, err
}

func (c *code) read(body io.Reader, to io.Writer, want string) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), io.LimitReader(body, codeLimit+1))
	switch {
	case err != nil:
		return fault.Wrap(fault.Unavailable, nil, "the code broke off while it was read", codeIsOnlyRead, "it is asked again")
	case n > codeLimit:
		c.gap = fmt.Sprintf("more came than AWS said, above %d bytes", codeLimit)
		return nil
	}
	sum := h.Sum(nil)
	if got := base64.StdEncoding.EncodeToString(sum); got != want {
		f := fault.New(fault.Conflict, fmt.Sprintf("the code that came has the SHA-256 %s, and AWS names %s", got, want), "the function may have been changed just now: look at it, and make a new plan")
		f.Safe = "it was not kept"
		return playbook.Permanent(f)
	}
	c.sha256, c.size = hex.EncodeToString(sum), n
	return nil
}
