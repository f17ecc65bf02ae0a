// Package server is the coordinator's gRPC port: it serves stint.v1 by asking the engine.
//
// It holds no state of tasks and takes no decision about them. A handler has four beats:
// validate, translate, ask the engine, translate back. If one needs more than that, the core
// lacks a move.
//
// Words
//
//	policy   the row of a method: who calls it, whether it may be repeated, how long it waits
//	chain    the interceptors around every call, told with their reasons in chain.go
//	door     the one place where an error becomes a gRPC status with typed details
//	refusal  an error of this package that carries its reason
//
// What is always true
//
//   - Every registered method has a row in the policy table; New refuses to build a server
//     that lacks one, and a call to a method without one is refused (S1).
//   - Every error of a handler or interceptor leaves with google.rpc.ErrorInfo, domain
//     stint.dev, and a reason of the contract. Only UNAVAILABLE or RetryInfo means "repeat".
//     The text of an unexpected error goes to the log and never to the caller.
//   - Sizes are checked before what they protect is built (S5): 8 MiB by the transport, 4 MiB a
//     request, 512 KiB a task's text, 1 MiB a result. Lists are cut before they are decoded; values
//     of any shape, as in parameters, are not, and grow with the size of their message. Replies and
//     stream messages are cut at 2 MiB or one item, a repeat of AcquireLeases at 3 MiB.
//   - On a stream the goroutine that reads and the one that writes never wait for each other. A
//     peer that does not read is cut, and told from where to go on.
//   - Nothing is answered that the engine has not released (D3): this package keeps no copies.
//
// # Going away
//
// When the context of Run ends, health says NOT_SERVING, the engine is told to grant no more
// and to answer what waits, sessions hear going_away and are closed a moment later, watches and
// health watches end, and calls under way finish. All of that is capped; then what is left is
// cut. The engine must go on running until Run has returned.
package server
