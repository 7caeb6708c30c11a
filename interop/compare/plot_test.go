// This file draws docs/compare.svg: one line a packet, one mark a library, at
// its median on a logarithmic scale, with a whisker to its fastest run.

package compare

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"testing"
)

// marks gives each library a shape, so that colour is never all that tells
// them apart. Those of style are filled, or not.
var marks = map[string]string{
	core:               "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
	"mqttcore(built)":  "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
	"mochi":            "m-4.5-4.5h9v9h-9z",
	"paho.golang":      "m0-5.5l5.5 9.5h-11z",
	"paho.mqtt.golang": "m0 5.5l5.5-9.5h-11z",
	"gomqtt":           "m0-6l6 6-6 6-6-6z",
	"vlapi":            "m-4.5-4.5l9 9m0-9l-9 9",
}

const plotStyle = `
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328}
.page{fill:#ffffff}.grid{stroke:#d8dee4}.line{stroke:#afb8c1}
.title{font-weight:bold;font-size:14px}.head{font-weight:bold}.middle{text-anchor:middle}.quiet{fill:#656d76}
.mark{stroke-width:1.8}
.l0{stroke:#0550ae;fill:#0550ae}.l1{stroke:#0550ae;fill:#ffffff}.l2{stroke:#116329;fill:#116329}
.l3{stroke:#953800;fill:#953800}.l4{stroke:#8250df;fill:#8250df}.l5{stroke:#bf3989;fill:#bf3989}.l6{stroke:#57606a;fill:none}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.page{fill:#0d1117}.grid{stroke:#21262d}.line{stroke:#484f58}.quiet{fill:#9198a1}
.l0{stroke:#79c0ff;fill:#79c0ff}.l1{stroke:#79c0ff;fill:#0d1117}.l2{stroke:#7ee787;fill:#7ee787}
.l3{stroke:#ffa657;fill:#ffa657}.l4{stroke:#d2a8ff;fill:#d2a8ff}.l5{stroke:#ff9bce;fill:#ff9bce}.l6{stroke:#b1bac4;fill:none}
}
`

// Sizes in pixels.
const (
	plotLeft   = 160.0 // where the scale begins
	plotRight  = 800.0
	plotWidth  = 950.0
	plotMargin = 16.0
	plotRow    = 24.0
	decades    = 7 // from 1 ns
)

func scale(ns float64) float64 {
	return plotLeft + math.Log10(ns)*(plotRight-plotLeft)/decades
}

// nearest is the median of the fastest other library, as a multiple of ours.
func (r results) nearest(direction, row string) float64 {
	best := math.Inf(1)
	for _, l := range libraries {
		if s := r.of(direction, row, l.name); s != nil && l.module != "" {
			best = min(best, s.median())
		}
	}
	return best / r.of(direction, row, core).median()
}

func (r results) plot() []byte {
	var body bytes.Buffer
	text := func(x, y float64, class, s string) {
		fmt.Fprintf(&body, `<text x="%.1f" y="%.1f" class="%s">`, x, y, class)
		xml.EscapeText(&body, []byte(s))
		body.WriteString("</text>\n")
	}
	mark := func(i int, x, y float64, tip string) {
		fmt.Fprintf(&body, `<path class="mark l%d" d="M%.1f %.1f%s"><title>`, i, x, y, marks[libraries[i].name])
		xml.EscapeText(&body, []byte(tip))
		body.WriteString("</title></path>\n")
	}
	y := plotMargin + 14
	text(plotMargin, y, "title", "Time for one packet (a stream: for 1,000), median of "+fmt.Sprint(r.runs)+" runs; left is faster")
	y += 24
	x := plotMargin + 6
	for i, l := range libraries {
		mark(i, x, y-4, l.name)
		text(x+10, y, "", l.name)
		x += 36 + 7.3*float64(len(l.name))
	}
	top := y + 12
	y = top + 18
	for i, name := range []string{"1 ns", "10 ns", "100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms"} {
		text(plotLeft+float64(i)*(plotRight-plotLeft)/decades, y, "quiet middle", name)
	}
	text(plotRight+34, y, "quiet", "fastest other")
	for _, direction := range directions {
		y += plotRow
		text(plotMargin, y+4, "head", direction)
		for _, row := range rows {
			if r.of(direction, row.name, core) == nil {
				continue
			}
			y += plotRow
			text(plotMargin, y+4, "", row.name)
			fmt.Fprintf(&body, "<path class=\"line\" d=\"M%.1f %.1fH%.1f\"/>\n", plotLeft, y, plotRight)
			for i := len(libraries) - 1; i >= 0; i-- { // ours lies over the others
				l := libraries[i]
				if s := r.of(direction, row.name, l.name); s != nil {
					fmt.Fprintf(&body, "<path class=\"mark l%d\" d=\"M%.1f %.1fH%.1f\"/>\n", i, scale(s.fastest()), y, scale(s.median()))
					mark(i, scale(s.median()), y, fmt.Sprintf("%s, %s %s: median %s, fastest %s, %d allocations, %d bytes",
						l.name, strings.ToLower(direction), row.name, withUnit(s.median()), withUnit(s.fastest()), s.allocs, s.bytes))
				}
			}
			text(plotRight+34, y+4, "", ratio(r.nearest(direction, row.name), 1))
		}
	}
	y += plotRow
	var page bytes.Buffer
	fmt.Fprintf(&page, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n", plotWidth, y, plotWidth, y)
	fmt.Fprintf(&page, "<title>Time for one packet, by library</title>\n<style>%s</style>\n", plotStyle)
	fmt.Fprintf(&page, "<rect class=\"page\" width=\"%.0f\" height=\"%.0f\"/>\n", plotWidth, y)
	for i := range decades + 1 {
		fmt.Fprintf(&page, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", plotLeft+float64(i)*(plotRight-plotLeft)/decades, top+24, y-8)
	}
	page.Write(body.Bytes())
	page.WriteString("</svg>\n")
	return page.Bytes()
}

func withUnit(ns float64) string {
	if s := number(ns); strings.HasSuffix(s, "s") {
		return s
	}
	return number(ns) + " ns"
}

// TestPlot: the drawing is XML, has a mark for every series, and a shape and a
// colour for every library.
func TestPlot(t *testing.T) {
	r := results{series: map[[3]string]*series{}, runs: 1}
	for i, l := range libraries {
		r.series[[3]string{"Decode", rows[0].name, l.name}] = &series{ns: []float64{math.Pow(10, float64(i))}}
		if marks[l.name] == "" || strings.Count(plotStyle, fmt.Sprintf(".l%d{", i)) != 2 {
			t.Errorf("%s has no mark", l.name)
		}
	}
	drawn := r.plot()
	if err := xml.Unmarshal(drawn, new(struct{ XMLName xml.Name })); err != nil {
		t.Error(err)
	}
	for i, l := range libraries {
		at := fmt.Sprintf(`class="mark l%d" d="M%.1f `, i, plotLeft+float64(i)*(plotRight-plotLeft)/decades)
		if !bytes.Contains(drawn, []byte(at)) {
			t.Errorf("no mark of %s at %s", l.name, at)
		}
	}
	if len(marks) != len(libraries) {
		t.Errorf("%d marks, %d libraries", len(marks), len(libraries))
	}
	if got := r.nearest("Decode", rows[0].name); got != 100 { // the third: the second is ours, too
		t.Errorf("next library %v", got)
	}
}
