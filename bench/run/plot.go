package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// plotFile draws the ratios of a file that -json wrote: a bar for each
// measurement, and the yardstick as a line at 1.
func plotFile(w io.Writer, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	_, err = io.WriteString(w, plot(r.Measurements))
	return err
}

// Sizes of the drawing, in pixels.
const (
	rowHeight  = 18
	labelWidth = 130
	unitWidth  = 380 // of a ratio of 1
)

func plot(list []measurement) string {
	height := rowHeight*len(list) + 40
	svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="white"/>
<text x="8" y="18">Requests a second of the service, as a part of the yardstick's</text>
`, labelWidth+unitWidth*13/10, height)
	for i, m := range list {
		y := 30 + i*rowHeight
		ratio := medians(m.Service).Rate / medians(m.Yardstick).Rate
		svg += fmt.Sprintf(`<text x="8" y="%d">%s, %d</text><rect x="%d" y="%d" width="%.0f" height="%d" fill="#3b6ea5"/><text x="%.0f" y="%d">%.2f</text>
`, y+13, m.Operation, m.Connections, labelWidth, y+2, ratio*unitWidth, rowHeight-4, labelWidth+ratio*unitWidth+4, y+13, ratio)
	}
	return svg + fmt.Sprintf(`<line x1="%d" x2="%d" y1="26" y2="%d" stroke="#b03030"/>
</svg>
`, labelWidth+unitWidth, labelWidth+unitWidth, height)
}
