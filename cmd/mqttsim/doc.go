// Command mqttsim runs the real MQTT client against a model broker in simulated
// worlds, over links that fail, with processes that crash, disks that refuse, and
// a broker that sends what it must not, and checks after each step that nothing
// promised was broken: messages lost, repeated or out of order, identifiers or
// windows out of bounds, a journal that does not add up, packets that the
// specification forbids.
//
//	mqttsim [flags]
//
// Without flags it is a campaign of half a minute on all cores: a run for each
// seed from 1 on, each in a world of its own, with knobs of its own (clients,
// versions, faults, loads). At the end stands a table of what was done and which
// rare states were reached. A campaign of 5,000 runs or more with all versions
// and faults also fails when a rare state was never reached, because then it did
// not look where it should.
//
// The same seed with the same -clients, -steps, -version and -faults is the same
// run, on every machine.
//
//	mqttsim -seed 42            one run
//	mqttsim -seed 42 -trace     the same, drawn as a ladder
//	mqttsim -runs 10000         a campaign of so many runs
//	mqttsim -faults cut,crash   only some faults; "none", "all"
//	mqttsim -tape 0a0b…         the run of a tape, as a failure prints it
//
// The first violation ends a campaign. It is told with its seed, knobs and step,
// a smaller tape on which the same goes wrong, and a ladder of the exchange of
// the client that it concerns.
//
// The exit status is 0 when all was clean, 1 when something was violated (or a
// rare state was missing, or an exploration was given up), 2 when the command
// line cannot be understood.
//
// # Exploration
//
// With -explore no run is drawn: all that can happen to one client and the
// broker, with a few messages and connections, is done in every order, and each
// state looked at once. What can happen: a packet arrives; either side publishes;
// the client connects; a deadline comes; and the faults: the connection is cut
// between two packets, the client's process dies at any point of its loop and
// starts again from its disk, the broker loses its sessions, time passes while
// packets are under way.
//
//	mqttsim -explore                              2 messages at QoS 2 in each direction, 2 reconnects, all versions
//	mqttsim -explore -to-broker 12 -to-client 12  QoS 1 and 2, mixed
//
// Those take about a minute. More messages are for patience: with -at-once, all
// of a direction are published in one action, which leaves the orders in which
// packets arrive, connections end and processes die.
//
//	mqttsim -explore -at-once -to-broker 120120 -to-client 120120
//	mqttsim -explore -keepalive 0 -reconnects 1 -to-broker 120120 -to-client 120120 -version 5
//
// Both are 2 messages at each QoS in each direction; the latter has more than ten
// million states.
//
// It tells how many states and transitions there are, how many actions the
// longest of the shortest ways to a state has, the time, and the most memory that
// the process has had. About 60 bytes are kept of each state, and the states of
// two depths while they are looked at. A violation comes with a shortest list of
// actions that leads to it, and a ladder of the exchange, which -svg draws into a
// file.
//
// # Many machines
//
// With -shard i/n a campaign does only the i-th (from 0) of n shares of its
// seeds. With -jsonl it prints nothing but one JSON object a run, and goes on
// after a violation. -sum reads such lines and prints the table of all of them,
// each seed once; other lines do not matter to it. Any batch system can spread a campaign like
// this; with an indexed job of Kubernetes, for instance:
//
//	apiVersion: batch/v1
//	kind: Job
//	metadata:
//	  name: mqttsim
//	spec:
//	  completionMode: Indexed
//	  completions: 50
//	  parallelism: 50
//	  backoffLimit: 0
//	  template:
//	    spec:
//	      restartPolicy: Never
//	      containers:
//	        - name: mqttsim
//	          image: registry.example/mqttsim:latest
//	          command: [sh, -c]
//	          # The status is that of the sum, not of each share.
//	          args: ["mqttsim -runs 1000000 -shard $JOB_COMPLETION_INDEX/50 -jsonl || true"]
//
//	kubectl wait --for=condition=complete job/mqttsim --timeout=1h
//	kubectl logs -l job-name=mqttsim --tail=-1 --max-log-requests=50 | mqttsim -sum
package main
