// This file tests the rules that the source itself has to keep: what it
// imports, what the root package must not do, and how long a file may be.

package mqttcore_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// forbiddenImports are what the root package must not import, of the standard
// library; "C" is cgo.
var forbiddenImports = []string{"C", "unsafe", "reflect", "sync", "net", "os", "math/rand", "fmt",
	"log", "log/slog", "encoding/json", "encoding/binary", "testing", "runtime"}

// allowedModules are the only modules that go.mod may require, for tests.
var allowedModules = []string{"github.com/google/go-cmp"}

const maxFileLines = 800

// rootFiles are the files of the root package that are no tests.
func rootFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
	if len(files) < 5 {
		t.Fatalf("found only %q", files)
	}
	return files
}

func TestRootPackageRules(t *testing.T) {
	sources := map[string]string{}
	for _, name := range rootFiles(t) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = string(b)
	}
	for _, fault := range sourceFaults(t, sources) {
		t.Error(fault)
	}
}

// Each rule is broken once, so that one knows that breaking it shows.
func TestRootPackageRulesCatch(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"nothing wrong", `import ("strconv"; "time"); var Table = [2]int{1, 2}
			func F(t time.Time, s []int) string { x := Table; x[0] = 3; for range s {}; return strconv.Itoa(x[0] + t.Nanosecond()) }`, ""},
		{"fmt", `import "fmt"; func F() { fmt.Println() }`, `imports "fmt"`},
		{"sync/atomic", `import "sync/atomic"; func F() { atomic.AddInt32(nil, 1) }`, `imports "sync/atomic"`},
		{"net/netip", `import "net/netip"; func F() { _ = netip.Addr{} }`, `imports "net/netip"`},
		{"another module", `import _ "example.com/x"`, `imports "example.com/x"`},
		{"a package of this module", `import _ "mqttcore/trace"`, `imports "mqttcore/trace"`},
		{"clock", `import "time"; func F() { _ = time.Now() }`, "uses time.Now"},
		{"clock under another name", `import clock "time"; func F() { f := clock.Since; _ = f }`, "uses time.Since"},
		{"timer", `import "time"; func F() { <-time.After(1) }`, "uses time.After"},
		{"goroutine", `func F() { go func() {}() }`, "starts a goroutine"},
		{"map", `func F(m map[int]int) { for range m {} }`, "iterates a map"},
		{"named map", `type M map[int]int; func F(m M) { for k := range m { _ = k } }`, "iterates a map"},
		{"maps.Keys", `import "maps"; func F(m map[int]int) { for range maps.Keys(m) {} }`, `imports "maps"`},
		{"init", `func init() {}`, "has an init function"},
		{"assigned", `var n int; func F() { n = 1 }`, "changes the variable n"},
		{"counted", `var n int; func F() { n++ }`, "changes the variable n"},
		{"element", `var a [2]int; func F() { a[1] = 1 }`, "changes the variable a"},
		{"element of a field", `var a struct{ b []int }; func F() { (a.b)[1] += 1 }`, "changes the variable a"},
		{"through a pointer", `var p = new(int); func F() { *p = 1 }`, "changes the variable p"},
		{"range variable", `var n int; func F() { for n = range 3 {} }`, "changes the variable n"},
		{"address", `var n int; func F() *int { return &n }`, "takes the address of the variable n"},
		{"slice of an array", `var a [2]byte; func F() []byte { return a[:] }`, "takes the address of the variable a"},
		{"slice of an array as argument", `var a [2]byte; func F() string { return string(a[:]) }`, ""},
		{"slice of an array copied into", `var a [2]byte; func F() { copy(a[:], "x") }`, "changes the variable a"},
		{"method", `type T int; func (t *T) Set() { *t = 1 }; var n T; func F() { n.Set() }`, "takes the address of the variable n"},
		{"cleared", `var m = map[int]int{}; func F() { clear(m) }`, "changes the variable m"},
		{"deleted", `var m = map[int]int{}; func F() { delete(m, 1) }`, "changes the variable m"},
		{"shadowed", `var n int; func F() { n := 0; n++; _ = n }`, ""},
		{"address of a row to read", `var a [2]struct{ x int }; func F() int { r := &a[1]; return r.x }`, ""},
		{"address of a row passed on", `type T struct{ x int }; var a [2]T; func G(*T) {}; func F() { r := &a[1]; G(r) }`, "takes the address of the variable a"},
		{"address of a row returned", `var a [2]int; func F() *int { r := &a[1]; return r }`, "takes the address of the variable a"},
		{"address of a row to write", `var a [2]struct{ x int }; func F() { r := &a[1]; r.x = 1 }`, "takes the address of the variable a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := sourceFaults(t, map[string]string{"x.go": "package mqttcore\n" + c.source})
			if c.want == "" && len(got) > 0 || c.want != "" && !strings.Contains(strings.Join(got, "\n"), c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// sourceFaults is what breaks the rules of the root package in files of it.
func sourceFaults(t *testing.T, sources map[string]string) (faults []string) {
	t.Helper()
	c := checker{fset: token.NewFileSet(), arguments: map[ast.Expr]bool{}, info: types.Info{
		Types:      map[ast.Expr]types.TypeAndValue{},
		Defs:       map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}}
	var files []*ast.File
	for name, source := range sources {
		f, err := parser.ParseFile(c.fset, name, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, f := range files {
		for _, spec := range f.Imports {
			if path := strings.Trim(spec.Path.Value, `"`); !allowedInRoot(path) {
				c.fault(spec, "imports %q", path)
			}
		}
	}
	if len(c.faults) > 0 {
		return c.faults
	}
	config := types.Config{Importer: importer.ForCompiler(c.fset, "source", nil)}
	pkg, err := config.Check("mqttcore", c.fset, files, &c.info)
	if err != nil {
		t.Fatal(err)
	}
	c.scope = pkg.Scope()
	for _, f := range files {
		ast.Walk(&c, f)
	}
	slices.Sort(c.faults)
	return c.faults
}

// allowedInRoot reports whether the root package may import path: what is in
// the standard library has no dot in its first element. A forbidden package
// forbids those below it. maps only serves iteration.
func allowedInRoot(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	if strings.Contains(first, ".") || first == "mqttcore" || first == "maps" {
		return false
	}
	return !slices.ContainsFunc(forbiddenImports, func(bad string) bool {
		return path == bad || strings.HasPrefix(path, bad+"/")
	})
}

// checker walks type-checked source and notes what breaks the rules.
type checker struct {
	fset   *token.FileSet
	info   types.Info
	scope  *types.Scope
	faults []string
	// arguments are those of the calls around the node that is looked at.
	arguments map[ast.Expr]bool
}

func (c *checker) fault(n ast.Node, format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf("%v "+format, append([]any{c.fset.Position(n.Pos())}, args...)...))
}

// clock is what the package time has to do with the real one.
var clock = regexp.MustCompile(`^(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker)$`)

func (c *checker) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.FuncDecl:
		if n.Recv == nil && n.Name.Name == "init" {
			c.fault(n, "has an init function")
		}
		if n.Body != nil {
			c.checkPointers(n.Body)
		}
	case *ast.GoStmt:
		c.fault(n, "starts a goroutine")
	case *ast.Ident:
		if f, ok := c.info.Uses[n].(*types.Func); ok && f.Pkg() != nil && f.Pkg().Path() == "time" &&
			f.Signature().Recv() == nil && clock.MatchString(f.Name()) {
			c.fault(n, "uses time.%s", f.Name())
		}
	case *ast.RangeStmt:
		if _, ok := c.info.Types[n.X].Type.Underlying().(*types.Map); ok {
			c.fault(n, "iterates a map")
		}
		if n.Tok == token.ASSIGN {
			c.changed(n.Key)
			c.changed(n.Value)
		}
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, x := range n.Lhs {
				c.changed(x)
			}
		}
	case *ast.IncDecStmt:
		c.changed(n.X)
	case *ast.CallExpr:
		c.call(n)
	case *ast.SliceExpr:
		if _, ok := c.info.Types[n.X].Type.Underlying().(*types.Array); ok && !c.arguments[n] {
			c.addressed(n.X)
		}
	}
	return c
}

// call checks the calls that change their argument or receiver. It trusts
// other functions with a slice of an array.
func (c *checker) call(n *ast.CallExpr) {
	for _, x := range n.Args {
		c.arguments[x] = true
	}
	switch f := ast.Unparen(n.Fun).(type) {
	case *ast.Ident:
		if _, ok := c.info.Uses[f].(*types.Builtin); ok && slices.Contains([]string{"clear", "delete", "copy"}, f.Name) {
			c.changed(n.Args[0])
		}
	case *ast.SelectorExpr:
		s := c.info.Selections[f]
		if s == nil || s.Kind() != types.MethodVal {
			return
		}
		recv := s.Obj().(*types.Func).Signature().Recv().Type()
		if _, wants := recv.(*types.Pointer); wants && !s.Indirect() {
			if _, is := s.Recv().(*types.Pointer); !is {
				c.addressed(f.X)
			}
		}
	}
}

// checkPointers looks at every & in a function. A pointer to a row of a table
// is allowed where it only saves copying: it is kept in a variable of its own,
// of which nothing but fields are read.
func (c *checker) checkPointers(body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.DEFINE && len(a.Lhs) == 1 && len(a.Rhs) == 1 {
			u, ok := a.Rhs[0].(*ast.UnaryExpr)
			if ok && u.Op == token.AND && c.global(u.X) != "" {
				if !c.readOnly(body, c.info.Defs[a.Lhs[0].(*ast.Ident)]) {
					c.addressed(u.X)
				}
				return false
			}
		}
		if u, ok := n.(*ast.UnaryExpr); ok && u.Op == token.AND {
			c.addressed(u.X)
		}
		return true
	})
}

// readOnly reports whether all that a function does with a variable is to read
// its fields.
func (c *checker) readOnly(body *ast.BlockStmt, v types.Object) bool {
	uses, reads := 0, 0
	is := func(x ast.Expr) bool {
		id, ok := ast.Unparen(x).(*ast.Ident)
		return ok && c.info.Uses[id] == v
	}
	partOf := func(x ast.Expr) bool {
		for {
			switch e := ast.Unparen(x).(type) {
			case *ast.SelectorExpr:
				x = e.X
			case *ast.IndexExpr:
				x = e.X
			default:
				return is(e)
			}
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if is(n) {
				uses++
			}
		case *ast.SelectorExpr:
			if is(n.X) && c.info.Selections[n].Kind() == types.FieldVal {
				reads++
			}
		case *ast.AssignStmt:
			for _, x := range n.Lhs {
				if partOf(x) {
					reads--
				}
			}
		case *ast.IncDecStmt:
			if partOf(n.X) {
				reads--
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND && partOf(n.X) {
				reads--
			}
		}
		return true
	})
	return uses == reads
}

func (c *checker) changed(x ast.Expr) {
	if name := c.global(x); name != "" {
		c.fault(x, "changes the variable %s", name)
	}
}

func (c *checker) addressed(x ast.Expr) {
	if name := c.global(x); name != "" {
		c.fault(x, "takes the address of the variable %s", name)
	}
}

// global is the name of the package's variable that x is a part of, if any.
func (c *checker) global(x ast.Expr) string {
	for x != nil {
		switch e := x.(type) {
		case *ast.ParenExpr:
			x = e.X
		case *ast.SelectorExpr:
			if v, ok := c.info.Uses[e.Sel].(*types.Var); ok && !v.IsField() {
				return v.Name() // a variable of another package
			}
			x = e.X
		case *ast.IndexExpr:
			x = e.X
		case *ast.SliceExpr:
			x = e.X
		case *ast.StarExpr:
			x = e.X
		case *ast.Ident:
			if v, ok := c.info.Uses[e].(*types.Var); ok && v.Parent() == c.scope {
				return v.Name()
			}
			return ""
		default:
			return ""
		}
	}
	return ""
}

// The module needs nothing but the module that its tests compare with.
func TestModuleRequires(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(allowedModules, requiredModules(string(b))); diff != "" {
		t.Errorf("go.mod requires (-want +got)\n%s", diff)
	}
	got := requiredModules("module m\n\nrequire a.b/c v1.0.0\n\nrequire (\n\td.e/f v2.0.0 // indirect\n\t// none\n)\nreplace x => y v1\n")
	if diff := cmp.Diff([]string{"a.b/c", "d.e/f"}, got); diff != "" {
		t.Errorf("reading go.mod (-want +got)\n%s", diff)
	}
}

func requiredModules(mod string) (paths []string) {
	block := false
	for line := range strings.Lines(mod) {
		line, _, _ = strings.Cut(line, "//")
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case block && f[0] == ")":
			block = false
		case block:
			paths = append(paths, f[0])
		case f[0] == "require" && len(f) > 1 && f[1] == "(":
			block = true
		case f[0] == "require":
			paths = append(paths, f[1])
		}
	}
	return paths
}

// What this module's files import is the standard library and this module;
// tests may also compare with go-cmp. Files that are no tests stay short.
func TestEveryFile(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "." {
				return fs.SkipDir // a module of its own
			}
			if path != "." && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		seen++
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, fault := range fileFaults(t, path, string(b)) {
			t.Error(fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 10 {
		t.Errorf("found only %d files", seen)
	}
	long := "package x\n" + strings.Repeat("\n", maxFileLines)
	for name, want := range map[string]int{"x.go": 1, "x_test.go": 0} {
		if got := fileFaults(t, name, long); len(got) != want {
			t.Errorf("a long %s: %q", name, got)
		}
		foreign := "package x\nimport _ \"github.com/google/go-cmp/cmp\"\n"
		if got := fileFaults(t, name, foreign); len(got) != want {
			t.Errorf("go-cmp in %s: %q", name, got)
		}
	}
}

func fileFaults(t *testing.T, path, source string) (faults []string) {
	t.Helper()
	test := strings.HasSuffix(path, "_test.go")
	f, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		first, _, _ := strings.Cut(p, "/")
		if strings.Contains(first, ".") && !(test && strings.HasPrefix(p, allowedModules[0]+"/")) {
			faults = append(faults, path+" imports "+p)
		}
	}
	if n := strings.Count(source, "\n"); !test && n >= maxFileLines {
		faults = append(faults, fmt.Sprintf("%s has %d lines, %d or more", path, n, maxFileLines))
	}
	return faults
}
