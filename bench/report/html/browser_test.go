package html

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// probe is added to a report by the test: it collects what went wrong, works the
// controls, and counts the pixels that each plot has drawn.
const probe = `
const wrong = [];
addEventListener("error", (e) => wrong.push("error: " + e.message));
addEventListener("unhandledrejection", (e) => wrong.push("rejection: " + e.reason));
document.addEventListener("securitypolicyviolation", (e) => wrong.push("policy: " + e.violatedDirective + " " + e.blockedURI));
const change = (id, value) => {
  const e = document.getElementById(id);
  if (!e) return;
  if (value === undefined) e.checked = !e.checked; else e.value = value;
  e.dispatchEvent(new Event("change"));
};
const drawn = () => new Promise((done) => {
  const look = () => wrong.length || document.documentElement.dataset.plots === "drawn" ? setTimeout(done, 50) : setTimeout(look, 20);
  look();
});
addEventListener("load", async () => {
  await drawn();
  for (const value of ["p", "x", "v"]) { change("series", value); await drawn(); }
  for (const value of ["median", "1", "all"]) { change("rounds", value); await drawn(); }
  change("spread"); await drawn();
  document.querySelectorAll("figure select").forEach((s) => { s.selectedIndex = s.length - 1; s.dispatchEvent(new Event("change")); });
  await drawn();
  change("baseline", "1");
  document.querySelector(".toggle").click(); await drawn();
  document.querySelector(".toggle").click(); await drawn();
  document.querySelectorAll(".plot").forEach((div) => {
    for (const key of ["0", "ArrowRight", "ArrowRight", "End"]) div.dispatchEvent(new KeyboardEvent("keydown", { key }));
  });
  await new Promise((done) => setTimeout(done, 50));
  document.querySelectorAll(".plot").forEach((div) => (div.dataset.readout = div.nextElementSibling.textContent));
  dispatchEvent(new Event("beforeprint"));
  dispatchEvent(new Event("afterprint"));
  await drawn();
  await new Promise((done) => setTimeout(done, 50));
  document.querySelectorAll(".plot").forEach((div) => {
    const canvas = div.querySelector("canvas");
    if (!canvas) return;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const colors = new Set();
    for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] > 200) colors.add(pixels[i] + "," + pixels[i + 1] + "," + pixels[i + 2]);
    div.dataset.colors = colors.size;
  });
  document.documentElement.dataset.wide = document.documentElement.scrollWidth > innerWidth ? document.documentElement.scrollWidth + " > " + innerWidth : "";
  document.documentElement.dataset.wrong = wrong.join("\n");
  parent.postMessage(document.documentElement.outerHTML, "*");
});
`

// chromium is the path of a browser; the test is skipped if there is none.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes seconds; this is a short run")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("neither chromium, chromium-browser nor google-chrome is installed")
	return ""
}

// browse opens a page with the probe in it and returns the document as it is then.
func browse(t *testing.T, browser, source string, width int) *html.Node {
	t.Helper()
	sum := sha256.Sum256([]byte(probe))
	source = strings.Replace(source, "script-src ", "script-src &#39;sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"&#39; ", 1)
	source = strings.Replace(source, "<body>", "<body><script>"+probe+"</script>", 1)
	// Browsers make no window as narrow as a phone, but a frame is as narrow as
	// it is told to be.
	const frame = `<!DOCTYPE html><pre></pre><iframe src="report.html" style="border:0;width:%dpx;height:900px"></iframe>
<script>onmessage = (e) => (document.querySelector("pre").textContent = e.data);</script>`
	dir := t.TempDir()
	file := filepath.Join(dir, "frame.html")
	for name, content := range map[string]string{"report.html": source, "frame.html": fmt.Sprintf(frame, width)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// On a busy machine a browser may give up before the page is drawn.
	for try := 1; ; try++ {
		drawn, err := dump(t, browser, file)
		if err == nil {
			return parse(t, drawn)
		}
		if try == 3 {
			t.Fatal(err)
		}
	}
}

// dump runs a browser on the file with the frame and returns the document in it.
func dump(t *testing.T, browser, file string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--window-size=1400,1000", "--virtual-time-budget=60000", "--dump-dom",
		(&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String())
	command.WaitDelay = time.Minute
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", browser, err, stderr.String())
	}
	outer := find(parse(t, string(out)), named("pre"))
	if len(outer) != 1 || text(outer[0]) == "" {
		return "", fmt.Errorf("the page was not drawn in time\n%s", stderr.String())
	}
	return text(outer[0]), nil
}

func TestBrowserDrawsEveryPlot(t *testing.T) {
	browser := chromium(t)
	f := usual()
	f.sets, f.workloads, f.seconds, f.samples = f.sets[:1], f.workloads[:3], 8, 500
	page := browse(t, browser, write(t, f.run()), 1280)
	checkDrawn(t, page, len(f.sets)*len(f.workloads)*3)
	if n := len(find(page, func(n *html.Node) bool { return n.Data == "span" && attribute(n, "class") == "track" })); n == 0 {
		t.Error("no ratio is drawn")
	}
	for _, e := range find(page, classed("b", "base-name")) {
		if text(e) != "badger" {
			t.Errorf("the baseline is %q after badger was chosen", text(e))
		}
	}
	busy := 0
	for _, plot := range find(page, classed("div", "plot")) {
		if strings.Contains(attribute(plot, "data-readout"), "cordwood") {
			busy++
		}
	}
	if busy != len(f.sets)*len(f.workloads)*3 {
		t.Errorf("%d plots can be read with the keyboard", busy)
	}
}

func TestBrowserFitsHostileTextsOnAPhone(t *testing.T) {
	browser := chromium(t)
	run := small().run()
	for i := range run.Engines {
		run.Engines[i].Name = evil[i]
		for j := range run.Phases {
			if p := &run.Phases[j]; p.Engine == small().engines[i] {
				p.Engine = evil[i]
			}
		}
	}
	for j := range run.Phases {
		for k := range run.Phases[j].Kinds {
			run.Phases[j].Kinds[k].Name = evil[2]
		}
	}
	page := browse(t, browser, write(t, run), 400)
	checkDrawn(t, page, 6)
	if n := len(find(page, named("img"))); n > 0 {
		t.Errorf("a text became %d images", n)
	}
	if wide := attribute(find(page, named("html"))[0], "data-wide"); wide != "" {
		t.Errorf("the page is wider than the window: %s", wide)
	}
}

func checkDrawn(t *testing.T, page *html.Node, plots int) {
	t.Helper()
	root := find(page, named("html"))[0]
	if wrong := attribute(root, "data-wrong"); wrong != "" {
		t.Errorf("the browser complained:\n%s", wrong)
	}
	if n := find(page, func(n *html.Node) bool { return attribute(n, "id") == "trouble" }); text(n[0]) != "" {
		t.Errorf("the page complains: %s", text(n[0]))
	}
	found := find(page, classed("div", "plot"))
	if len(found) != plots {
		t.Errorf("%d plots, want %d", len(found), plots)
	}
	for _, plot := range found {
		name := attribute(plot, "data-plot") + " of panel " + attribute(plot, "data-p")
		if d := attribute(plot, "data-drawn"); d == "" || d == "0" {
			t.Errorf("%s has no lines", name)
		}
		// Axes alone have one or two colors; a line brings at least one more.
		if c := attribute(plot, "data-colors"); len(c) < 2 && c < "4" {
			t.Errorf("%s has %s colors", name, c)
		}
	}
}
