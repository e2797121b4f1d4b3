package main

// check is a test that can go on for as long as it is told.
type check struct {
	name   string
	module string // folder of its module, from the root of the tree
	pkg    string // folder of its package, from the module's
	run    string // the test's name; "": all of the package
	race   bool   // soaks run it under the race detector
	weight int    // its share of a soak's time; 0: only with -amount
	layer  bool   // of a layer below: what go test ./... does of it is enough for CI
	// figures are what it reports, with the amounts of the contract.
	figures []figure
}

// figure is something that a check counts.
type figure struct {
	name     string
	ci, full int // the contract's amounts; 0: it names none
}

// checks are all there are, but for the fuzz targets, which are found in the
// tree: see fuzzCheck.
var checks = []check{
	{name: "model", module: ".", pkg: "test/model", run: "TestStoreAgreesWithModelUnderRandomOperations", weight: 4,
		figures: []figure{{"model operations", 4_000_000, 150_000_000}}},
	{name: "crash", module: ".", pkg: "test/crash", run: "TestEveryCrashImageHoldsAPrefixOfTheCommits", weight: 4,
		figures: []figure{{"crash images", 20_000, 2_000_000}, {"recovery crash images", 2_000, 200_000}}},
	{name: "faults", module: ".", pkg: "test/fault", run: "TestEveryOperationMayFail", weight: 3,
		figures: []figure{{"faults", 9_000, 200_000}}},
	{name: "damage", module: ".", pkg: "test/damage", run: "TestDamageAtRest", weight: 2,
		figures: []figure{{"damage cases", 0, 0}}},
	{name: "forged", module: ".", pkg: "test/fuzz", run: "TestForgedBytes", weight: 1,
		figures: []figure{{"forged bytes", 0, 0}}},
	{name: "kill", module: ".", pkg: "test/process", run: "TestKilledProcessLosesNothingItAcknowledged", weight: 2,
		figures: []figure{{"kills", 200, 10_000}}},
	{name: "open", module: ".", pkg: "test/process", run: "TestOpenAndCloseLeaveNothingBehind", weight: 1,
		figures: []figure{{"open and close cycles", 500, 10_000}}},
	{name: "isolation", module: "test/isolation", pkg: ".", run: "TestIsolationAtRandom", race: true, weight: 3,
		figures: []figure{{"transactions", 200_000, 50_000_000}}},
	{name: "wal", module: ".", pkg: "wal", run: "TestCrashLeavesAPrefixWithEverythingSynced", weight: 1, layer: true,
		figures: []figure{{"crash images of the log", 0, 0}}},
	{name: "vlog", module: ".", pkg: "vlog", run: "TestWhatIsSyncedSurvivesPowerLoss", weight: 1, layer: true,
		figures: []figure{{"crash images of the value log", 0, 0}}},
	{name: "manifest", module: ".", pkg: "manifest", run: "TestCrashAtEveryOperationLeavesOldOrNewState", weight: 1, layer: true,
		figures: []figure{{"crash images of the MANIFEST", 0, 0}}},
	{name: "compaction", module: ".", pkg: "compaction", run: "TestRandomHistoriesReadTheSameAfterCompaction", weight: 1, layer: true,
		figures: []figure{{"compactions", 0, 0}}},
	{name: "space", module: ".", pkg: "test/space"},
	{name: "memory", module: ".", pkg: "test/memory"},
	{name: "limits", module: ".", pkg: "test/limits"},
}

// fuzzName is the name of the check that is made of all fuzz targets.
const fuzzName = "fuzz"

// fuzzWeight is the share of a soak's time that the fuzz targets have together.
const fuzzWeight = 3

// fuzzPackages are where fuzz targets are.
var fuzzPackages = []string{"wal", "sstable", "vlog", "manifest", "memtable", "db", "vfs", "typed", "mvcc",
	"internal/base", "internal/record", "internal/compress", "internal/filter", "test/fuzz", "test/model"}
