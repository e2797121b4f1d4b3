//go:build rocksdb

package main

/*
#cgo LDFLAGS: -lrocksdb
#cgo noescape kv_get
#cgo nocallback kv_get
#cgo noescape kv_multi_get
#cgo nocallback kv_multi_get
#cgo noescape kv_put
#cgo nocallback kv_put
#cgo noescape kv_delete
#cgo nocallback kv_delete
#cgo noescape kv_merge
#cgo nocallback kv_merge
#cgo noescape kv_write
#cgo nocallback kv_write
#cgo noescape kv_cursor_open
#cgo nocallback kv_cursor_open
#cgo noescape kv_cursor_first
#cgo nocallback kv_cursor_first
#cgo noescape kv_cursor_seek
#cgo nocallback kv_cursor_seek
#cgo noescape kv_cursor_next
#cgo nocallback kv_cursor_next
#cgo noescape rocksdb_writebatch_put
#cgo nocallback rocksdb_writebatch_put
#cgo noescape rocksdb_writebatch_delete
#cgo nocallback rocksdb_writebatch_delete
#cgo noescape rocksdb_pinnableslice_destroy
#cgo nocallback rocksdb_pinnableslice_destroy
#include "rocksdb_calls.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// What does not depend on the run's options. rocksWiki is where it comes from.
const (
	rocksWiki = "the wiki's Setup Options and Basic Tuning"

	rocksBlockBytes   = 16 << 10
	rocksBytesPerSync = 1 << 20
	rocksL0Files      = 4 // that start a compaction: the default
	rocksTableFormat  = 5
	rocksShardBytes   = 8 << 20
	rocksShardBitsMax = 6
	rocksErrorLevel   = 3
	rocksMinBlob      = 512
	rocksBlobCutoff   = 0.25
	rocksIngestBytes  = 64 << 20
)

func init() {
	engine.Register(rocksEngine("rocksdb", "RocksDB", false))
	engine.Register(rocksEngine("rocksdb-blob", "RocksDB with blob files", true))
}

func rocksEngine(name, title string, blobs bool) *engine.Engine {
	abilities := engine.Merge
	if blobs {
		abilities |= engine.ValueLog
	}
	return &engine.Engine{
		Name: name, Title: title, Module: "github.com/facebook/rocksdb", Abilities: abilities,
		VersionOf: func() string { return C.GoString(C.kv_version()) },
		Settings:  func(o engine.Options) []engine.Setting { return rocksSettings(o, blobs) },
		Open: func(o engine.Options) (engine.Store, error) {
			s, err := openRocks(o, blobs)
			if err != nil {
				return nil, err
			}
			if blobs {
				return rocksCollector{s}, nil
			}
			return s, nil
		},
	}
}

func rocksJobs() int { return max(2, runtime.GOMAXPROCS(0)) }

func rocksBaseBytes(o engine.Options) int64 { return rocksL0Files * o.MemtableBytes }

// rocksShardBits splits the cache into shards of 8 MiB at least, at most the 64 of
// the default: a filter of a large table does not fit into one of half a MiB, which
// the default makes of a small cache, and would be read again each time.
func rocksShardBits(o engine.Options) int {
	bits := 0
	for bits < rocksShardBitsMax && o.CacheBytes>>(bits+1) >= rocksShardBytes {
		bits++
	}
	return bits
}

func rocksSettings(o engine.Options, blobs bool) []engine.Setting {
	filter, compression := "none", "LZ4"
	if o.FilterBits > 0 {
		filter = fmt.Sprintf("Bloom, %d bits a key", o.FilterBits)
	}
	if o.Compression == engine.CompressionNone {
		compression = "none"
	}
	list := []engine.Setting{
		{Name: "write_buffer_size", Value: engine.Size(o.MemtableBytes), Why: "the run's memtable size"},
		{Name: "max_write_buffer_number", Value: strconv.Itoa(o.MemtablesMax), Why: "the run's number of memtables"},
		{Name: "block_cache", Value: "LRU, " + engine.Size(o.CacheBytes), Why: "the run's cache size"},
		{Name: "num_shard_bits", Value: strconv.Itoa(rocksShardBits(o)), Why: "shards of 8 MiB at least, so that filters of large tables fit; at most the default, 6"},
		{Name: "cache_index_and_filter_blocks, pin_l0_filter_and_index_blocks_in_cache", Value: "true", Why: rocksWiki + "; so they are within the cache's size"},
		{Name: "filter_policy", Value: filter, Why: "the run's filter size"},
		{Name: "compression", Value: compression, Why: "the run's choice; the wiki's Compression prefers LZ4 to Snappy, the default"},
		{Name: "block_size", Value: engine.Size(rocksBlockBytes), Why: rocksWiki},
		{Name: "format_version", Value: strconv.Itoa(rocksTableFormat), Why: rocksWiki + ": the newest"},
		{Name: "bytes_per_sync", Value: engine.Size(rocksBytesPerSync), Why: rocksWiki},
		{Name: "level_compaction_dynamic_level_bytes", Value: "true", Why: rocksWiki},
		{Name: "max_bytes_for_level_base", Value: engine.Size(rocksBaseBytes(o)), Why: "the wiki's RocksDB Tuning Guide: as much as level 0 has when it is compacted"},
		{Name: "max_background_jobs", Value: strconv.Itoa(rocksJobs()), Why: "IncreaseParallelism with the number of processors, as its documentation says; at least 2, the default"},
		{Name: "WriteOptions.sync", Value: strconv.FormatBool(o.Sync), Why: "the run's durability; without it the WAL is written, not synced, by each commit"},
		{Name: "binding", Value: "cgo", Why: "one call of C for each operation, entry of a scan, and write to a batch, which costs some tens of nanoseconds; programs in C++ do not pay that"},
		{Name: "transactions", Value: "none", Why: "an OptimisticTransactionDB takes 57 MiB for its locks, a TransactionDB locks at each write: plain operations would pay"},
	}
	if blobs {
		list = append(list,
			engine.Setting{Name: "enable_blob_files, min_blob_size", Value: "true, " + engine.Size(rocksMinBlob), Why: "values apart from keys; as large as for Pebble with value separation"},
			engine.Setting{Name: "blob_compression_type", Value: compression, Why: "as for blocks"},
			engine.Setting{Name: "blob_cache", Value: "shared with block_cache", Why: "the wiki's BlobDB: one budget for both"},
			engine.Setting{Name: "enable_blob_garbage_collection, blob_garbage_collection_age_cutoff", Value: fmt.Sprintf("true, %v", rocksBlobCutoff), Why: "the wiki's BlobDB; the default cutoff. Compactions collect garbage: asking for a collection waits for them"})
	}
	return list
}

// rocksStore is an open store.
type rocksStore struct {
	db      *C.rocksdb_t
	family  *C.rocksdb_column_family_handle_t
	options *C.rocksdb_options_t
	read    *C.rocksdb_readoptions_t
	write   *C.rocksdb_writeoptions_t
	dir     string
	scratch sync.Pool // of *rocksKeys
}

// rocksCollector is a store with blob files, whose garbage compactions collect.
type rocksCollector struct{ *rocksStore }

// CollectGarbage waits until RocksDB has done what it finds worth doing. It does
// not flush: that would make tables before their time.
func (s rocksCollector) CollectGarbage(ctx context.Context) error { return s.wait(ctx) }

func rocksBool(b bool) C.uchar {
	if b {
		return 1
	}
	return 0
}

// rocksOptions returns options that the caller destroys.
func rocksOptions(o engine.Options, blobs bool) *C.rocksdb_options_t {
	table := C.rocksdb_block_based_options_create()
	defer C.rocksdb_block_based_options_destroy(table)
	lru := C.rocksdb_lru_cache_options_create()
	C.rocksdb_lru_cache_options_set_capacity(lru, C.size_t(o.CacheBytes))
	C.rocksdb_lru_cache_options_set_num_shard_bits(lru, C.int(rocksShardBits(o)))
	cache := C.rocksdb_cache_create_lru_opts(lru)
	C.rocksdb_lru_cache_options_destroy(lru)
	defer C.rocksdb_cache_destroy(cache) // the options keep it
	C.rocksdb_block_based_options_set_block_cache(table, cache)
	C.rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1)
	C.rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1)
	C.rocksdb_block_based_options_set_block_size(table, rocksBlockBytes)
	C.rocksdb_block_based_options_set_format_version(table, rocksTableFormat)
	if o.FilterBits > 0 {
		C.rocksdb_block_based_options_set_filter_policy(table, C.rocksdb_filterpolicy_create_bloom_full(C.double(o.FilterBits)))
	}

	opts := C.rocksdb_options_create()
	C.rocksdb_options_set_block_based_table_factory(opts, table)
	C.rocksdb_options_set_create_if_missing(opts, 1)
	C.rocksdb_options_increase_parallelism(opts, C.int(rocksJobs()))
	C.rocksdb_options_set_write_buffer_size(opts, C.size_t(o.MemtableBytes))
	C.rocksdb_options_set_max_write_buffer_number(opts, C.int(max(2, o.MemtablesMax)))
	C.rocksdb_options_set_level_compaction_dynamic_level_bytes(opts, 1)
	C.rocksdb_options_set_max_bytes_for_level_base(opts, C.uint64_t(rocksBaseBytes(o)))
	C.rocksdb_options_set_level0_file_num_compaction_trigger(opts, rocksL0Files)
	C.rocksdb_options_set_bytes_per_sync(opts, rocksBytesPerSync)
	C.rocksdb_options_set_info_log_level(opts, rocksErrorLevel)
	compression := C.int(C.rocksdb_lz4_compression)
	if o.Compression == engine.CompressionNone {
		compression = C.rocksdb_no_compression
	}
	C.rocksdb_options_set_compression(opts, compression)
	C.kv_set_append(opts)
	if blobs {
		C.rocksdb_options_set_enable_blob_files(opts, 1)
		C.rocksdb_options_set_min_blob_size(opts, rocksMinBlob)
		C.rocksdb_options_set_blob_compression_type(opts, compression)
		C.rocksdb_options_set_blob_cache(opts, cache)
		C.rocksdb_options_set_enable_blob_gc(opts, 1)
		C.rocksdb_options_set_blob_gc_age_cutoff(opts, rocksBlobCutoff)
	}
	return opts
}

func openRocks(o engine.Options, blobs bool) (*rocksStore, error) {
	opts := rocksOptions(o, blobs)
	dir := C.CString(o.Dir)
	defer C.free(unsafe.Pointer(dir))
	var family *C.rocksdb_column_family_handle_t
	var fault *C.char
	db := C.kv_open(opts, dir, &family, &fault)
	if err := rocksError(fault); err != nil {
		C.rocksdb_options_destroy(opts)
		return nil, err
	}
	s := &rocksStore{db: db, family: family, options: opts, dir: o.Dir,
		read: C.rocksdb_readoptions_create(), write: C.rocksdb_writeoptions_create()}
	C.rocksdb_writeoptions_set_sync(s.write, rocksBool(o.Sync))
	return s, nil
}

func (s *rocksStore) Close() error {
	C.rocksdb_column_family_handle_destroy(s.family)
	C.rocksdb_close(s.db)
	C.rocksdb_readoptions_destroy(s.read)
	C.rocksdb_writeoptions_destroy(s.write)
	C.rocksdb_options_destroy(s.options)
	return nil
}

// rocksError makes an error of RocksDB's message, and frees it.
func rocksError(fault *C.char) error {
	if fault == nil {
		return nil
	}
	defer C.rocksdb_free(unsafe.Pointer(fault))
	return errors.New("rocksdb: " + C.GoString(fault))
}

// rocksBytes is b for a call of C.
func rocksBytes(b []byte) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))), C.size_t(len(b))
}

// rocksSlice is memory of RocksDB.
func rocksSlice(p *C.char, n C.size_t) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), int(n))
}

func (s *rocksStore) Get(dst, key []byte) ([]byte, error) {
	k, n := rocksBytes(key)
	buf, free := rocksBytes(dst[len(dst):cap(dst)])
	v := C.kv_get(s.db, s.read, k, n, buf, free)
	switch {
	case v.err != nil:
		return dst, rocksError(v.err)
	case v.found == 0:
		return dst, engine.ErrNotFound
	case v.pin == nil:
		return dst[:len(dst)+int(v.len)], nil
	}
	dst = append(dst, rocksSlice(v.data, v.len)...)
	C.rocksdb_pinnableslice_destroy(v.pin)
	return dst, nil
}

// rocksKeys is what a MultiGet hands over and gets back.
type rocksKeys struct {
	keys   []byte
	lens   []C.size_t
	values []C.kv_value
}

func (s *rocksStore) MultiGet(keys [][]byte, see func(i int, value []byte, err error) error) (err error) {
	if len(keys) == 0 {
		return nil
	}
	m, ok := s.scratch.Get().(*rocksKeys)
	if !ok {
		m = &rocksKeys{}
	}
	defer s.scratch.Put(m)
	m.keys, m.lens, m.values = m.keys[:0], m.lens[:0], m.values[:0]
	for _, key := range keys {
		m.keys = append(m.keys, key...)
		m.lens = append(m.lens, C.size_t(len(key)))
		m.values = append(m.values, C.kv_value{})
	}
	flat, _ := rocksBytes(m.keys)
	C.kv_multi_get(s.db, s.read, s.family, C.size_t(len(keys)), flat, &m.lens[0], &m.values[0])
	defer C.kv_release(C.size_t(len(keys)), &m.values[0])
	for i := range m.values {
		v := &m.values[i]
		switch {
		case v.err != nil:
			err = see(i, nil, errors.New("rocksdb: "+C.GoString(v.err)))
		case v.found == 0:
			err = see(i, nil, engine.ErrNotFound)
		default:
			err = see(i, rocksSlice(v.data, v.len), nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *rocksStore) Put(key, value []byte) error {
	k, kn := rocksBytes(key)
	v, vn := rocksBytes(value)
	return rocksError(C.kv_put(s.db, s.write, k, kn, v, vn))
}

func (s *rocksStore) Delete(key []byte) error {
	k, n := rocksBytes(key)
	return rocksError(C.kv_delete(s.db, s.write, k, n))
}

func (s *rocksStore) Merge(key, operand []byte) error {
	k, kn := rocksBytes(key)
	v, vn := rocksBytes(operand)
	return rocksError(C.kv_merge(s.db, s.write, k, kn, v, vn))
}

func (s *rocksStore) NewBatch() engine.Batch {
	return &rocksBatch{s: s, b: C.rocksdb_writebatch_create()}
}

type rocksBatch struct {
	s *rocksStore
	b *C.rocksdb_writebatch_t
}

func (b *rocksBatch) Put(key, value []byte) error {
	k, kn := rocksBytes(key)
	v, vn := rocksBytes(value)
	C.rocksdb_writebatch_put(b.b, k, kn, v, vn)
	return nil
}

func (b *rocksBatch) Delete(key []byte) error {
	k, n := rocksBytes(key)
	C.rocksdb_writebatch_delete(b.b, k, n)
	return nil
}

func (b *rocksBatch) Commit() error { return rocksError(C.kv_write(b.s.db, b.s.write, b.b)) }

func (b *rocksBatch) Close() error {
	C.rocksdb_writebatch_destroy(b.b)
	return nil
}

type rocksCursor struct {
	c *C.kv_cursor
	e C.kv_entry
}

func (s *rocksStore) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	lower, ln := rocksBytes(o.Lower)
	upper, un := rocksBytes(o.Upper)
	return &rocksCursor{c: C.kv_cursor_open(s.db, lower, ln, upper, un, C.int(rocksBool(o.Reverse)))}, nil
}

func (c *rocksCursor) First() bool {
	c.e = C.kv_cursor_first(c.c)
	return c.e.valid != 0
}

func (c *rocksCursor) Seek(key []byte) bool {
	k, n := rocksBytes(key)
	c.e = C.kv_cursor_seek(c.c, k, n)
	return c.e.valid != 0
}

func (c *rocksCursor) Next() bool {
	c.e = C.kv_cursor_next(c.c)
	return c.e.valid != 0
}

func (c *rocksCursor) Key() []byte { return rocksSlice(c.e.key, c.e.klen) }

func (c *rocksCursor) Value() ([]byte, error) { return rocksSlice(c.e.value, c.e.vlen), nil }

func (c *rocksCursor) Err() error {
	var fault *C.char
	C.rocksdb_iter_get_error(c.c.it, &fault)
	return rocksError(fault)
}

func (c *rocksCursor) Close() error {
	C.kv_cursor_close(c.c)
	return nil
}

// property reads a figure of RocksDB; 0 if there is none of that name.
func (s *rocksStore) property(name string) uint64 {
	key := C.CString("rocksdb." + name)
	defer C.free(unsafe.Pointer(key))
	var value C.uint64_t
	if C.rocksdb_property_int(s.db, key, &value) != 0 {
		return 0
	}
	return uint64(value)
}

// l0Files counts the files of level 0.
func (s *rocksStore) l0Files() int {
	key := C.CString("rocksdb.num-files-at-level0")
	defer C.free(unsafe.Pointer(key))
	text := C.rocksdb_property_value(s.db, key)
	if text == nil {
		return 0
	}
	defer C.rocksdb_free(unsafe.Pointer(text))
	n, err := strconv.Atoi(C.GoString(text))
	if err != nil {
		return 0
	}
	return n
}

// Settle flushes, and waits until no flush and no compaction runs or is pending.
func (s *rocksStore) Settle(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	options := C.rocksdb_flushoptions_create() // they wait
	defer C.rocksdb_flushoptions_destroy(options)
	var fault *C.char
	C.rocksdb_flush(s.db, options, &fault)
	if err := rocksError(fault); err != nil {
		return err
	}
	return s.wait(ctx)
}

// wait waits for flushes and compactions.
func (s *rocksStore) wait(ctx context.Context) error {
	for s.property("mem-table-flush-pending")+s.property("num-running-flushes")+
		s.property("compaction-pending")+s.property("num-running-compactions") > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	if n := s.property("background-errors"); n > 0 {
		return fmt.Errorf("rocksdb: %d errors in the background", n)
	}
	return ctx.Err()
}

// Busy tells whether RocksDB stops or delays writes.
func (s *rocksStore) Busy() string {
	stopped, rate := s.property("is-write-stopped"), s.property("actual-delayed-write-rate")
	if stopped == 0 && rate == 0 {
		return ""
	}
	state := "stopped"
	if stopped == 0 {
		state = fmt.Sprintf("delayed to %d MB/s", rate/1e6)
	}
	return fmt.Sprintf("writes %s: %d memtables to flush, %d files in L0", state, s.property("num-immutable-mem-table"), s.l0Files())
}

func (s *rocksStore) Counters() map[string]float64 {
	return map[string]float64{
		"cache_bytes_now":         float64(s.property("block-cache-usage")),
		"l0_files_now":            float64(s.l0Files()),
		"pending_compaction_now":  float64(s.property("estimate-pending-compaction-bytes")),
		"table_bytes_now":         float64(s.property("total-sst-files-size")),
		"blob_bytes_now":          float64(s.property("total-blob-file-size")),
		"blob_garbage_bytes_now":  float64(s.property("live-blob-file-garbage-size")),
		"memtable_bytes_now":      float64(s.property("cur-size-all-mem-tables")),
		"table_reader_bytes_now":  float64(s.property("estimate-table-readers-mem")),
		"immutable_memtables_now": float64(s.property("num-immutable-mem-table")),
		"background_errors":       float64(s.property("background-errors")),
	}
}

// BulkLoad builds tables and ingests them. Values stay in them: RocksDB moves
// those to blob files that it flushes or compacts.
func (s *rocksStore) BulkLoad(ctx context.Context, next func() (key, value []byte, ok bool)) error {
	dir := filepath.Join(s.dir, "bulkload")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	paths, err := s.buildTables(ctx, dir, next)
	if err == nil && len(paths) > 0 {
		err = s.ingest(paths)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func (s *rocksStore) ingest(paths []string) error {
	list := make([]*C.char, len(paths))
	for i, path := range paths {
		list[i] = C.CString(path)
		defer C.free(unsafe.Pointer(list[i]))
	}
	options := C.rocksdb_ingestexternalfileoptions_create()
	defer C.rocksdb_ingestexternalfileoptions_destroy(options)
	C.rocksdb_ingestexternalfileoptions_set_move_files(options, 1)
	var fault *C.char
	C.rocksdb_ingest_external_file(s.db, &list[0], C.size_t(len(list)), options, &fault)
	return rocksError(fault)
}

func (s *rocksStore) buildTables(ctx context.Context, dir string, next func() (key, value []byte, ok bool)) ([]string, error) {
	env := C.rocksdb_envoptions_create()
	defer C.rocksdb_envoptions_destroy(env)
	w := C.rocksdb_sstfilewriter_create(env, s.options)
	defer C.rocksdb_sstfilewriter_destroy(w)
	var paths []string
	var fault *C.char
	size := 0 // of the table that is being built
	for {
		key, value, ok := next()
		if size > 0 && (!ok || size >= rocksIngestBytes) {
			C.rocksdb_sstfilewriter_finish(w, &fault)
			if err := errors.Join(rocksError(fault), ctx.Err()); err != nil {
				return nil, err
			}
			size = 0
		}
		if !ok {
			return paths, nil
		}
		if size == 0 {
			paths = append(paths, filepath.Join(dir, strconv.Itoa(len(paths))+".sst"))
			path := C.CString(paths[len(paths)-1])
			C.rocksdb_sstfilewriter_open(w, path, &fault)
			C.free(unsafe.Pointer(path))
			if err := rocksError(fault); err != nil {
				return nil, err
			}
		}
		k, kn := rocksBytes(key)
		v, vn := rocksBytes(value)
		C.rocksdb_sstfilewriter_put(w, k, kn, v, vn, &fault)
		if err := rocksError(fault); err != nil {
			return nil, err
		}
		size += len(key) + len(value) + 1
	}
}
