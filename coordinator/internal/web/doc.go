// Package web is the coordinator's HTTP port: for now, health for those who do not speak gRPC.
//
//	GET /healthz   200 while the process lives
//	GET /readyz    200 while the coordinator serves, 503 before it does and while it leaves
//
// Both answer a word of plain text, need no identity, and say nothing about tasks.
package web
