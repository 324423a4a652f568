// Package incident is what people work on: one or more findings about the same
// thing, with a state, an owner, a verdict and a timeline.
//
// Finding revisions and commands of people come in as method calls on Incident;
// timeline entries come out. The package is pure: no I/O, no clock, no store.
// It must never lower a severity because of a finding, and never change a
// closed incident except by Reopen.
//
// Read Incident and then Join.
package incident
