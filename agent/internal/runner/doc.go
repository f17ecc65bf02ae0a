// Package runner runs one leased task against an HTTP API and says how that went.
//
// # Words
//
//   - A dialect is the shape of one API: how a task becomes a request body, and how an answer becomes a result. There is
//     one file for each; the names stand in Dialects.
//   - A call is one HTTP request for one attempt. A runner never repeats a call: what may be tried again is the
//     coordinator's to say, by the class of the failure.
//   - A reference is `{{ results.ID.text }}` or `{{ results.ID.output.PATH }}` in an instruction: the place of a result of a
//     task that this one depends on. They come with the lease.
//   - Sent: the whole request was written to the connection. From then on the API may have done the work.
//
// # What is always true
//
//   - Run answers with exactly one of result and failure, for every API, however it behaves; a panic in a dialect is a
//     failure of class INTERNAL. Only a caller that has gone (its context has ended) gets nothing.
//   - CONNECT means that the request was not sent; TIMEOUT that it was sent and no whole answer came.
//   - A call ends within the task's attempt_timeout, or Config.Timeout if that is shorter.
//   - Memory for an answer is bounded, counted after decompression, and before JSON is turned into values.
//   - References are filled in once, before the call, and what was filled in is only text: nothing in it is a reference, and
//     the tasks that results came from can't bring in others. One that can't be filled is a failure, and no call is made.
//   - Task text chooses no address: the endpoint is configuration, redirects are not followed.
//   - The API key leaves in the Authorization header alone; it is cut out of every message, also if the API repeats it.
//
// # What callers must do
//
// Build with New, which checks and touches nothing. Run may be called from any number of goroutines.
package runner
