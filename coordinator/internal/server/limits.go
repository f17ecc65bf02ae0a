package server

import "time"

// Sizes in bytes of the encoded message.
const (
	// maxReceive is what the transport takes. It is above maxRequest so that a request that is
	// somewhat too large gets an answer that names the figure.
	maxReceive = 8 << 20
	// maxRequest bounds a unary request: 1,000 tasks of 4 KiB.
	maxRequest = 4 << 20
	// maxReply is where replies and stream messages are cut, below the 4 MiB that most gRPC
	// clients take; one item alone may be larger (a task with its attempts and its result).
	maxReply = 2 << 20
	// smallMessage is what is decoded without a look at how many items are in it.
	smallMessage = 64 << 10
	// smallItem is that for a task in one: there may be a thousand.
	smallItem = 1 << 10
	// maxRepeat is where an AcquireLeases is cut that repeats an earlier one. It may say a little more
	// of each lease, as of the time left, and what was in the first answer must be in this one.
	maxRepeat = 3 << 20
	// maxTaskInput bounds the instruction and parameters of a task.
	maxTaskInput = 512 << 10
	// maxResult bounds a result.
	maxResult = 1 << 20
	// maxAttempts and maxAttemptBytes are where the attempts of a task are cut in what is shown of it:
	// taking a lease and giving it back costs nothing, and must not make a task too large to be read.
	maxAttempts     = 1000
	maxAttemptBytes = 512 << 10
	// maxFailureMessage is where a failure's message is cut.
	maxFailureMessage = 4 << 10
	// maxProgressMessage is where a progress message is cut.
	maxProgressMessage = 256
	// maxVersionText is where the version that an agent tells is cut.
	maxVersionText = 128
	// maxHeaders bounds the headers of a call.
	maxHeaders = 16 << 10
	// ioBuffer is the size of the read and write buffer of a connection; write buffers are
	// shared, so an idle connection holds one of them.
	ioBuffer = 32 << 10
	// streamWindow and connWindow are what a client may send on a stream, and on a connection, before
	// it is read. Being fixed they need no measuring: otherwise every message that comes alone is
	// answered with a ping, which is most of the traffic of an idle session.
	streamWindow = 1 << 20
	connWindow   = 4 << 20
)

// bufferSizes are those of the pool that messages are read into and encoded in, as exponents of
// two: 2 KiB to 4 MiB. What is smaller, or larger, is not pooled.
var bufferSizes = []uint8{11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}

// Shapes.
const (
	// maxStructDepth is the deepest nesting that a C++ client can still read in a list: each
	// level is up to three messages, and its parser stops at 100.
	maxStructDepth = 30
	// maxBatch bounds the tasks of a SubmitTasks, as the contract's rules do.
	maxBatch = 1000
	// maxReports bounds the reports of a ReportLeases, as the contract's rules do.
	maxReports = 100
	// maxParents and maxRequires bound the lists of a task, as the contract's rules do.
	maxParents  = 100
	maxRequires = 16
	// maxParts bounds the fields of a session's message, those of hello and heartbeat included: with one
	// of our lease ids in it a part has more than 40 bytes.
	maxParts = maxReceive / 40
	// maxReportsRead bounds the reports of one message that are decoded by hand, into one array.
	maxReportsRead = 4096
	// usualLeaseID is the length of our lease ids.
	usualLeaseID = 38
	// maxLabels bounds the labels of an agent, as the contract's rules do for tasks.
	maxLabels = 32
	// maxHelloQueues bounds the queues that an agent names.
	maxHelloQueues = 1000
	// maxRequireValues bounds the values of one expression in requires: each is looked at when
	// an agent connects.
	maxRequireValues = 64
	// maxUSD bounds an amount of money of a task.
	maxUSD = 1_000_000
	// microsPerUSD is the resolution of money.
	microsPerUSD = 1_000_000
)

// Pages.
const (
	// defaultPage is the page_size of a list that does not say.
	defaultPage = 100
	// bulkPage is how many tasks one CancelTasks or RetryTasks changes at most.
	bulkPage = 1000
	// examined is how many tasks one call looks at, so that a filter that matches nothing
	// still answers soon.
	examined = 10_000
	// listChunk is how many tasks are read from the ledger at a time, since each may weigh
	// 1.5 MiB.
	listChunk = 32
)

// Waits and streams.
const (
	// streamWorkers is how many goroutines serve calls one after the other, on stacks that have
	// grown already; further ones get a goroutine of their own. It costs an idle server 1 MiB.
	streamWorkers = 256
	// maxStreams is how many calls a connection may have open.
	maxStreams = 256
	// maxWaits is how many of them may wait in WaitTask or AcquireLeases, so that the others
	// still get through.
	maxWaits = 64
	// defaultWait is the wait of WaitTask that does not say, below the minute at which many
	// proxies cut a silent call.
	defaultWait = 50 * time.Second
	// defaultLease is the lease length of AcquireLeases that does not say.
	defaultLease = 300 * time.Second
	// stallAfter is how long one Send may take before the peer counts as not reading.
	stallAfter = 30 * time.Second
	// goodbye is how long a session lives on after it was told going_away, for reports and
	// acks that are on their way.
	goodbye = time.Second
	// lastWords is how long a half-closed session waits for the answers that it is owed.
	lastWords = 5 * time.Second
	// localAcks is how many acks of malformed reports one message may cause, and localMessages of
	// how many such messages they may wait to be sent: no agent works like that.
	localAcks     = 1024
	localMessages = 16
	// maxEcho is where a lease id is cut, in bytes; ours have far less.
	maxEcho = 1 << 10
)

// Connections.
const (
	handshake = 10 * time.Second // a connection that has not opened by then is closed, and a stream that has said nothing
	pingEvery = 30 * time.Second // of silence, then the peer is pinged
	pingWait  = 10 * time.Second // for the answer, then the connection is closed
	pingMin   = 10 * time.Second // a peer that pings more often is cut
)

// retryAfter is the delay of RetryInfo where the engine names none: long enough that a full
// coordinator is not asked in a tight loop, short enough to go unnoticed.
const retryAfter = time.Second

// What an error may carry of others' text: a status travels in headers, and some clients take
// no more than 8 KiB of them, with the details encoded in base64.
const (
	maxErrorNames = 10
	maxErrorText  = 512 // bytes of one description or path
	maxKeyText    = 64  // bytes of one key in a path
	maxErrorTotal = 2 << 10
)

// Submit's defaults.
const (
	defaultQueue          = "default"
	defaultMinUSD         = 0.05
	defaultMaxUSD         = 0.10
	defaultAttemptTimeout = 120 * time.Second
	defaultMaxAttempts    = 3
	defaultInitialBackoff = time.Second
	defaultMaxBackoff     = 60 * time.Second
)
