package server

import "google.golang.org/protobuf/encoding/protowire"

// The numbers of the fields that are encoded or decoded by hand. A test holds them to the contract.
const (
	taskID                  protowire.Number = 1
	taskQueue               protowire.Number = 2
	taskInstruction         protowire.Number = 3
	taskDependsOn           protowire.Number = 5
	taskOnDependencyFailure protowire.Number = 6
	taskBudget              protowire.Number = 7
	taskIntensity           protowire.Number = 8
	taskPriority            protowire.Number = 9
	taskAttemptTimeout      protowire.Number = 12
	taskRetry               protowire.Number = 13
	taskRequires            protowire.Number = 16

	resultText       protowire.Number = 1
	resultModel      protowire.Number = 3
	resultBudgetUsed protowire.Number = 4

	submitTasks protowire.Number = 1 // SubmitTasksRequest.tasks, and SubmitTaskRequest.task

	extendExtensions protowire.Number = 1
	reportReports    protowire.Number = 1
	releaseReleases  protowire.Number = 1
	acquireQueues    protowire.Number = 6
	watchTasks       protowire.Number = 3

	requestHello     protowire.Number = 1
	requestCredit    protowire.Number = 2
	requestHeartbeat protowire.Number = 3
	requestReports   protowire.Number = 4
	requestDraining  protowire.Number = 6

	heartbeatNumber    protowire.Number = 1
	heartbeatRoundTrip protowire.Number = 3

	reportLease  protowire.Number = 1
	reportResult protowire.Number = 2

	responseGrants  protowire.Number = 2
	responseAcks    protowire.Number = 3
	responseCancels protowire.Number = 4

	leaseID        protowire.Number = 1
	leaseTask      protowire.Number = 2
	leaseAttempt   protowire.Number = 3
	leaseRun       protowire.Number = 4
	leaseExpiresIn protowire.Number = 5

	ackLease   protowire.Number = 1
	ackOutcome protowire.Number = 2
	ackReason  protowire.Number = 3
	ackMessage protowire.Number = 4

	cancelLease  protowire.Number = 1
	cancelReason protowire.Number = 2

	durationSeconds protowire.Number = 1
	durationNanos   protowire.Number = 2
)
