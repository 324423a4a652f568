// Package catalog knows the finding types of GuardDuty: the facts about each
// and a short explanation for the person who is woken by it.
//
// facts.json holds one line per type. texts.json holds the words: what was
// seen by family (the most specific key wins), why it matters by purpose, and
// what to check first by resource.
package catalog
