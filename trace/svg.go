// This file draws a ladder as SVG. It decides about shapes and colours only:
// the lines of text are those of ladder.go.

package trace

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"unicode/utf8"

	"mqttcore"
)

// Sizes in pixels. The width of a character is that of 12 px monospaced fonts,
// and a little.
const (
	charWidth  = 7.3
	lineHeight = 16
	margin     = 16
	headHeight = 30 // the boxes with the names
	titleSpace = 26
	rowSpace   = 18 // around the text of an entry
)

// style holds all colours. Meaning never rests on colour alone: direction,
// dashes and words say the same.
const style = `
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328;white-space:pre}
.page{fill:#ffffff}.box{fill:#f3f5f8;stroke:#8c959f}.post{stroke:#8c959f}
.name{font-weight:bold;text-anchor:middle}.title{font-weight:bold;font-size:14px}
.time{fill:#656d76;text-anchor:end}.right{text-anchor:end}.middle{text-anchor:middle}
.line{fill:none;stroke-width:1.5}.dash{stroke-dasharray:5 4}
.client .line{stroke:#0550ae}.client .tip{fill:#0550ae}
.server .line{stroke:#116329}.server .tip{fill:#116329}
.bad .line{stroke:#cf222e}.bad .tip,.bad text.t{fill:#cf222e}
.note text.t{fill:#59636e;font-style:italic}.note .tip{fill:#8c959f}
.cut .line{stroke:#bc4c00}.cut text.t{fill:#bc4c00}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.page{fill:#0d1117}.box{fill:#161b22;stroke:#6e7681}.post{stroke:#6e7681}
.time{fill:#9198a1}
.client .line{stroke:#79c0ff}.client .tip{fill:#79c0ff}
.server .line{stroke:#7ee787}.server .tip{fill:#7ee787}
.bad .line{stroke:#ff7b72}.bad .tip,.bad text.t{fill:#ff7b72}
.note text.t{fill:#9198a1}.note .tip{fill:#6e7681}
.cut .line{stroke:#ffa657}.cut text.t{fill:#ffa657}
}
`

// WriteSVG writes the ladder as an SVG image that stands alone: it needs no
// font, style sheet or script, and follows the reader's choice of light or
// dark. A text that had to be cut is whole in the tool tip of its entry. The
// error is that of w.
func (l *Ladder) WriteSVG(w io.Writer) error {
	d := svg{layout: l.layout()}
	d.left = margin + float64(max(d.timeWidth, 8))*charWidth + 12
	d.right = d.left + float64(d.inner)*charWidth
	names := float64(max(utf8.RuneCountInString(d.layout.left), utf8.RuneCountInString(d.layout.right)))
	box := max(90, names*charWidth+24)
	d.left = max(d.left, margin+box/2)
	d.right = max(d.right, d.left+box+margin)

	y := float64(margin)
	if l.Title != "" {
		d.text(margin, y+14, "title", clean(l.Title))
		y += titleSpace
	}
	d.box(d.left, y, box, d.layout.left)
	d.box(d.right, y, box, d.layout.right)
	y += headHeight
	top := y
	y += 6
	if l.Omitted > 0 {
		y += lineHeight
		d.printf(`<g class="note">`)
		d.text((d.left+d.right)/2, y, "t middle", "… "+l.omitted())
		d.printf("</g>\n")
		y += 4
	}
	for i := range l.Entries {
		y = d.entry(&l.Entries[i], d.times[i], y)
	}
	y += 12

	// The life lines come first, so that everything else lies over them.
	width, height := d.right+box/2+margin, y+margin
	var page svg
	page.printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n",
		width, height, width, height)
	title := clean(l.Title)
	if title == "" {
		title = "MQTT packets between " + d.layout.left + " and " + d.layout.right
	}
	page.title(title)
	page.printf("\n<style>%s</style>\n", style)
	page.printf("<rect class=\"page\" width=\"%.0f\" height=\"%.0f\"/>\n", width, height)
	for _, x := range []float64{d.left, d.right} {
		page.printf("<path class=\"post\" d=\"M%.1f %.1fV%.1f\"/>\n", x, top, y)
	}
	d.printf("</svg>\n")
	page.Write(d.Bytes())
	_, err := w.Write(page.Bytes())
	return err
}

// svg is an image in the making.
type svg struct {
	bytes.Buffer
	layout
	left, right float64 // where the life lines are
}

func (d *svg) printf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

func (d *svg) text(x, y float64, class, s string) {
	d.printf(`<text x="%.1f" y="%.1f" class="%s">`, x, y, class)
	xml.EscapeText(d, []byte(s))
	d.printf("</text>\n")
}

func (d *svg) title(s string) {
	d.printf("<title>")
	xml.EscapeText(d, []byte(s))
	d.printf("</title>")
}

func (d *svg) box(x, y, width float64, name string) {
	d.printf("<rect class=\"box\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"5\"/>\n", x-width/2, y, width, headHeight)
	d.text(x, y+19, "name", name)
}

func classOf(e *Entry) string {
	switch {
	case e.Kind == KindCut:
		return "cut"
	case e.Kind == KindNote:
		return "note"
	case e.Kind == KindInvalid || e.Kind == KindRaw:
		return "bad"
	case e.From == mqttcore.FromServer:
		return "server"
	}
	return "client"
}

// entry draws one entry below y and returns where it ends.
func (d *svg) entry(e *Entry, at string, y float64) float64 {
	d.printf(`<g class="%s">`, classOf(e))
	d.title(clean(e.Text))
	d.printf("\n")
	x, class := d.left+14, "t"
	switch {
	case e.Kind == KindNote && e.From == mqttcore.FromServer:
		x, class = d.right-14, "t right"
	case e.Kind == KindCut, e.Kind == KindNote && e.From == mqttcore.FromEither:
		x, class = (d.left+d.right)/2, "t middle"
	}
	y += rowSpace - 6
	for i, line := range wrap(clean(e.Text), d.room, d.lines) {
		y += lineHeight
		if i == 0 {
			d.text(d.left-10, y-4, "time", at)
		}
		d.text(x, y-4, class, line)
	}
	d.stroke(e, y+2)
	d.printf("</g>\n")
	return y + 6
}

// stroke draws the line of an entry at height y.
func (d *svg) stroke(e *Entry, y float64) {
	middle := (d.left + d.right) / 2
	fromServer := e.From == mqttcore.FromServer
	switch {
	case e.Kind == KindNote && e.From == mqttcore.FromEither:
	case e.Kind == KindNote && fromServer:
		d.printf("<circle class=\"tip\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>\n", d.right, y-10)
	case e.Kind == KindNote:
		d.printf("<circle class=\"tip\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>\n", d.left, y-10)
	case e.Kind == KindCut:
		d.printf("<path class=\"line dash\" d=\"M%.1f %.1fH%.1f\"/>\n", d.left, y, d.right)
		for _, x := range []float64{d.left, d.right} {
			d.printf("<path class=\"line\" d=\"M%.1f %.1fl10 10m0 -10l-10 10\"/>\n", x-5, y-5)
		}
	case e.Kind == KindPartial && fromServer:
		d.printf("<path class=\"line dash\" d=\"M%.1f %.1fH%.1f\"/>\n", d.right, y, middle)
	case e.Kind == KindPartial:
		d.printf("<path class=\"line dash\" d=\"M%.1f %.1fH%.1f\"/>\n", d.left, y, middle)
	case fromServer:
		d.printf("<path class=\"line\" d=\"M%.1f %.1fH%.1f\"/>", d.right, y, d.left+8)
		d.printf("<path class=\"tip\" d=\"M%.1f %.1fl9 -4.5v9z\"/>\n", d.left+1, y)
	default:
		d.printf("<path class=\"line\" d=\"M%.1f %.1fH%.1f\"/>", d.left, y, d.right-8)
		d.printf("<path class=\"tip\" d=\"M%.1f %.1fl-9 -4.5v9z\"/>\n", d.right-1, y)
	}
}
