// Package evidence is what was preserved: items with their hashes, who had them
// in hand, what could not be taken, and a sealed manifest that proves itself.
//
// Comes in: items and gaps that the steps of a run report. Goes out: a manifest,
// canonical JSON whose digest covers every item, and the digest of the manifest
// before it. Integrity can be verified; nothing here says more than that.
//
// It must never delete sealed evidence. Read Item, then Manifest.
package evidence
