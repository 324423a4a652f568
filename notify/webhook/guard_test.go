package webhook

import (
	"net/netip"
	"testing"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakewebhook"
	"github.com/guardroom/guardroom/notify"
)

func TestAddressesInsideAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		addr          string
		plain, opened bool // may be called without and with allow_private
		why           string
	}{
		{"203.0.113.7", true, true, "public"},
		{"2606:4700::1", true, true, "public"},
		{"127.0.0.1", false, true, "loopback"},
		{"127.8.9.1", false, true, "loopback"},
		{"::1", false, true, "loopback"},
		{"::ffff:127.0.0.1", false, true, "loopback, mapped"},
		{"10.1.2.3", false, true, "private"},
		{"172.16.0.1", false, true, "private"},
		{"192.168.1.1", false, true, "private"},
		{"100.64.0.1", false, true, "carrier-grade NAT"},
		{"fd12::1", false, true, "unique local"},
		{"fec0::1", false, true, "site-local"},
		{"169.254.169.254", false, false, "metadata"},
		{"::ffff:169.254.169.254", false, false, "metadata, mapped"},
		{"fd00:ec2::254", false, false, "metadata"},
		{"fe80::1%eth0", false, false, "link-local"},
		{"64:ff9b::a9fe:a9fe", false, false, "metadata by NAT64"},
		{"64:ff9b::7f00:1", false, true, "loopback by NAT64"},
		{"64:ff9b::cb00:7107", true, true, "public by NAT64"},
		{"2002:a9fe:a9fe::1", false, false, "metadata by 6to4"},
		{"::a9fe:a9fe", false, false, "metadata, compatible"},
		{"0.0.0.0", false, false, "unspecified"},
		{"0.1.2.3", false, false, "this network"},
		{"::", false, false, "unspecified"},
		{"224.0.0.1", false, false, "multicast"},
		{"ff02::1", false, false, "multicast"},
		{"255.255.255.255", false, false, "broadcast"},
	} {
		a := netip.MustParseAddr(tt.addr)
		if got := (guard{}).check(a) == nil; got != tt.plain {
			t.Errorf("%s (%s) may be called: %t, want %t", tt.addr, tt.why, got, tt.plain)
		}
		if got := (guard{allowPrivate: true}).check(a) == nil; got != tt.opened {
			t.Errorf("%s (%s) may be called with allow_private: %t, want %t", tt.addr, tt.why, got, tt.opened)
		}
	}
}

func TestTheGuardLooksAtTheAddressThatIsUsed(t *testing.T) {
	t.Parallel()
	h := newHook(t, fakewebhook.Options{}, func(c *Config) { c.AllowPrivate = false })
	_, err := h.try(sampleView())
	if e := asError(t, err); e.Class != notify.Pause || e.Hint == "" {
		t.Errorf("%s: %v", e.Class, err)
	}
	h = newHook(t, fakewebhook.Options{}, func(c *Config) {
		c.AllowPrivate, c.URL = false, config.NewSecret("http://localhost:9/") // a name that leads inside
	})
	_, err = h.try(sampleView())
	if e := asError(t, err); e.Class != notify.Pause {
		t.Errorf("a name that leads to loopback: %s: %v", e.Class, err)
	}
}
