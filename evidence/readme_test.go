package evidence_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/evidence"
)

// Whoever has only the folder, and no guardroom, can check it as its README says.
func TestAnExportIsCheckedWithoutGuardroom(t *testing.T) {
	t.Parallel()
	st, s, _ := scene(t)
	folder := filepath.Join(t.TempDir(), "out")
	out, err := evidence.Export(t.Context(), folder, []evidence.Sealed{s}, nil, st)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	text := string(read("README.txt"))
	for _, name := range out.Files {
		if of := strings.NewReplacer("manifest-0001", "manifest-NNNN", s.Signature.KeyID, "ID").Replace(name); name != "README.txt" && !strings.Contains(text, of) {
			t.Errorf("the README does not say what %s is", name)
		}
	}
	block, _ := pem.Decode(read("key-" + s.Signature.KeyID + ".pem"))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	// Exactly the bytes that the text names.
	at := strings.Index(text, "guardroom evidence manifest v1\n")
	if at < 0 {
		t.Fatal(text)
	}
	sum := sha256.Sum256(read("manifest-0001.json"))
	signed := text[at:at+len("guardroom evidence manifest v1\n")] + hex.EncodeToString(sum[:]) + "\n"
	if !ed25519.Verify(public.(ed25519.PublicKey), []byte(signed), read("manifest-0001.sig")) {
		t.Error("the signature is not over what the README says")
	}
	run := func(command string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Dir = folder
		raw, err := cmd.CombinedOutput()
		if err != nil {
			return string(raw) + err.Error()
		}
		return string(raw)
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Log("the commands are not tried: openssl is not here")
		return
	}
	tmp := filepath.Join(t.TempDir(), "signed")
	var lines []string
	for line := range strings.Lines(text) {
		if c, is := strings.CutPrefix(line, "    "); is && (strings.HasPrefix(c, "openssl ") || strings.HasPrefix(c, "printf ") || strings.HasPrefix(c, "sha256sum ") || strings.HasPrefix(c, "for ")) {
			lines = append(lines, strings.ReplaceAll(strings.TrimSpace(c), "/tmp/signed", tmp))
		}
	}
	if len(lines) != 5 {
		t.Fatalf("the README has the commands %q", lines)
	}
	if got := run(lines[0]); strings.Count(got, ": OK\n") != len(out.Files)-1 {
		t.Errorf("%s: %s", lines[0], got)
	}
	files, _ := filepath.Glob(filepath.Join(folder, "0*"))
	if got := run(lines[1]); strings.Count(got, ": sealed\n") != len(files) || len(files) == 0 || strings.Contains(got, "NOT SEALED") {
		t.Errorf("%s: %s", lines[1], got)
	}
	check := lines[2] + " && " + lines[3]
	if got := run(check); !strings.Contains(got, "Signature Verified Successfully") {
		t.Errorf("%s: %s", check, got)
	}
	if got := run(lines[4]); got != s.Signature.KeyID+"\n" {
		t.Errorf("%s: %s", lines[4], got)
	}
	// One byte more is seen, of a file whose sum somebody wrote anew as well.
	if err := os.WriteFile(files[0], append(read(filepath.Base(files[0])), ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run("sha256sum [!S]* > SHA256SUMS; " + lines[1]); strings.Count(got, "NOT SEALED") != 1 {
		t.Errorf("a changed file is taken: %s", got)
	}
	if err := os.WriteFile(filepath.Join(folder, "manifest-0001.json"), append(read("manifest-0001.json"), ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(check); strings.Contains(got, "Verified Successfully") {
		t.Errorf("a changed manifest is taken: %s", got)
	}
}

func TestAnExportThatIsNotSignedSaysSoAndHasItsCustody(t *testing.T) {
	t.Parallel()
	from := parts(evidence.Item{ID: "a", Gap: "x"})
	from.Custody = []evidence.Custody{{At: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), Who: "<kim>", Action: "acquired", Item: "a"}}
	s := sealed(t, build(t, nil, from), nil)
	folder := filepath.Join(t.TempDir(), "out")
	if _, err := evidence.Export(t.Context(), folder, []evidence.Sealed{s}, nil, stock{}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "README.txt"))
	if err != nil || !strings.Contains(string(raw), "not signed") || !strings.Contains(string(raw), s.SHA256) || strings.Contains(string(raw), "openssl") {
		t.Errorf("%s, %v", raw, err)
	}
	var custody []evidence.Custody
	if raw, err = os.ReadFile(filepath.Join(folder, "custody.json")); err == nil {
		err = json.Unmarshal(raw, &custody)
	}
	if diff := cmp.Diff(from.Custody, custody); err != nil || diff != "" || !strings.Contains(string(raw), `"who": "<kim>"`) {
		t.Errorf("custody: %s, %v\n%s", diff, err, raw)
	}
}
