package html

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/cordwood-db/cordwood/bench/result"
)

//go:embed assets
var assets embed.FS

// page is the template of the report.
var page = template.Must(template.New("page.tmpl").Funcs(template.FuncMap{
	"look": func(engine int) int { return engine % looks },
	"mark": func(engine int) int { return (engine + 3*(engine/marks)) % marks },
}).ParseFS(assets, "assets/page.tmpl"))

// Engines get the colors and dashes that the style sheet has, and the markers of
// the template, in turn; where a color comes again, the marker is another.
const (
	looks = 16
	marks = 8
)

// Write writes the report of run to w: one HTML file, encoded in UTF-8. A run that
// was cut off or in which phases failed is reported as far as it goes. run is only
// read. The error is w's, or says that the run holds what cannot be shown.
func Write(w io.Writer, run *result.Run) error {
	b := newBook(run)
	drawn := b.plots()
	data, err := json.Marshal(drawn)
	if err != nil {
		return fmt.Errorf("html: encoding the plots: %w", err)
	}
	v := b.view(drawn)
	v.Data = template.JS(data) // json.Marshal has escaped <, > and &
	v.UPlot = template.JS("/*\n" + asset("uplot/LICENSE") + "*/\n" + asset("uplot/uPlot.iife.min.js"))
	v.Script = template.JS(asset("shared.js") + asset("ratios.js") + asset("plots.js") + asset("page.js"))
	v.Style = template.CSS(asset("uplot/uPlot.min.css") + "\n" + asset("style.css"))
	v.Policy = policy(v.UPlot, v.Script)

	// A failing template must not leave half a page behind.
	var out bytes.Buffer
	if err := page.Execute(&out, v); err != nil {
		return fmt.Errorf("html: %w", err)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("html: writing the report: %w", err)
	}
	return nil
}

// asset is an embedded file, with line ends as a browser sees them.
func asset(name string) string {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // a name that is not in this package: any test finds it
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// policy is a Content-Security-Policy that lets only these scripts run and
// nothing be loaded.
func policy(scripts ...template.JS) string {
	p := "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; script-src"
	for _, s := range scripts {
		sum := sha256.Sum256([]byte(s))
		p += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return p
}
