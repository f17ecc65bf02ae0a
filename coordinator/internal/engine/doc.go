// Package engine is the coordinator's one writer: it looks up, steps the machine, commits, and
// only then lets replies, grants and events leave.
package engine
