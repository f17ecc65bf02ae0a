package server

import (
	"slices"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// role is who a method is for. This version knows no identities and refuses nobody.
type role int

const (
	anyone    role = iota + 1 // health: a load balancer has no identity
	submitter                 // has work done
	agent                     // runs tasks
	operator                  // looks after the coordinator
)

// policy is the row of a method.
type policy struct {
	roles []role
	// repeat: calling it again verbatim has no effect beyond the first. (Submit and Acquire:
	// given an id.)
	repeat bool
	// wait is how long a request asks to be parked; nil: it never is.
	wait func(request any) time.Duration
	// foreign: the handler of the stream is a library's and does not know of going away, so
	// its streams are ended for it.
	foreign bool
}

// policies has a row for each method that is served. A method without one is refused.
var policies = map[string]policy{
	stintv1.TaskService_SubmitTask_FullMethodName:  {roles: []role{submitter}, repeat: true},
	stintv1.TaskService_SubmitTasks_FullMethodName: {roles: []role{submitter}, repeat: true},
	stintv1.TaskService_GetTask_FullMethodName:     {roles: []role{submitter, operator}, repeat: true},
	stintv1.TaskService_ListTasks_FullMethodName:   {roles: []role{submitter, operator}, repeat: true},
	stintv1.TaskService_WaitTask_FullMethodName:    {roles: []role{submitter}, repeat: true, wait: waitOfTask},
	stintv1.TaskService_CancelTask_FullMethodName:  {roles: []role{submitter, operator}, repeat: true},
	stintv1.TaskService_RetryTask_FullMethodName:   {roles: []role{submitter, operator}, repeat: true},
	stintv1.TaskService_CancelTasks_FullMethodName: {roles: []role{submitter, operator}, repeat: true},
	stintv1.TaskService_RetryTasks_FullMethodName:  {roles: []role{submitter, operator}}, // may start a second run
	stintv1.TaskService_ExplainTask_FullMethodName: {roles: []role{submitter, operator}, repeat: true},
	stintv1.TaskService_WatchEvents_FullMethodName: {roles: []role{submitter, operator}, repeat: true},

	stintv1.AgentService_Session_FullMethodName:       {roles: []role{agent}, repeat: true},
	stintv1.AgentService_AcquireLeases_FullMethodName: {roles: []role{agent}, repeat: true, wait: waitOfAcquire},
	stintv1.AgentService_ExtendLeases_FullMethodName:  {roles: []role{agent}, repeat: true},
	stintv1.AgentService_ReportLeases_FullMethodName:  {roles: []role{agent}, repeat: true},
	stintv1.AgentService_ReleaseLeases_FullMethodName: {roles: []role{agent}, repeat: true},
	stintv1.AgentService_ListAgents_FullMethodName:    {roles: []role{operator}, repeat: true},
	stintv1.AgentService_GetAgent_FullMethodName:      {roles: []role{operator}, repeat: true},
	stintv1.AgentService_DrainAgent_FullMethodName:    {roles: []role{operator}, repeat: true},

	stintv1.QueueService_GetQueue_FullMethodName:    {roles: []role{operator}, repeat: true},
	stintv1.QueueService_ListQueues_FullMethodName:  {roles: []role{operator}, repeat: true},
	stintv1.QueueService_PauseQueue_FullMethodName:  {roles: []role{operator}, repeat: true},
	stintv1.QueueService_ResumeQueue_FullMethodName: {roles: []role{operator}, repeat: true},
	stintv1.QueueService_UpdateQueue_FullMethodName: {roles: []role{operator}, repeat: true},
	stintv1.QueueService_GetSpend_FullMethodName:    {roles: []role{operator}, repeat: true},
	stintv1.QueueService_GetStatus_FullMethodName:   {roles: []role{operator}, repeat: true},

	healthpb.Health_Check_FullMethodName: {roles: []role{anyone}, repeat: true},
	healthpb.Health_List_FullMethodName:  {roles: []role{anyone}, repeat: true},
	healthpb.Health_Watch_FullMethodName: {roles: []role{anyone}, repeat: true, foreign: true},

	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName:      {roles: []role{submitter, agent, operator}, repeat: true, foreign: true},
	reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName: {roles: []role{submitter, agent, operator}, repeat: true, foreign: true},
}

func waitOfTask(request any) time.Duration {
	return taskWait(request.(*stintv1.WaitTaskRequest))
}

func waitOfAcquire(request any) time.Duration {
	return request.(*stintv1.AcquireLeasesRequest).GetWait().AsDuration()
}

// unlisted gives the methods, of those served, that have no row.
func unlisted(methods []string) []string {
	missing := slices.DeleteFunc(slices.Clone(methods), func(m string) bool {
		_, ok := policies[m]
		return ok
	})
	slices.Sort(missing)
	return missing
}
