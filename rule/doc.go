// Package rule compiles and evaluates the conditions of suppressions and routes:
// small expressions over a finding, in expr-lang.
//
// A condition's text comes in (Compile), a Rule goes out that answers yes or no
// for an Env. Conditions are checked when they are loaded, with the offending
// place marked, so that a typing error never shows at three in the morning.
//
// The package does no I/O. It must never run a regular expression of a user over
// text of an attacker, and never let a condition run for long.
//
// Read Env, then Compile.
package rule
