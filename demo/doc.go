// Package demo tells a made-up day in three AWS accounts of a fictional
// company and shows what guardroom does with it.
//
// A start of the day goes in; Day gives the same events for it each time, as
// any source could deliver them, together with what people do. Play streams
// them through a real guardroom (Room) that speaks to stand-ins of Slack, Jira
// and PagerDuty, has it contain a host and take that back in a simulated AWS, and
// writes lines that a person reads in a terminal.
//
// It must never speak to anything outside this machine, and never show a line
// that was not read back from the store or from a stand-in. Everybody and
// everything in it is invented: addresses, names and networks are those that
// documentation reserves.
//
// Read Day for the story, Play for the show.
package demo
