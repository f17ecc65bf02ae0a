package engine

import "time"

const (
	// inFlight batches may be stepped and not yet durable: one that syncs, one that is applied
	// and has its sync next, one that is stepped. With two the loop idles through long syncs;
	// more would only make batches smaller, and syncs more.
	inFlight = 3

	// backlog is how many calls may wait for the loop before their callers block.
	backlog = 1024

	// turnCalls and turnBytes end the gathering of one turn: a batch must stay far below what
	// a ledger can write at once (4 GiB on Pebble), and a turn short against a heartbeat.
	turnCalls = 1024
	turnBytes = 16 << 20
	// itemBytes is what a task or a report is taken to weigh besides its content.
	itemBytes = 512

	// longestPause is how long the loop sleeps at most while any deadline is set: the wall clock
	// may jump, and timers stand still while a host is suspended.
	longestPause = 10 * time.Second

	// turnsWaiting is how many turns may wait for the committer or the releaser; turns without
	// a batch are not held back by inFlight.
	turnsWaiting = 64

	// window is how many messages of one session stream may be under way at once: enough of them
	// with a single report that a batch is worth its sync. A large one counts as one more for
	// each windowBytes, up to a quarter of the window, so that four of the largest fit.
	window      = 128
	windowBytes = 256 << 10
	// lullShare is what each open stream adds to how long a heartbeat waits for others, so that some
	// twenty come in a thousand a second; below lullLeast none waits, lullMost is far less than any
	// deadline, and no more than lullCalls are held.
	lullShare = 2 * time.Microsecond
	lullLeast = time.Millisecond
	lullMost  = 20 * time.Millisecond
	lullCalls = 256
	// outboxItems is how many grants, acks and cancels may wait for one stream's reader: more
	// than the largest message of an agent can call for.
	outboxItems = 1 << 17
	// outboxBytes is how much the lease ids and texts among them may weigh: those of so many items of
	// ours have less.
	outboxBytes = 8 << 20
	// outGrants and outItems bound one Out: a grant carries up to 512 KiB of payload.
	outGrants = 64
	outItems  = 4096

	// parentsBytes bounds what a lease carries of the tasks that it depends on, in bytes of
	// results and failure messages: as much as one result may have. With the task itself a
	// lease then stays within the 4 MiB that gRPC clients take.
	parentsBytes = 1 << 20
	// parentsPerGet is how many results are read at once, before it is known that they fit.
	parentsPerGet = 8
	// parentOverhead is what a dependency weighs in the cache besides its id, in bytes.
	parentOverhead = 24

	// cacheSlots is how many tasks lie at most between the oldest payload that is kept and the
	// newest: 10 MiB of slots, of which one that waits long could else make any number.
	cacheSlots = 1 << 18

	// ringEvents is how many of the newest events are kept for watchers that keep up.
	ringEvents = 16384
	// pageEvents is about how many events one read of the history gives.
	pageEvents = 1000
	// bookmarkEvery is how long a watcher hears nothing at most.
	bookmarkEvery = 15 * time.Second

	// taskTries is how often a read starts again when the task moved between memory and ledger.
	taskTries = 4

	// orphansPerGet and prunePerCall bound a look-up.
	orphansPerGet = 10000
	prunePerCall  = 1000

	// retainEvery is the default pause between two rounds of retention, and retainEvents about how many
	// events it reads at once: of full load, those of about prunePerCall tasks.
	retainEvery  = time.Second
	retainEvents = 4096
	// prunesAtOnce are on their way to the disk at most: one is looked up while others wait for it.
	prunesAtOnce = 4
	// deferredEvery: among so many rounds one tries those again that something live depended on. With
	// nothing due it is the only one.
	deferredEvery = 60
	// retryShare: after such a try there is none for so many times as long as it took.
	retryShare = 9

	// freeCheckEvery is how long a reading of the free disk space is believed.
	freeCheckEvery = time.Second
	// freeRetryAfter is when a submitter should ask again: disks are not emptied in a second.
	freeRetryAfter = 10 * time.Second
)
