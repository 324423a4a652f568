// Package onmoto tests the containment of respond/ec2 with the real SDK, on the
// wire, against moto behind the fault proxy: somebody else's idea of AWS.
//
// It has no code but tests. Read respond/ec2 first.
package onmoto
