package loopback_test

import (
	"net"
	"testing"

	"github.com/guardroom/guardroom/internal/loopback"
)

func TestAnAddressIsFreeAndOfThisMachine(t *testing.T) {
	t.Parallel()
	for range 50 {
		address, err := loopback.Address()
		if err != nil {
			t.Fatal(err)
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil || !net.ParseIP(host).IsLoopback() {
			t.Errorf("%s is none of this machine's own: %v", address, err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s cannot be listened at: %v", address, err)
			continue
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
