//go:build race

package blackbox

// raced: the tests are built with the race detector, and so are the programs.
const raced = true
