// Package demo tells a made-up day in three AWS accounts of a fictional
// company, as GuardDuty events that any source could deliver.
package demo
