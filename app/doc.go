// Package app builds guardroom from its configuration. It is the only place
// where the parts are wired to each other.
//
// Read the files in this order:
//
//   - What is built: app.go, open.go (the store), service.go (what the API serves),
//     serve.go (a running service), sources.go, lambda.go, destinations.go,
//     vendors.go, tokens.go, simulate.go, aws.go.
//   - The way of a finding: flow.go is the way through the whole program, triage.go
//     judges, together.go shares commits, accept.go is the transaction.
//   - The way of a message: want.go says which revision should be shown, views.go
//     and runview.go what is in it, ledger.go keeps the deliveries, many.go changes
//     many of them, wait.go waits for them. commands.go is what people do to incidents.
//   - The way of a plan: respond.go builds it, playbooks.go lists the responses.
//     desk.go makes plans: leading.go says of which finding, choice.go what else it
//     is about, own.go what is guardroom's own, vault.go what the evidence bucket is
//     like. wishes.go makes the plans that routes want. decide.go approves,
//     mayundo.go says when a run may be undone.
//   - The way of a run: runs.go carries it out, overtaken.go looks first whether the
//     plan still holds. owed.go closes what it opened. detection.go keeps the
//     finding, testimony.go puts the steps into the audit chain, seal.go seals the
//     evidence, evidence.go verifies and exports it. checks.go looks later whether
//     the containment holds, cleanup.go removes working copies. told.go has the words
//     that people read of all this.
//   - What watches: watch.go, takeover.go (what lost workers had in hand), late.go,
//     notices.go, health.go, clock.go, metrics.go, doctor.go, doctor_respond.go.
package app
