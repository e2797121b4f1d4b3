//go:build planted

package main

var ttlBugs = []mutation{
	{"expired-uncovers-the-older", "2", "An expired value is dropped, and an older version shows again.",
		"compaction/filter.go",
		`			f.stats.Expired++`,
		`			f.stats.Expired++
			if PLANTED {
				f.stats.Shadowed++
				return nil
			}`, ""},
	{"merge-sees-below-the-expired", "2", "A merge takes for its base what an expired value has replaced.",
		"db/merged.go",
		`	if kind.HasExpiry() && expiry <= now {
		return true, nil`,
		`	if kind.HasExpiry() && expiry <= now {
		return !PLANTED, nil`, "test/model db:Expire"},
	{"clock-goes-back", "2", "When the clock goes back, what was dropped as expired is half there again.",
		"db/db.go",
		`	return max(uint64(nanos), v.ExpiryHorizon)`,
		`	if PLANTED {
		return uint64(nanos)
	}
	return max(uint64(nanos), v.ExpiryHorizon)`, "db:Clock|Expir|Horizon test/model"},
	{"horizon-not-written", "2", "A compaction does not tell which expired values it has dropped.",
		"compaction/run.go",
		`	if out.ExpiryHorizon > 0 {`,
		`	if out.ExpiryHorizon > 0 && !PLANTED {`, "db:HalfExpired"},
	{"has-ignores-expiry", "6", "Has finds a key whose value has expired.",
		"db/get.go",
		`	if kind.HasExpiry() && expiry <= r.db.now(r.s.version) {
		return false, nil`,
		`	if kind.HasExpiry() && expiry <= r.db.now(r.s.version) && !PLANTED {
		return false, nil`, "db:HasDoesNot test/model"},
	{"expiry-lost-in-the-value-log", "6", "A value that goes to the value log no longer expires.",
		"db/writer.go",
		`	kind = base.KindSetPointer | kind&base.FlagExpiry`,
		`	if kind = base.KindSetPointer | kind&base.FlagExpiry; PLANTED {
		kind = base.KindSetPointer
	}`, "test/model db:Expir"},
}
