// How the checks are written: a table of rules about single fields for each struct, and code only
// for what ties several fields together. A broken rule names field, limit and value.
#pragma once

#include <cstddef>
#include <cstring>

#include "error.h"

namespace ms {

// What may be said of one field is a row of a table; what ties several together is code below it.
enum class Rule : unsigned char { kRange, kMultiple, kPointer, kAligned };

struct FieldRule {
  const char* field;
  Rule rule;
  unsigned char bytes;  // of the field
  size_t offset;
  // The range; or low: what the field is a multiple of, high: whether it may be null.
  long long low, high;
};

#define MS_FIELD(S, f, rule, low, high) \
  FieldRule { #f, rule, sizeof(S::f), offsetof(S, f), low, high }
#define MS_RANGE(S, f, low, high) MS_FIELD(S, f, Rule::kRange, low, high)
#define MS_MULTIPLE(S, f, of) MS_FIELD(S, f, Rule::kMultiple, of, 0)
#define MS_POINTER(S, f) MS_FIELD(S, f, Rule::kPointer, 0, 0)
// Vector loads and cuBLASLt want more than the elements do; a GPU is lost by one that is not.
#define MS_ALIGNED(S, f, to) MS_FIELD(S, f, Rule::kAligned, to, 0)
#define MS_ALIGNED_OR_NULL(S, f, to) MS_FIELD(S, f, Rule::kAligned, to, 1)

#define MS_REQUIRE(condition, status, ...)              \
  do {                                                  \
    if (!(condition)) return fail(status, __VA_ARGS__); \
  } while (false)

#define MS_TRY(call)                      \
  do {                                    \
    ms_status status_ = (call);           \
    if (status_ != MS_OK) return status_; \
  } while (false)

constexpr int kMaxRows = 1 << 20;
constexpr int kMaxItems = 1 << 24;
constexpr int kMaxVocab = 1 << 24;
constexpr int kMaxColumns = 1 << 20;

inline long long number(const unsigned char* at, int bytes) {
  int32_t narrow = 0;
  int64_t wide = 0;
  if (bytes == 8) {
    std::memcpy(&wide, at, 8);
    return wide;
  }
  std::memcpy(&narrow, at, 4);
  return narrow;
}

inline ms_status apply(const FieldRule& rule, const unsigned char* arguments) {
  const unsigned char* at = arguments + rule.offset;
  if (rule.rule == Rule::kPointer || rule.rule == Rule::kAligned) {
    uintptr_t address = 0;
    std::memcpy(&address, at, sizeof(address));
    if (address == 0 && rule.high == 0) return fail(MS_ERR_ARGUMENT, "%s is null", rule.field);
    return rule.low == 0 || address % static_cast<uintptr_t>(rule.low) == 0
               ? MS_OK
               : fail(MS_ERR_ARGUMENT, "%s must be a multiple of %lld bytes, is %#zx", rule.field,
                      rule.low, static_cast<size_t>(address));
  }
  long long value = number(at, rule.bytes);
  if (rule.rule == Rule::kMultiple) {
    return value % rule.low == 0 ? MS_OK
                                 : fail(MS_ERR_ARGUMENT, "%s must be a multiple of %lld, is %lld",
                                        rule.field, rule.low, value);
  }
  return value >= rule.low && value <= rule.high
             ? MS_OK
             : fail(MS_ERR_ARGUMENT, "%s must be in [%lld, %lld], is %lld", rule.field, rule.low,
                    rule.high, value);
}

template <class Args>
ms_status check_struct(const Args* a) {
  MS_REQUIRE(a != nullptr, MS_ERR_ARGUMENT, "the arguments are null");
  MS_REQUIRE(a->struct_size == sizeof(*a), MS_ERR_ABI, "struct_size is %u, not %zu", a->struct_size,
             sizeof(*a));
  return MS_OK;
}

/// The struct's own size, then its rules in their order.
template <class Args, size_t N>
ms_status apply(const Args* a, const FieldRule (&rules)[N]) {
  MS_TRY(check_struct(a));
  for (const FieldRule& rule : rules) {
    MS_TRY(apply(rule, reinterpret_cast<const unsigned char*>(a)));
  }
  return MS_OK;
}

}  // namespace ms
