package cloudtest_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/guardroom/guardroom/cloud/cloudtest"
)

var motoURL string

func TestMain(m *testing.M) {
	server, err := cloudtest.StartMoto()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	motoURL = server.URL
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

func TestMotoBehindTheProxyKeepsTheContract(t *testing.T) {
	t.Parallel()
	cloudtest.Run(t, cloudtest.MotoBackend(motoURL))
}

func TestTheSimulatorKeepsTheContract(t *testing.T) {
	t.Parallel()
	cloudtest.Run(t, cloudtest.SimBackend())
}
