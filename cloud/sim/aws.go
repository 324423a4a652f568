package sim

import (
	"context"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// AWS gives clients of the world. They are safe for concurrent use.
func (w *World) AWS() awscalls.AWS { return provider{w: w} }

// provider gives the clients; those of the services that are not here are in
// aws_rest.go.
type provider struct{ w *World }

// Simulated implements awscalls.AWS.
func (provider) Simulated() bool { return true }

// EC2 implements awscalls.AWS.
func (p provider) EC2(_ context.Context, at awscalls.Place) (awscalls.EC2, error) {
	return &ec2Client{p.w.clientFor(at)}, nil
}

// AutoScaling implements awscalls.AWS.
func (p provider) AutoScaling(_ context.Context, at awscalls.Place) (awscalls.AutoScaling, error) {
	return &asgClient{p.w.clientFor(at)}, nil
}

// ELB implements awscalls.AWS.
func (p provider) ELB(_ context.Context, at awscalls.Place) (awscalls.ELB, error) {
	return &elbClient{p.w.clientFor(at)}, nil
}

// ELBv2 implements awscalls.AWS.
func (p provider) ELBv2(_ context.Context, at awscalls.Place) (awscalls.ELBv2, error) {
	return &elbv2Client{p.w.clientFor(at)}, nil
}
