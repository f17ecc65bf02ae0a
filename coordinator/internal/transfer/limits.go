package transfer

// Bounds of what is read. They keep an import within memory and within one change of the ledger.
const (
	// maxDocument bounds a .json file, in bytes: it is held in memory while it is read.
	maxDocument = 256 << 20
	// maxLine bounds a line of a .jsonl file, in bytes: a task's input and result at the
	// contract's limits (1.5 MiB), with every character escaped.
	maxLine = 16 << 20
	// maxDepth bounds the nesting of JSON: far above what parameters may have.
	maxDepth = 64
	// maxValues bounds the values in one task or record, so that a short text does not
	// become a large tree.
	maxValues = 100_000
	// maxTasks bounds the tasks of one import: it is one commit.
	maxTasks = 1_000_000
	// maxContent bounds the payloads, results and messages of one import, in bytes: a quarter
	// of what one commit can be.
	maxContent = 1 << 30
)

// Bounds of a task, where the contract has the same ones.
const (
	maxResult         = 1 << 20 // bytes of an encoded result
	maxFailureMessage = 4 << 10 // bytes; longer ones are cut
	maxPriority       = 100     // and −100 below
)

// Bounds of what is told.
const (
	maxFaults = 100 // faults, and warnings, shown; the rest is counted
	maxKeys   = 50  // distinct unknown keys listed
	maxShown  = 60  // characters of a value in a message
	maxRing   = 20  // tasks of a circle named
)

// Sizes of reads.
const (
	// lookUps is how many tasks one look-up of the ledger asks for.
	lookUps = 1000
	// exportChunk is how many tasks are read from a ledger at a time: each may weigh 1.5 MiB.
	exportChunk = 32
	// exportExamine is how many tasks one read of a ledger looks at.
	exportExamine = 10_000
	// exportPage is the page_size asked of a coordinator, which cuts it by weight.
	exportPage = 1000
)
