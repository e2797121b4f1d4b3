package html

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/cordwood-db/cordwood/bench/result"
)

func write(t *testing.T, run *result.Run) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, run); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// usually is the report of the usual fixture, which takes a while.
var usually = sync.OnceValues(func() (string, error) {
	var out bytes.Buffer
	err := Write(&out, usual().run())
	return out.String(), err
})

func usualPage(t *testing.T) string {
	t.Helper()
	page, err := usually()
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func parse(t *testing.T, page string) *html.Node {
	t.Helper()
	n, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// find lists the elements that match.
func find(n *html.Node, match func(*html.Node) bool) []*html.Node {
	var found []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && match(d) {
			found = append(found, d)
		}
	}
	return found
}

func named(name string) func(*html.Node) bool {
	return func(n *html.Node) bool { return n.Data == name }
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func classed(name, class string) func(*html.Node) bool {
	return func(n *html.Node) bool {
		return n.Data == name && slices.Contains(strings.Fields(attribute(n, "class")), class)
	}
}

func TestReportHasAPanelForEachSetAndWorkload(t *testing.T) {
	f := usual()
	page := parse(t, usualPage(t))
	articles := find(page, named("article"))
	if len(articles) != len(f.sets)*len(f.workloads) {
		t.Fatalf("%d panels, want %d", len(articles), len(f.sets)*len(f.workloads))
	}
	for i, a := range articles {
		set, workload := f.sets[i/len(f.workloads)], f.workloads[i%len(f.workloads)]
		if head := text(find(a, named("h3"))[0]); !strings.Contains(head, workload) || !strings.Contains(head, "set "+set) {
			t.Errorf("panel %d is headed %q, want %s on %s", i, head, workload, set)
		}
		for _, plot := range []string{"time", "percentiles", "cdf"} {
			if len(find(a, func(n *html.Node) bool { return attribute(n, "data-plot") == plot })) != 1 {
				t.Errorf("%s on %s: no plot %q", workload, set, plot)
			}
		}
		for _, table := range find(a, classed("table", "figures")) {
			for _, tr := range find(table, named("tr")) {
				if n := len(find(tr, func(n *html.Node) bool { return n.Data == "td" || n.Data == "th" })); n != 1+len(f.engines) {
					t.Errorf("%s on %s: a row has %d cells: %s", workload, set, n, text(tr))
				}
			}
		}
	}
}

func TestFiguresAreThoseOfPackageResult(t *testing.T) {
	run := small().run()
	page := parse(t, write(t, run))
	ids := make(map[string]*html.Node)
	for _, a := range find(page, named("article")) {
		ids[text(find(a, named("h3"))[0])] = a
	}
	for _, s := range result.Summaries(run) {
		a := ids[s.Workload+" on set "+s.Set]
		for _, name := range []string{"rate", "p99_us", "disk_per_live"} {
			stat, ok := s.Stats[name]
			if !ok {
				continue
			}
			m := metricOf(name)
			want := []string{cell(stat.Median, m.Unit), cell(stat.Min, m.Unit) + " – " + cell(stat.Max, m.Unit)}
			shown := text(find(a, classed("table", "figures"))[0])
			for _, w := range want {
				if stat.N > 1 && !strings.Contains(shown, w) {
					t.Errorf("%s %s on %s: %s = %s is not in the table", s.Engine, s.Workload, s.Set, name, w)
				}
			}
		}
	}
}

func TestWhatWasNotMeasuredIsListed(t *testing.T) {
	page := parse(t, usualPage(t))
	var rows []string
	for _, section := range find(page, named("section")) {
		if attribute(section, "aria-labelledby") == "absent" {
			for _, tr := range find(section, named("tr")) {
				rows = append(rows, text(tr))
			}
		}
	}
	for _, want := range []string{
		"goleveldb100ttl-churn1, 2, 3skippedneeds TTL",
		"pebble-valsep100fillsync2failedopening the store: no space left on device",
		`bbolt100ycsb-a1, 2, 3wrong answerWRONG ANSWER for key "user1": an older value`,
	} {
		if !slices.Contains(rows, want) {
			t.Errorf("no row %q in\n%s", want, strings.Join(rows, "\n"))
		}
	}
}

func TestLossesAreShownAsWinsAre(t *testing.T) {
	run := small().run()
	// The second engine is three times as fast on the first workload and three
	// times as slow on the second, in every round.
	for i := range run.Phases {
		p := &run.Phases[i]
		p.Seconds = 10
		p.Operations = 30_000 + uint64(p.Round)*100
		if p.Engine == run.Engines[1].Name {
			p.Operations = map[string]uint64{"fillrandom": 90_000, "readrandom": 10_000}[p.Workload] + uint64(p.Round)*50
		}
	}
	page := parse(t, write(t, run))
	words := make(map[string]int)
	for _, td := range find(page, func(n *html.Node) bool { return n.Data == "td" && attribute(n, "data-m") == "0" }) {
		for _, v := range find(td, classed("span", "v")) {
			words[text(v)]++
		}
	}
	if words["better"] != 1 || words["worse"] != 1 {
		t.Errorf("verdicts on throughput: %v, want one better and one worse", words)
	}
}

func TestVerdictFollowsTheDirectionOfTheMetric(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		good      result.Better
		want      verdict
	}{
		{1.1, 1.3, result.Higher, better}, {1.1, 1.3, result.Lower, worse},
		{0.7, 0.9, result.Higher, worse}, {0.7, 0.9, result.Lower, better},
		{0.9, 1.1, result.Higher, unclear}, {1, 1.2, result.Lower, unclear}, {0.8, 1, result.Higher, unclear},
	} {
		if got := judge(c.low, c.high, c.good); got != c.want {
			t.Errorf("judge(%v, %v, %v) = %v, want %v", c.low, c.high, c.good, got, c.want)
		}
	}
}

func TestOneRoundHasNoVerdicts(t *testing.T) {
	f := small()
	f.rounds = 1
	page := write(t, f.run())
	for _, v := range find(parse(t, page), classed("span", "v")) {
		if text(v) != "one round" {
			t.Errorf("a verdict from one round: %q", text(v))
		}
	}
	if !strings.Contains(page, "One round tells nothing about chance") {
		t.Error("no note that there was one round")
	}
}

// evil are texts that would end an element, an attribute, a script, or a comment.
var evil = []string{
	`</script><script>alert(1)</script>`, `<!--<script>`, `"><img src=x onerror=alert(1)>`, `' onfocus='alert(1)`,
	`]]></style><style>*{display:none}`, "\u2028</title>", "javascript:alert(1)", `\u003c/script\u003e`, "{{.}}", "\xff\xfe", "",
}

func TestHostileTextsStayTexts(t *testing.T) {
	for i, e := range evil {
		run := small().run()
		other := evil[(i+1)%len(evil)]
		run.Title, run.Command = e, []string{e, other}
		run.Machine.CPU, run.Machine.Dir = e, other
		run.Footer.Error = e
		run.Sets[0] = result.Set{Name: e, Values: e, Keys: 1}
		run.Engines[0] = result.Engine{Name: e, Title: e, Version: e, Program: e, Settings: []result.Setting{{Name: e, Value: e, Why: e}}}
		for j := range run.Phases {
			p := &run.Phases[j]
			p.Set = e
			if j%2 == 0 {
				p.Engine = e
			}
			p.Workload = other + p.Workload
			for k := range p.Kinds {
				p.Kinds[k].Name = e
			}
			p.Stalls = append(p.Stalls, result.Stall{At: 1, Seconds: 1, Busy: e})
		}
		run.Phases = append(run.Phases, result.Phase{Engine: e, Set: e, Workload: e, Round: 1, Skipped: e + "x"},
			result.Phase{Engine: "unheard of", Set: other, Workload: e, Round: 1, Failed: e + "x", Wrong: true})
		checkSafe(t, write(t, run))
	}
}

// checkSafe checks that a page has only the elements and scripts of the template.
func checkSafe(t *testing.T, source string) {
	t.Helper()
	page := parse(t, source)
	if scripts := find(page, named("script")); len(scripts) != 3 {
		t.Fatalf("%d scripts, want 3", len(scripts))
	}
	for _, bad := range []string{"img", "iframe", "object", "embed", "video", "audio", "form", "base"} {
		if found := find(page, named(bad)); len(found) > 0 {
			t.Errorf("the page has %d <%s>", len(found), bad)
		}
	}
	if len(find(page, named("style"))) != 1 || len(find(page, named("title"))) != 1 {
		t.Error("a text became a style or a title")
	}
	for _, n := range find(page, func(*html.Node) bool { return true }) {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s> has a handler: %s=%q", n.Data, a.Key, a.Val)
			}
			if a.Key == "style" && !regexp.MustCompile(`^[a-z0-9:;.% ]*$`).MatchString(a.Val) {
				t.Errorf("<%s> has the style %q", n.Data, a.Val)
			}
		}
	}
	data := text(find(page, func(n *html.Node) bool { return attribute(n, "id") == "data" })[0])
	if !json.Valid([]byte(data)) {
		t.Error("the data of the plots is not JSON")
	}
	if strings.ContainsAny(data, "<>&") {
		t.Error("the data of the plots has unescaped <, > or &")
	}
	checkPolicy(t, page)
}

// checkPolicy checks that the policy names exactly the scripts that run.
func checkPolicy(t *testing.T, page *html.Node) {
	t.Helper()
	var policy string
	for _, m := range find(page, named("meta")) {
		if attribute(m, "http-equiv") == "Content-Security-Policy" {
			policy = attribute(m, "content")
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") {
		t.Errorf("policy %q", policy)
	}
	var want []string
	for _, s := range find(page, named("script")) {
		if attribute(s, "type") == "" {
			sum := sha256.Sum256([]byte(text(s)))
			want = append(want, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
	}
	if _, got, _ := strings.Cut(policy, "script-src "); got != strings.Join(want, " ") {
		t.Errorf("the policy allows %s, the scripts are %s", got, want)
	}
}

func TestNothingIsLoaded(t *testing.T) {
	source := usualPage(t)
	checkSafe(t, source)
	for _, n := range find(parse(t, source), func(*html.Node) bool { return true }) {
		for _, a := range n.Attr {
			switch a.Key {
			case "src", "srcset", "action", "data", "poster", "background", "formaction", "ping":
				t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
			case "href":
				if !strings.HasPrefix(a.Val, "#") && a.Val != "data:," {
					t.Errorf("<%s> has href=%q", n.Data, a.Val)
				}
			}
		}
	}
	for _, load := range []string{"url(", "@import", "importScripts", "XMLHttpRequest", "fetch(", "new Worker", "EventSource", "WebSocket"} {
		if strings.Contains(source, load) {
			t.Errorf("the page contains %q", load)
		}
	}
}

func TestLinksInThePageHaveTargets(t *testing.T) {
	page := parse(t, usualPage(t))
	ids := make(map[string]int)
	for _, n := range find(page, func(n *html.Node) bool { return attribute(n, "id") != "" }) {
		ids[attribute(n, "id")]++
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements have the id %q", n, id)
		}
	}
	for _, n := range find(page, func(n *html.Node) bool { return strings.HasPrefix(attribute(n, "href"), "#") }) {
		if ids[attribute(n, "href")[1:]] == 0 {
			t.Errorf("%q leads nowhere", attribute(n, "href"))
		}
	}
	for _, n := range find(page, func(n *html.Node) bool { return attribute(n, "aria-labelledby") != "" }) {
		if ids[attribute(n, "aria-labelledby")] == 0 {
			t.Errorf("no label %q", attribute(n, "aria-labelledby"))
		}
	}
}

func TestReportIsDeterministic(t *testing.T) {
	f := small()
	if a, b := write(t, f.run()), write(t, f.run()); a != b {
		t.Error("the same run made two different reports")
	}
}

func TestLongRunStaysSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of histograms take a while; this is a short run")
	}
	f := usual()
	f.sets = f.sets[:1]
	f.workloads = []string{"fillrandom", "readrandom", "ycsb-a", "overwrite", "seekrandom", "w6", "w7", "w8", "w9", "w10"}
	f.seconds, f.samples = 3600, 100
	source := write(t, f.run())
	const most = 3 << 20
	if len(source) > most {
		t.Errorf("6 engines, 3 rounds and 10 workloads of an hour make %d bytes, more than %d", len(source), most)
	}
}

func TestRunsThatBarelyExist(t *testing.T) {
	one := result.Phase{Engine: "e", Set: "s", Workload: "w", Round: 1}
	zero := one
	zero.Timeline = []result.Second{{At: 0, Operations: 0}, {At: -1, Operations: 5}}
	zero.Kinds = []result.Kind{{Name: "read"}}
	partial := one
	partial.Partial, partial.Operations, partial.Seconds = true, 10, 1
	for name, run := range map[string]*result.Run{
		"nothing":     {},
		"header":      {Header: result.Header{Engines: []result.Engine{{Name: "e"}}, Sets: []result.Set{{Name: "s"}}}},
		"empty phase": {Phases: []result.Phase{one}},
		"zero":        {Phases: []result.Phase{zero}},
		"interrupted": {Phases: []result.Phase{partial}, Footer: &result.Footer{Partial: true, Ended: time.Unix(0, 0)}},
	} {
		t.Run(name, func(t *testing.T) { checkSafe(t, write(t, run)) })
	}
}

func TestSavedRunIsReported(t *testing.T) {
	run, err := result.ReadFile("../../result/testdata/run-v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	source := write(t, run)
	checkSafe(t, source)
	if n := len(find(parse(t, source), named("article"))); n == 0 {
		t.Error("a saved run has no panel")
	}
}

func TestWriteReturnsTheWritersError(t *testing.T) {
	full := errors.New("disk full")
	if err := Write(failing{full}, small().run()); !errors.Is(err, full) {
		t.Errorf("Write = %v, want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestAssetsAreAsPublished(t *testing.T) {
	readme := asset("uplot/README.md")
	files, err := fs.Glob(assets, "assets/uplot/*")
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if path.Base(name) == "README.md" {
			continue
		}
		content, err := assets.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if line := fmt.Sprintf("| `%s` | `%s` |", path.Base(name), hex.EncodeToString(sum[:])); !strings.Contains(readme, line) {
			t.Errorf("README.md lacks\n%s", line)
		}
	}
}

func TestDigits(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{0, "0"}, {1, "1.00"}, {9.996, "10.0"}, {12.34, "12.3"}, {99.96, "100"}, {1234, "1234"}, {0.1234, "0.12"},
		{0.0123, "0.012"}, {1e-7, "0.00000010"}, {math.Inf(1), "–"}, {math.NaN(), "–"},
	} {
		if got := digits(c.v); got != c.want {
			t.Errorf("digits(%v) = %q, want %q", c.v, got, c.want)
		}
	}
}

func TestCommandCanBePasted(t *testing.T) {
	got := shellLine([]string{"run", "-slo", "read.p99<=300us", "--title", "it's", ""})
	if want := `kvbench run -slo 'read.p99<=300us' --title 'it'\''s' ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
