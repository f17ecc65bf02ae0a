// Package client is the people's half of the agent program: the calls behind add, get, list, status, cancel, retry,
// watch, wait, explain, agents, drain, queue and spend, and how their answers look.
//
// # Words
//
//   - A verb is one method of Client. It makes its calls, writes its answer to Options.Out and returns.
//   - A note is a remark for the person at the terminal (already existed, connection lost, trying again). Notes go to
//     Options.Notes, so that Out holds answers alone and can be piped.
//   - A change by filter is a cancel or retry of all tasks that a Filter selects, however many. It is counted first and
//     done only when confirmed.
//   - A held queue is one that has tasks which an agent could run, and grants none: paused, at a limit, out of money.
//
// # What is always true
//
//   - Out is either tables for people or, with Options.JSON, the protocol's messages as JSON, one object a line, in
//     lowerCamelCase. The JSON is complete; tables leave out and shorten.
//   - Text that came from a task, an API or an agent is shown without control characters: it can't move the cursor,
//     change the title or fake a line.
//   - Times are UTC, as in 2026-01-02T15:04:05Z.
//   - Unary calls have a deadline of 10 s. Only Wait, Watch and Follow last longer; these three outlive a coordinator
//     that goes away, once it has answered them: they try again with growing, jittered pauses, and Watch resumes from the
//     last bookmark, so that no event is missed or shown twice.
//   - A failed call is told in one line: what was tried, the reason, the fields, the remedy. A person never sees a Go value
//     or a bare status code where the cause is known.
//   - A verb that changes something is sent once. What to do after a broken connection is for the caller to decide, and
//     the error says so.
//
// # What callers must do
//
// Dial, then New, then call verbs from one goroutine; close the connection at the end. When ctx ends, a verb returns an
// error that wraps ctx.Err(); for Watch and Follow, which run until then, that is no failure. New may be given any
// grpc.ClientConnInterface: its two methods are all that a stand-in has to have.
package client
