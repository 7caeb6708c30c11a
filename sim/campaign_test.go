package sim

import "testing"

// BenchmarkCampaign is a campaign on one core, all oracles on.
func BenchmarkCampaign(b *testing.B) {
	packets, seed := uint64(0), uint64(0)
	for b.Loop() {
		seed++
		src := Seed(seed)
		r := Run(src, Draw(src, Limits{Clients: 4, Steps: 2000}), nil)
		if r.Err != nil {
			b.Fatalf("seed %d: %v", seed, r.Err)
		}
		packets += r.Packets
	}
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(packets)/float64(seed), "packets/op")
}
