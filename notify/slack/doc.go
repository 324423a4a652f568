// Package slack shows incidents in Slack, by bot token or, with less, by
// incoming webhook.
//
// Views come in, one root message per incident goes out, edited in place, with a
// few lines in its thread. Text that was written by others can neither mention
// anybody nor become a link. It must never post a second root message for an
// incident whose first one it can find.
//
// Read Notifier.Reconcile first.
package slack
