// Package source is where findings come from. Each way in is a folder of its
// own; all of them hand what they received to the same Intake, and acknowledge
// to their sender only after Intake has committed it.
//
// Read Intake first.
package source
