/*
Package html writes a run as one HTML file that needs nothing else: no network, no
other file. It can be mailed, archived, printed, and read without JavaScript, in
which case only the plots are missing.

# Nouns

  - A panel is one workload on one set, with all engines and rounds: the unit of
    the report, as a Phase is that of a run.
  - A curve is latency by percentile, of one kind of operation.
  - The baseline is the engine that the others are compared with. The reader
    chooses it; the first engine of the run is the first choice.

# Invariants

  - All numbers come from package result: what this package adds is where they
    stand on the page.
  - Engines appear in the order of the run, everywhere, and none is drawn
    differently from the others but by its own color, dash and marker.
  - Only scripts of this package run: the Content-Security-Policy names them by
    their hashes and forbids everything else, every request included. Names and
    texts of a run are hostile input; they reach the page through html/template
    and through JSON in which <, > and & are escaped.
  - The same run makes the same bytes.

# Files

group.go sorts phases into panels; figures.go asks package result for the
statistics; page.go, panel.go and ratio.go make what the template shows; plot.go
makes the data of the plots; assets holds the template, the style sheet and the
scripts. Plots are drawn by uPlot (assets/uplot).
*/
package html
