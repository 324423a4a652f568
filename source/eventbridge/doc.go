// Package eventbridge takes findings inside AWS Lambda: EventBridge events,
// batches from SQS, messages of SNS, pointers to S3 objects, or a bare finding
// of a test event.
//
// The event's JSON comes in (Handler.Handle); Input goes to the intake, and the
// answer tells Lambda what to repeat. An EventBridge event is repeated when
// Handle returns an error; of an SQS batch only the messages are repeated that
// the answer names. For that the event source mapping must have
// ReportBatchItemFailures: without it Lambda deletes the whole batch, whatever
// the answer says.
//
// The package must never report success for what is not decided durably, and
// one bad record must never repeat or lose its neighbours.
//
// Read Handler.Handle first.
package eventbridge
