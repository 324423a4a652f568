// Package cloudtest is the contract of AWS as responses use it: cases that run
// on the simulator and on moto through the real SDK and the proxy.
//
// Comes in: a Backend, which is one of the two with a world of its own. A case
// builds what it needs by the backend's Scenery, calls AWS by the interfaces of
// respond/awscalls, and says by World.Is and World.Code what AWS documents. A
// backend that answers otherwise needs a line in Known; a line whose difference
// is gone fails the case, so that the list stays true.
//
// The package must never be part of the program. Read World, then Known.
package cloudtest
