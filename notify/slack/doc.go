// Package slack shows incidents in Slack, by bot token or, with less, by
// incoming webhook.
//
// Views come in, one root message per incident goes out, edited in place, with a
// few lines in its thread. Text that was written by others can neither mention
// anybody nor become a link. It must never post a second root message for an
// incident whose first one it can find.
//
// The client is our own, because what is sent must be exact: an edit needs
// "blocks":[] to take blocks away, "parse":"none" against text that comes alive,
// and the moment after which a request may have arrived must be known. The tests
// read what is sent with github.com/slack-go/slack, as a second opinion.
//
// Read Notifier.Reconcile first.
package slack
