package blackbox

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// uses says whether the code of a file, comments aside, mentions package.Name.
func uses(t *testing.T, file, name string) bool {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	ast.Inspect(parsed, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name+"."+s.Sel.Name == name {
				found = true
			}
		}
		return !found
	})
	return found
}
