// Package compare measures the codec beside those of other Go libraries, and
// lets them judge each other's reading of the same bytes. It has no code to
// import: everything in it is tests and benchmarks.
//
// # Speed
//
// Each library decodes and encodes the same packets, in the same run, the way
// its own users call it; TestPeers has checked before that it reads them and
// writes them rightly. From this directory,
//
//	go test -c -o compare.test .
//	for i in $(seq 10); do
//		./compare.test -test.run '^$' -test.bench . -test.cpu 1 -test.benchtime 50ms
//	done > testdata/benchmarks.txt
//	go test -run Report -update .
//
// measures, and makes docs/compare.md and docs/compare.svg of what was
// measured. Twenty short runs one after the other, each of them with every
// library in it, spread what else the machine is doing over all of them. A
// test fails when document and drawing are not what the data give, or when the
// data are of other versions than go.mod asks for.
//
// What each library checks meanwhile is shown by the packets of
// faults_test.go, none of which is legal.
//
// # Agreement
//
// FuzzDifferential asks the libraries how they read what the core takes for
// valid. Where one of them differs, the list in disagreements_test.go has to
// say so, with the statement that decides who is right.
package compare
