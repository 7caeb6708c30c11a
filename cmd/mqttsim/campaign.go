// This file holds the campaign: many runs at a time, their results in the order
// of their seeds.

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"mqttcore/sim"
)

type campaign struct {
	*options
	stdout, stderr io.Writer
	totals         totals
	began          time.Time
}

// job is a run to be done, and where its report is awaited.
type job struct {
	seed   uint64
	report chan sim.Report
}

// run does the campaign.
func (c *campaign) run() (clean bool, err error) {
	c.began = time.Now()
	if !c.jsonl {
		fmt.Fprintf(c.stdout, "seeds from %d on%s, share %v, on %d cores\n", c.seed, c.flags(), &c.shard, c.cores)
	}
	// Both ends see the jobs in the same order; the one that waits sees reports in
	// the order of their seeds. How far the workers are ahead is bounded.
	todo, inOrder, stop := make(chan job), make(chan job, 8*c.cores), make(chan struct{})
	for range c.cores {
		go func() {
			for j := range todo {
				src := sim.Seed(j.seed)
				j.report <- run(src, c.draw(src), nil)
			}
		}()
	}
	go func() {
		defer close(inOrder)
		defer close(todo)
		for i := 0; c.more(i); i++ {
			seed := c.seed + uint64(i)
			if uint64(i)%c.shard.n != c.shard.i {
				continue
			}
			j := job{seed, make(chan sim.Report, 1)}
			select {
			case todo <- j:
			case <-stop:
				return
			}
			select {
			case inOrder <- j:
			case <-stop:
				return
			}
		}
	}()
	defer close(stop)
	return c.collect(inOrder)
}

// more reports whether there is an i-th run.
func (c *campaign) more(i int) bool {
	if c.runs > 0 {
		return i < c.runs
	}
	return time.Since(c.began) < c.time
}

// collect takes the reports until there are no more, or one has a violation.
func (c *campaign) collect(inOrder <-chan job) (clean bool, err error) {
	progress := newProgress(c)
	for j := range inOrder {
		l := c.line(j.seed, <-j.report)
		c.totals.add(l)
		if c.jsonl {
			if err := l.write(c.stdout); err != nil {
				return false, err
			}
			continue
		}
		if l.Error != "" {
			break
		}
		progress.show(j.seed)
	}
	progress.clear()
	c.totals.elapsed, c.totals.cores = time.Since(c.began), c.cores
	if c.jsonl {
		return c.totals.violations == 0, nil
	}
	fmt.Fprintf(c.stdout, "\n%v\n", &c.totals)
	if len(c.totals.violated) == 0 {
		fmt.Fprintln(c.stdout, c.totals.verdict())
		return c.totals.clean(), nil
	}
	fmt.Fprintf(c.stdout, "seed %d: %s\nlooking for a smaller run …\n", c.totals.violated[0].Seed, c.totals.violated[0].Error)
	v := c.find(c.totals.violated[0].Seed)
	v.minimise()
	return false, v.print(c.stdout, true)
}

// progress is the line that shows how far the campaign is: on a terminal it is
// written over and over, else there is one now and then.
type progress struct {
	*campaign
	terminal bool
	every    time.Duration
	next     time.Time
}

func newProgress(c *campaign) *progress {
	p := &progress{campaign: c, every: 10 * time.Second}
	if f, ok := c.stderr.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.terminal, p.every = true, time.Second/4
		}
	}
	p.next = c.began.Add(p.every)
	return p
}

func (p *progress) show(seed uint64) {
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(p.every)
	text := fmt.Sprintf("%3.0f s: seed %d, %s runs, %s packets, no violation", now.Sub(p.began).Seconds(), seed,
		grouped(uint64(p.totals.runs)), grouped(p.totals.packets))
	if p.terminal {
		fmt.Fprintf(p.stderr, "\r%-78s", text)
	} else {
		fmt.Fprintln(p.stderr, text)
	}
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Fprintf(p.stderr, "\r%78s\r", "")
	}
}
