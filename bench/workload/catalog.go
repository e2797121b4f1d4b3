package workload

import (
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// How many operations there are by default: with some hundred thousand keys,
// a second or a few of work.
var (
	everyKey   = Amount{PerKey: 1}
	twoPasses  = Amount{PerKey: 2}
	someReads  = Amount{PerKey: 1, Max: 300_000}
	someSeeks  = Amount{PerKey: 1, Max: 50_000}
	someSyncs  = Amount{PerKey: 0.001, Min: 200, Max: 10_000}
	someTx     = Amount{PerKey: 1, Max: 50_000}
	severalFor = Amount{PerKey: 4}
)

func only(op Op) []Share { return []Share{{op, 1}} }

// The workloads, by group.
var catalog = []*Workload{
	{Name: "fillseq", Group: "db_bench", Summary: "put every key once, ascending, into an empty store",
		Fresh: true, Writes: true, Fill: true, Shares: only(Put), Chooser: "sequential", Operations: everyKey},
	{Name: "fillrandom", Group: "db_bench", Summary: "put every key once, in random order, into an empty store: db_bench's filluniquerandom",
		Fresh: true, Writes: true, Fill: true, Shares: only(Put), Chooser: "shuffled", Operations: everyKey},
	{Name: "fillsync", Group: "db_bench", Summary: "put keys in random order, each safe from power loss before the next",
		Fresh: true, Writes: true, Sync: true, Fill: true, Shares: only(Put), Chooser: "shuffled", Operations: someSyncs},
	{Name: "fillbatch", Group: "db_bench", Summary: "put every key once, ascending, in batches of 1000",
		Fresh: true, Writes: true, Fill: true, Shares: only(BatchPut), Chooser: "sequential", Batch: 1000, Operations: everyKey},
	{Name: "overwrite", Group: "db_bench", Summary: "put keys chosen at random that are there already",
		Loaded: true, Load: "fillrandom", Writes: true, Shares: only(Update), Operations: everyKey},
	{Name: "updaterandom", Group: "db_bench", Summary: "get a random key, then put it",
		Loaded: true, Load: "fillrandom", Writes: true, Shares: only(ReadModify), Operations: someReads},
	{Name: "mergerandom", Group: "db_bench", Summary: "append to the values of random keys by merge, without reading them",
		Needs: engine.Merge, Loaded: true, Load: "fillrandom", Writes: true, Shares: only(MergeOperand), Operations: everyKey},
	{Name: "readrandom", Group: "db_bench", Summary: "get keys chosen at random",
		Loaded: true, Load: "fillrandom", Shares: only(Read), Operations: someReads},
	{Name: "readmissing", Group: "db_bench", Summary: "get keys that are not there but lie between those that are",
		Loaded: true, Load: "fillrandom", Shares: only(ReadMissing), Operations: someReads},
	{Name: "readhot", Group: "db_bench", Summary: "get random keys of the first hundredth",
		Loaded: true, Load: "fillrandom", Shares: only(Read), Chooser: "hotspot:0.01,1", Operations: someReads},
	{Name: "multireadrandom", Group: "db_bench", Summary: "get 100 random keys in one call, where the engine has one for it",
		Loaded: true, Load: "fillrandom", Shares: only(MultiRead), Multi: 100, Operations: Amount{PerKey: 0.01, Min: 100, Max: 5_000}},
	{Name: "readseq", Group: "db_bench", Summary: "scan everything upwards, twice",
		Loaded: true, Load: "fillrandom", Entries: true, Program: Walk, Operations: twoPasses},
	{Name: "readreverse", Group: "db_bench", Summary: "scan everything downwards, twice",
		Loaded: true, Load: "fillrandom", Entries: true, Program: WalkDown, Operations: twoPasses},
	{Name: "seekrandom", Group: "db_bench", Summary: "open a cursor, seek a random place, read 10 entries, close",
		Loaded: true, Load: "fillrandom", Shares: only(Scan), Scan: "10", Between: true, Operations: someSeeks},
	{Name: "readwhilewriting", Group: "db_bench", Summary: "readrandom beside one writer of random keys, paced: db_bench's is not",
		Loaded: true, Load: "fillrandom", Writes: true, Shares: only(Read), Beside: []Beside{{Op: Update, Rate: writeRateDefault}}, Operations: someReads},
	{Name: "seekrandomwhilewriting", Group: "db_bench", Summary: "seekrandom beside one paced writer of random keys",
		Loaded: true, Load: "fillrandom", Writes: true, Shares: only(Scan), Scan: "10", Between: true,
		Beside: []Beside{{Op: Update, Rate: writeRateDefault}}, Operations: someSeeks},
	{Name: "deleteseq", Group: "db_bench", Summary: "delete every key, ascending",
		Loaded: true, Load: "fillrandom", Writes: true, Shares: only(Delete), Chooser: "sequential", Operations: everyKey},
	{Name: "deleterandom", Group: "db_bench", Summary: "delete random keys, some of them again: a third remains",
		Loaded: true, Load: "fillrandom", Writes: true, Shares: only(Delete), Operations: everyKey},
	{Name: "ttlchurn", Group: "db_bench", Summary: "put random keys that live for 2 s, and get random keys, half and half",
		Needs: engine.TTL, Fresh: true, Writes: true, Fill: true, Shares: []Share{{PutTTL, 1}, {Read, 1}},
		TTL: Duration(2 * time.Second), Operations: twoPasses},

	{Name: "ycsb-load", Group: "YCSB", Summary: "insert every record once, spread over the keys by a hash, into an empty store",
		Fresh: true, Writes: true, Fill: true, Hashed: true, Shares: only(Insert), Operations: everyKey},
	{Name: "ycsb-a", Group: "YCSB", Summary: "half reads, half updates, zipfian",
		Loaded: true, Load: "ycsb-load", Writes: true, Shares: []Share{{Read, 50}, {Update, 50}}, Chooser: "scrambled", Operations: someReads},
	{Name: "ycsb-b", Group: "YCSB", Summary: "95% reads, 5% updates, zipfian",
		Loaded: true, Load: "ycsb-load", Writes: true, Shares: []Share{{Read, 95}, {Update, 5}}, Chooser: "scrambled", Operations: someReads},
	{Name: "ycsb-c", Group: "YCSB", Summary: "reads only, zipfian",
		Loaded: true, Load: "ycsb-load", Shares: only(Read), Chooser: "scrambled", Operations: someReads},
	{Name: "ycsb-d", Group: "YCSB", Summary: "95% reads of the latest records, 5% inserts",
		Loaded: true, Load: "ycsb-load", Writes: true, Shares: []Share{{Read, 95}, {Insert, 5}}, Chooser: "latest", Operations: someReads},
	{Name: "ycsb-e", Group: "YCSB", Summary: "95% scans of 1 to 100 entries from zipfian keys, 5% inserts",
		Loaded: true, Load: "ycsb-load", Writes: true, Shares: []Share{{Scan, 95}, {Insert, 5}}, Chooser: "scrambled", Scan: "1..100", Operations: someSeeks},
	{Name: "ycsb-f", Group: "YCSB", Summary: "half reads, half reads that are followed by an update, zipfian",
		Loaded: true, Load: "ycsb-load", Writes: true, Shares: []Share{{Read, 50}, {ReadModify, 50}}, Chooser: "scrambled", Operations: someReads},

	{Name: "mixgraph", Group: "production", Summary: "83% gets, 14% puts, 3% scans of hot key ranges: ZippyDB of Cao et al., FAST 2020",
		Loaded: true, Load: "fillrandom", Writes: true, Shares: []Share{{Read, 83}, {Update, 14}, {Scan, 3}},
		Chooser: "keyranges", Scan: "pareto:14.236,2.517,10000", KeyBytes: 48, Values: "zippydb", Operations: someReads},
	{Name: "large", Group: "production", Summary: "get and put random values of 1 MiB, half and half, in a store of their own",
		Loaded: true, Load: "fillrandom", Writes: true, Shares: []Share{{Read, 1}, {Update, 1}},
		Values: "1MiB", Operations: Amount{PerKey: 2}},

	{Name: "vlogchurn", Group: "space", Summary: "overwrite hot keys with four times the data, asking for garbage collection every second",
		Loaded: true, Load: "fillrandom", Writes: true, Shares: only(Update), Chooser: "scrambled",
		Beside: []Beside{{Op: Collect, Rate: 1}}, Operations: severalFor},

	{Name: "bank", Group: "transactions", Summary: "transfers between 1000 accounts, and audits of them all, in transactions",
		Needs: engine.Transactions, Writes: true, Program: Bank, Operations: someTx},
	{Name: "rmwcontended", Group: "transactions", Summary: "increments of 16 counters in transactions that collide",
		Needs: engine.Transactions, Writes: true, Program: Counters, Operations: someTx},

	{Name: "bulkload", Group: "open", Summary: "fill an empty store by the engine's way for ascending keys",
		Fresh: true, Writes: true, Special: BulkLoad, Operations: everyKey},
	{Name: "openclean", Group: "open", Summary: "open a store that was closed, and read one key",
		Loaded: true, Load: "fillrandom", Special: OpenClean, Operations: Amount{Min: 20, Max: 20}},
	{Name: "openkilled", Group: "open", Summary: "open a store whose process was killed while it wrote, and check what is left",
		Fresh: true, Special: OpenKilled, Operations: Amount{Min: 5, Max: 5}},
}
