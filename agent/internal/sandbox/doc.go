// Package sandbox is a stand-in for the HTTP API that agents run tasks against: for trying stint out and for tests.
// There is no model behind it. It does small, honest text work by fixed rules, says so at the head of each result, and
// names itself in the header Stint-Sandbox of every answer and in the field model.
//
// # Endpoints
//
//	POST /grind                 prompt, model, model_tier, min_budget, max_budget, intensity, task_id
//	                            → status, result, model, budget_used, usage, task_id, nonce
//	POST /v1/chat/completions   model, messages[{role, content}], temperature, task_id
//	                            → id, object, created, model, choices[0], usage
//	GET  /healthz               → status; always well, and in no call log
//
// Keys not listed are ignored. Errors are {"error": {"type", "message"}} and name the field. A body is at most 4 MiB.
//
// # Words
//
//   - A task call is a POST to one of the two working endpoints. Only task calls are misbehaved to.
//   - A call is any request but GET /healthz. Each has a nonce, random and never repeated: a result that carries it
//     can be traced to the line of the call log that it came from.
//   - Words are runs of letters and digits, tokens are estimated at four bytes each, and budget_used is tokens × a fixed
//     price, clamped to [min_budget, max_budget]. None of it is billed by anybody.
//
// # What is always true
//
//   - The same prompt and intensity give the same result text, on every machine.
//   - Text of a task never chooses behaviour. Delays, failures and silence come from Config alone; which call fails
//     depends on Config.Seed and the number of the task call since the start, on nothing else.
//   - With a call log, the line of a call is synced before the first byte of its answer leaves. A call that gets no
//     answer (hanging, caller gone, shutdown) has a line with status 0. After a failed write or sync of the log
//     every call is answered with 500: none goes unrecorded.
//
// # What callers must do
//
// Build with New, which checks and touches nothing; call Run once. Tests may serve Handler themselves instead.
package sandbox
