#include "pickle.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "pickle_globals.h"
#include "xception/core/error.h"
#include "xception/core/readable.h"

namespace xception {
namespace {

constexpr unsigned char kStop = '.';

/// Little-endian.
std::uint64_t number(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

}  // namespace

void Pickle::fail(const std::string& what) const {
  throw input_error("weights", "{}: pickle, byte {}: {}", file_, position_, what);
}

std::string_view Pickle::take(std::uint64_t count) {
  if (count > bytes_.size() - position_) {
    fail(fmt::format("{} bytes are announced, {} are left: it is damaged or cut short", count,
                     bytes_.size() - position_));
  }
  const auto taken = bytes_.substr(position_, count);
  position_ += count;
  return taken;
}

std::uint64_t Pickle::take_number(std::size_t bytes) {
  return number(take(bytes));
}

std::string_view Pickle::take_line() {
  const auto end = bytes_.find('\n', position_);
  if (end == std::string_view::npos) fail("a name without an end: it is damaged or cut short");
  const auto line = bytes_.substr(position_, end - position_);
  position_ = end + 1;
  return line;
}

PickleValue& Pickle::make(Kind kind) {
  if (values_.size() >= kMostValues) {
    fail(fmt::format("more than {} values, expected a checkpoint's; save the weights alone",
                     kMostValues));
  }
  auto& value = values_.emplace_back();
  value.kind = kind;
  return value;
}

void Pickle::push(const PickleValue& value) {
  if (stack_.size() >= kMostValues) fail("the stack grows too large: it is damaged");
  stack_.push_back(&value);
}

const PickleValue& Pickle::pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
    fail("a value is missing on the stack: it is damaged");
  }
  const auto& value = *stack_.back();
  stack_.pop_back();
  return value;
}

Pickle::Values Pickle::pop_to_mark() {
  if (marks_.empty()) fail("a mark is missing on the stack: it is damaged");
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  Values values(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return values;
}

PickleValue& Pickle::top(Kind kind, std::string_view what) {
  const auto& value = pop();
  push(value);
  if (value.kind != kind) fail(fmt::format("expected {}: it is damaged", what));
  // Every value is one of values_, which are not constant.
  return const_cast<PickleValue&>(value);
}

void Pickle::extend(PickleValue& container, const Values& items) {
  items_ += items.size();
  if (items_ > 8 * kMostValues) fail("its containers grow too large: it is damaged");
  container.items.insert(container.items.end(), items.begin(), items.end());
}

const PickleValue& Pickle::read() {
  stack_.clear();
  marks_.clear();
  storages_.clear();
  memo_.clear();
  for (;;) {
    const auto code = static_cast<unsigned char>(take(1)[0]);
    if (code == kStop) break;
    step(code);
  }
  return pop();
}

void Pickle::step(unsigned char code) {
  if (step_plain(code) || step_text(code) || step_stack(code) || step_container(code) ||
      step_fill(code) || step_memo(code) || step_object(code)) {
    return;
  }
  fail(
      fmt::format("instruction 0x{:02X}, which no weights file needs; save it with torch.save, "
                  "protocol 2 to 5",
                  code));
}

void Pickle::push_integer(std::string_view little_endian) {
  if (little_endian.size() > 8) return push(make(Kind::opaque));
  auto value = number(little_endian);
  const bool negative = !little_endian.empty() && (little_endian.back() & 0x80) != 0;
  const auto bits = 8 * little_endian.size();
  if (negative && bits < 64) value |= ~std::uint64_t{0} << bits;
  auto& made = make(Kind::integer);
  made.integer = static_cast<std::int64_t>(value);
  push(made);
}

bool Pickle::step_plain(unsigned char code) {
  const auto integer = [this](std::int64_t value) {
    auto& made = make(Kind::integer);
    made.integer = value;
    push(made);
  };
  const auto boolean = [this](bool value) {
    auto& made = make(Kind::boolean);
    made.integer = value ? 1 : 0;
    push(made);
  };
  switch (code) {
    case 0x80: {  // PROTO
      const auto protocol = take_number(1);
      if (protocol < 2 || protocol > 5) fail(fmt::format("protocol {}, expected 2 to 5", protocol));
      return true;
    }
    case 0x95:
      (void)take_number(8);
      return true;  // FRAME: its length changes nothing here
    case 'N':
      push(make(Kind::none));
      return true;
    case 0x88:
      boolean(true);
      return true;
    case 0x89:
      boolean(false);
      return true;
    case 'J':
      integer(static_cast<std::int32_t>(take_number(4)));
      return true;
    case 'K':
      integer(static_cast<std::int64_t>(take_number(1)));
      return true;
    case 'M':
      integer(static_cast<std::int64_t>(take_number(2)));
      return true;
    case 0x8A:
      push_integer(take(take_number(1)));
      return true;
    case 0x8B:
      push_integer(take(take_number(4)));
      return true;
    case 'G': {  // big-endian
      std::string bytes(take(8));
      std::reverse(bytes.begin(), bytes.end());
      auto& made = make(Kind::real);
      made.real = std::bit_cast<double>(number(bytes));
      push(made);
      return true;
    }
    default:
      return false;
  }
}

bool Pickle::step_text(unsigned char code) {
  Kind kind = Kind::text;
  std::size_t length_bytes = 0;
  switch (code) {
    case 0x8C:
      length_bytes = 1;
      break;  // SHORT_BINUNICODE
    case 'X':
      length_bytes = 4;
      break;
    case 0x8D:
      length_bytes = 8;
      break;
    case 'U':
      length_bytes = 1;
      break;  // Python 2's str
    case 'T':
      length_bytes = 4;
      break;
    case 'C':
      length_bytes = 1, kind = Kind::bytes;
      break;
    case 'B':
      length_bytes = 4, kind = Kind::bytes;
      break;
    case 0x8E:
      length_bytes = 8, kind = Kind::bytes;
      break;
    case 0x96:
      length_bytes = 8, kind = Kind::bytes;
      break;  // BYTEARRAY8
    default:
      return false;
  }
  const auto bytes = take(take_number(length_bytes));
  auto& made = make(kind);
  made.text = bytes;
  push(made);
  return true;
}

}  // namespace xception
