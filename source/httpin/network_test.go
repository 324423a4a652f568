package httpin

import "testing"

func TestWhatCountsAsOneAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.7:443":                     "192.0.2.7",
		"[::ffff:192.0.2.7]:443":            "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:443":        "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff:ffff:ffff:1]:1": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1":                  "fe80::/64",
		"@":                                 "@",
	} {
		if got := network(remote); got != want {
			t.Errorf("%s counts as %s, want %s", remote, got, want)
		}
	}
}
