//go:build rocksdb

// The version of the library that is linked, which the C interface does not tell.

#include <rocksdb/version.h>

extern "C" const char* kv_version() {
  static const std::string version = ROCKSDB_NAMESPACE::GetRocksVersionAsString(true);
  return version.c_str();
}
