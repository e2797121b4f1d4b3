// What rocksdb.go calls: one call for each operation and each move of a cursor,
// since every call from Go to C has its price.

#include <stdlib.h>
#include <string.h>
#include <rocksdb/c.h>

const char* kv_version();

// kv_value is a value: in the caller's buffer if pin is NULL, else at data, until
// pin is destroyed.
typedef struct {
	int found;
	size_t len;
	const char* data;
	rocksdb_pinnableslice_t* pin;
	char* err;
} kv_value;

static kv_value kv_get(rocksdb_t* db, const rocksdb_readoptions_t* o, const char* key, size_t klen, char* buf, size_t cap) {
	kv_value v = {0};
	rocksdb_pinnableslice_t* pin = rocksdb_get_pinned(db, o, key, klen, &v.err);
	if (v.err != NULL || pin == NULL) return v;
	v.found = 1;
	v.data = rocksdb_pinnableslice_value(pin, &v.len);
	if (v.len > cap) {
		v.pin = pin;
		return v;
	}
	memcpy(buf, v.data, v.len);
	rocksdb_pinnableslice_destroy(pin);
	return v;
}

// kv_multi_get reads n keys, which stand in keys one behind the other, in one call.
static void kv_multi_get(rocksdb_t* db, const rocksdb_readoptions_t* o, rocksdb_column_family_handle_t* family,
		size_t n, const char* keys, const size_t* lens, kv_value* values) {
	const char** list = malloc(n * (sizeof(char*) + sizeof(rocksdb_pinnableslice_t*) + sizeof(char*)));
	rocksdb_pinnableslice_t** pins = (rocksdb_pinnableslice_t**)(list + n);
	char** errs = (char**)(pins + n);
	for (size_t i = 0; i < n; i++) {
		list[i] = keys;
		keys += lens[i];
	}
	rocksdb_batched_multi_get_cf(db, o, family, n, list, lens, pins, errs, 0);
	for (size_t i = 0; i < n; i++) {
		memset(&values[i], 0, sizeof(kv_value));
		values[i].err = errs[i];
		if (errs[i] != NULL || pins[i] == NULL) continue;
		values[i].found = 1;
		values[i].pin = pins[i];
		values[i].data = rocksdb_pinnableslice_value(pins[i], &values[i].len);
	}
	free(list);
}

static void kv_release(size_t n, kv_value* values) {
	for (size_t i = 0; i < n; i++) {
		if (values[i].pin != NULL) rocksdb_pinnableslice_destroy(values[i].pin);
		if (values[i].err != NULL) rocksdb_free(values[i].err);
	}
}

static char* kv_put(rocksdb_t* db, const rocksdb_writeoptions_t* o, const char* key, size_t klen, const char* value, size_t vlen) {
	char* err = NULL;
	rocksdb_put(db, o, key, klen, value, vlen, &err);
	return err;
}

static char* kv_delete(rocksdb_t* db, const rocksdb_writeoptions_t* o, const char* key, size_t klen) {
	char* err = NULL;
	rocksdb_delete(db, o, key, klen, &err);
	return err;
}

static char* kv_merge(rocksdb_t* db, const rocksdb_writeoptions_t* o, const char* key, size_t klen, const char* value, size_t vlen) {
	char* err = NULL;
	rocksdb_merge(db, o, key, klen, value, vlen, &err);
	return err;
}

static char* kv_write(rocksdb_t* db, const rocksdb_writeoptions_t* o, rocksdb_writebatch_t* b) {
	char* err = NULL;
	rocksdb_write(db, o, b, &err);
	rocksdb_writebatch_clear(b);
	return err;
}

// kv_cursor is an iterator with its read options, which refer to the bounds.
typedef struct {
	rocksdb_iterator_t* it;
	rocksdb_readoptions_t* options;
	char *lower, *upper;
	int reverse;
} kv_cursor;

typedef struct {
	int valid;
	const char *key, *value;
	size_t klen, vlen;
} kv_entry;

static char* kv_copy(const char* b, size_t n) {
	char* c = malloc(n + 1);
	if (n > 0) memcpy(c, b, n);
	return c;
}

static kv_cursor* kv_cursor_open(rocksdb_t* db, const char* lower, size_t llen, const char* upper, size_t ulen, int reverse) {
	kv_cursor* c = calloc(1, sizeof(kv_cursor));
	c->options = rocksdb_readoptions_create();
	c->reverse = reverse;
	if (lower != NULL) {
		c->lower = kv_copy(lower, llen);
		rocksdb_readoptions_set_iterate_lower_bound(c->options, c->lower, llen);
	}
	if (upper != NULL) {
		c->upper = kv_copy(upper, ulen);
		rocksdb_readoptions_set_iterate_upper_bound(c->options, c->upper, ulen);
	}
	c->it = rocksdb_create_iterator(db, c->options);
	return c;
}

static void kv_cursor_close(kv_cursor* c) {
	rocksdb_iter_destroy(c->it);
	rocksdb_readoptions_destroy(c->options);
	free(c->lower);
	free(c->upper);
	free(c);
}

static kv_entry kv_at(rocksdb_iterator_t* it) {
	kv_entry e = {0};
	if (rocksdb_iter_valid(it)) {
		e.valid = 1;
		e.key = rocksdb_iter_key(it, &e.klen);
		e.value = rocksdb_iter_value(it, &e.vlen);
	}
	return e;
}

static kv_entry kv_cursor_first(kv_cursor* c) {
	c->reverse ? rocksdb_iter_seek_to_last(c->it) : rocksdb_iter_seek_to_first(c->it);
	return kv_at(c->it);
}

static kv_entry kv_cursor_seek(kv_cursor* c, const char* key, size_t klen) {
	c->reverse ? rocksdb_iter_seek_for_prev(c->it, key, klen) : rocksdb_iter_seek(c->it, key, klen);
	return kv_at(c->it);
}

static kv_entry kv_cursor_next(kv_cursor* c) {
	c->reverse ? rocksdb_iter_prev(c->it) : rocksdb_iter_next(c->it);
	return kv_at(c->it);
}

// The merge operator puts the operands behind the value.
static char* kv_append(const char* first, size_t flen, const char* const* list, const size_t* lens, int n, size_t* len) {
	size_t total = flen;
	for (int i = 0; i < n; i++) total += lens[i];
	char *all = malloc(total + 1), *at = all;
	if (flen > 0) memcpy(at, first, flen);
	at += flen;
	for (int i = 0; i < n; i++) {
		memcpy(at, list[i], lens[i]);
		at += lens[i];
	}
	*len = total;
	return all;
}

static char* kv_full_merge(void* s, const char* key, size_t klen, const char* old, size_t olen,
		const char* const* list, const size_t* lens, int n, unsigned char* ok, size_t* len) {
	*ok = 1;
	return kv_append(old, old == NULL ? 0 : olen, list, lens, n, len);
}

static char* kv_partial_merge(void* s, const char* key, size_t klen,
		const char* const* list, const size_t* lens, int n, unsigned char* ok, size_t* len) {
	*ok = 1;
	return kv_append(NULL, 0, list, lens, n, len);
}

static void kv_free_merged(void* s, const char* value, size_t n) { free((void*)value); }
static void kv_free_state(void* s) {}
static const char* kv_merge_name(void* s) { return "kvbench.append"; }

static void kv_set_append(rocksdb_options_t* o) {
	rocksdb_options_set_merge_operator(o, rocksdb_mergeoperator_create(NULL, kv_free_state, kv_full_merge,
		kv_partial_merge, kv_free_merged, kv_merge_name));
}

static rocksdb_t* kv_open(const rocksdb_options_t* o, const char* dir, rocksdb_column_family_handle_t** family, char** err) {
	const char* name = "default";
	return rocksdb_open_column_families(o, dir, 1, &name, &o, family, err);
}
