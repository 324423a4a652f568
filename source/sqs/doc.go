// Package sqs takes findings from an Amazon SQS queue: EventBridge events as
// they are, SNS notifications that hold them, and pointers to S3 objects.
//
// Messages come in; Input goes to the intake, and a message is deleted only
// after the intake has committed it and everything that it points to. While a
// message is worked on it stays ours: its visibility is extended in the
// background. A message that cannot be taken comes back after a growing pause,
// and is parked as rejected after a set number of receives.
//
// The package must never delete a message whose content is not decided durably,
// and never let one bad message hold up its neighbours.
//
// An SNS notification in a queue is not checked for its signature. SNS signs it,
// but who may write to the queue is decided by the queue's policy, and whoever
// may write may also write a body without SNS around it. The queue's policy is
// the proof; docs and doctor say so.
//
// A queue with a redrive policy moves messages to its dead-letter queue by its
// own count. Its maxReceiveCount must be larger than max_receives, else AWS is
// faster and the message is not parked here but there.
//
// Read Source.Run first.
package sqs
