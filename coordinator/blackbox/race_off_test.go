//go:build !race

package blackbox

// raced: the tests are built without the race detector, and the programs are those that users get.
const raced = false
