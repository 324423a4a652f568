package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// chance is the same random bytes every time.
func chance(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func signer(t *testing.T, seed byte) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(chance(seed))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func parts(items ...evidence.Item) evidence.Parts {
	items, _ = evidence.OfRun("run_1", items, nil)
	return evidence.Parts{Case: evidence.Case{Incident: "INC-42", Accounts: []string{"111122223333"}, Regions: []string{"eu-west-1"}}, Run: "run_1", By: "guardroom/run_1", Items: items}
}

func build(t *testing.T, previous []byte, p evidence.Parts) evidence.Manifest {
	t.Helper()
	m, err := evidence.Build(previous, p, noon)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sealed(t *testing.T, m evidence.Manifest, key ed25519.PrivateKey) evidence.Sealed {
	t.Helper()
	s, err := evidence.Seal(m, key, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestARevisionHoldsAllThatTheOneBeforeHeldAndItsDigest(t *testing.T) {
	t.Parallel()
	one := parts(evidence.Item{ID: "snapshot/vol-1", Kind: evidence.Snapshot, Location: "snap-1", Gap: "its blocks were not hashed", CreatedAt: noon})
	one.Gaps = []evidence.Gap{{What: "memory", Why: "no agent"}}
	one.Custody = []evidence.Custody{{At: noon, Who: "guardroom", Action: "acquired", Item: "snapshot/vol-1"}}
	first, err := build(t, nil, one).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := build(t, first, parts(evidence.Item{ID: "snapshot/vol-1", SHA256: strings.Repeat("a", 64)})).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	two := parts()
	two.Run = "run_2"
	two.Items, _ = evidence.OfRun("run_2", []evidence.Item{{ID: "snapshot/vol-1", Kind: evidence.Snapshot, Location: "snap-2", CreatedAt: noon}}, nil)
	got := build(t, again, two)
	first = again
	if got.Revision != 3 || got.Previous != evidence.Digest(first) {
		t.Errorf("revision %d after %s, want 3 after %s", got.Revision, got.Previous, evidence.Digest(first))
	}
	want := []evidence.Item{
		{ID: "run_1/snapshot/vol-1", Kind: evidence.Snapshot, Location: "snap-1", SHA256: strings.Repeat("a", 64), CreatedAt: noon},
		{ID: "run_2/snapshot/vol-1", Kind: evidence.Snapshot, Location: "snap-2", CreatedAt: noon},
	}
	if d := cmp.Diff(want, got.Items); d != "" {
		t.Error("the items are not those of both runs, with the gap closed by the hash:\n", d)
	}
	if len(got.Gaps) != 1 || len(got.Custody) != 1 || !cmp.Equal(got.Runs, []string{"run_1", "run_2"}) {
		t.Errorf("gaps, custody or runs of the first revision were lost: %+v", got)
	}
	if _, err := evidence.Build(first, evidence.Parts{Case: evidence.Case{Incident: "INC-7"}}, noon); err == nil {
		t.Error("a manifest of another incident was taken for the one before")
	}
}

func TestDefect22TimesAreWrittenInUTCWhateverTheZoneOfTheHost(t *testing.T) {
	t.Parallel()
	tokyo := time.FixedZone("JST", 9*3600)
	p := parts(evidence.Item{ID: "a", CreatedAt: noon.In(tokyo), AWSTime: noon.In(tokyo), LockUntil: noon.In(tokyo)})
	p.Custody = []evidence.Custody{{At: noon.In(tokyo), Who: "guardroom", Action: "acquired"}}
	m, err := evidence.Build(nil, p, noon.In(tokyo))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "+09:00") || strings.Count(string(raw), "2026-11-25T12:00:00Z") != 5 {
		t.Errorf("the instants are not those, in UTC: %s", raw)
	}
}

func TestWhatIsSealedIsReadAgainAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringOfN(rapid.Rune(), 0, 20, -1)
		p := parts()
		for n := range rapid.IntRange(0, 5).Draw(r, "items") {
			p.Items = append(p.Items, evidence.Item{ID: "i" + string(rune('a'+n)), Title: text.Draw(r, "title"), Source: text.Draw(r, "source"), SizeBytes: rapid.Int64Range(0, 1<<50).Draw(r, "size"),
				CreatedAt: noon.Add(time.Duration(rapid.Int64Range(0, 1<<40).Draw(r, "at")))})
		}
		p.Gaps = []evidence.Gap{{What: text.Draw(r, "what"), Why: text.Draw(r, "why")}}
		m, err := evidence.Build(nil, p, noon)
		if err != nil {
			r.Fatal(err)
		}
		s, err := evidence.Seal(m, nil, "")
		if err != nil {
			r.Fatal(err)
		}
		again, err := evidence.Decode(s.Bytes)
		if err != nil {
			r.Fatal(err)
		}
		bytes2, err := again.Bytes()
		if err != nil || !bytes.Equal(bytes2, s.Bytes) {
			r.Fatalf("read and written again it is another: %v", err)
		}
	})
}

func TestEveryChangedByteOfAManifestIsNoticed(t *testing.T) {
	t.Parallel()
	key := signer(t, 1)
	s := sealed(t, build(t, nil, parts(evidence.Item{ID: "a", SHA256: strings.Repeat("a", 64), Location: "s3://b/k"})), key)
	public := key.Public().(ed25519.PublicKey)
	if err := s.Check(public); err != nil {
		t.Fatalf("as it is: %v", err)
	}
	for n := range s.Bytes {
		changed := s
		changed.Bytes = bytes.Clone(s.Bytes)
		changed.Bytes[n] ^= 1
		if changed.Check(public) == nil {
			t.Fatalf("byte %d was changed and nobody noticed", n)
		}
		changed.SHA256 = evidence.Digest(changed.Bytes)
		if changed.Check(public) == nil {
			t.Fatalf("byte %d was changed, and the digest with it, and nobody noticed", n)
		}
	}
}

func TestSignaturesByAnotherKeyAreRefused(t *testing.T) {
	t.Parallel()
	ours, other := signer(t, 1), signer(t, 2)
	m := build(t, nil, parts())
	public := ours.Public().(ed25519.PublicKey)
	forged := sealed(t, m, other)
	unsigned := sealed(t, m, nil)
	broken := sealed(t, m, ours)
	broken.Signature.PublicKey = base64.StdEncoding.EncodeToString([]byte("short"))
	for name, s := range map[string]evidence.Sealed{"signed by another key": forged, "not signed": unsigned, "with a key of another length": broken} {
		if err := s.Check(public); fault.CodeOf(err) != fault.Corrupt {
			t.Errorf("a manifest %s: %v", name, err)
		}
	}
	if err := unsigned.Check(nil); err != nil || unsigned.Signature.Unsigned == "" {
		t.Errorf("without a key: %v, reason %q", err, unsigned.Signature.Unsigned)
	}
}

func TestTheSigningKeyIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys", "evidence.pem")
	keys := make([]ed25519.PrivateKey, 8)
	var group sync.WaitGroup
	for n := range keys {
		group.Go(func() {
			k, err := evidence.OpenKey(path, chance(byte(n)))
			if err != nil {
				t.Error(err)
			}
			keys[n] = k
		})
	}
	group.Wait()
	for _, k := range keys {
		if !k.Equal(keys[0]) {
			t.Fatal("two keys were made at the same time")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the key is left: %v, %v", left, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.OpenKey(path, chance(1)); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a key that others may read: %v", err)
	}
	for name, text := range map[string]string{"text": "hello", "pem": "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n"} {
		bad := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.OpenKey(bad, chance(1)); err == nil {
			t.Errorf("a file with %s was taken for a key", name)
		}
		if now, _ := os.ReadFile(bad); string(now) != text {
			t.Errorf("the file with %s was overwritten", name)
		}
	}
}

func TestManifestsThatNoBuildMakesAreRefused(t *testing.T) {
	t.Parallel()
	good, err := build(t, nil, parts(evidence.Item{ID: "a"}, evidence.Item{ID: "b"})).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Decode(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"an unknown field":         {`"schema":1`, `"schema":1,"secret":true`},
		"space that means nothing": {`"schema":1`, `"schema": 1`},
		"another schema":           {`"schema":1`, `"schema":2`},
		"no incident":              {`"incident":"INC-42"`, `"incident":""`},
		"revision nought":          {`"revision":1`, `"revision":0`},
		"a second revision alone":  {`"revision":1`, `"revision":2`},
		"items out of order":       {`"id":"run_1/b"`, `"id":"run_1/A"`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("%s: the manifest does not hold %s", name, change[0])
		}
		if _, err := evidence.Decode([]byte(bad)); fault.CodeOf(err) != fault.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := evidence.Decode(append(good, "{}"...)); err == nil {
		t.Error("something after the manifest was not noticed")
	}
	if _, err := evidence.Decode(make([]byte, evidence.MaxManifest+1)); err == nil {
		t.Error("a manifest beyond all bounds was read")
	}
}

func FuzzDecode(f *testing.F) {
	m, err := evidence.Build(nil, parts(evidence.Item{ID: "a", Title: "x\u2028<&>", SHA256: strings.Repeat("a", 64), CreatedAt: noon}), noon)
	if err != nil {
		f.Fatal(err)
	}
	raw, err := m.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"schema":1}`))
	f.Add([]byte(`{"items":[{"id":"b"},{"id":"a"}],"schema":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := evidence.Decode(raw)
		if err != nil {
			if fault.CodeOf(err) != fault.Corrupt {
				t.Fatalf("not said to be corrupt: %v", err)
			}
			return
		}
		again, err := m.Bytes()
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("what was taken is not what is written: %v", err)
		}
	})
}
