// Package loopback finds addresses for servers that tests start as processes of
// their own, which must be told where to listen before they do.
//
// Between choosing a port and listening there, and while a server that was
// killed is started again, anybody may take a port of 127.0.0.1: every other
// test listens there. So each address has an IP of its own out of 127.0.0.0/8,
// where the system has them. Nothing goes in, and what comes out is host:port;
// the package must never keep a listener open. Read Address.
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Address returns an address, as host:port, where nobody listens and where
// nobody else is likely to. It may be called as often as one likes, from several
// goroutines. A system that knows 127.0.0.1 only gets a free port of that.
func Address() (string, error) {
	var l net.Listener
	var err error
	for range 10 {
		host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // no secret
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err == nil {
			break
		}
	}
	if err != nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", fmt.Errorf("find a free port: %w", err)
		}
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", fmt.Errorf("free the port that was found: %w", err)
	}
	return address, nil
}
